import re

import pytest

from augmentlm import catalog
from augmentlm.errors import UnknownModelError
from augmentlm.tasks import TASKS


@pytest.mark.parametrize("task", TASKS)
def test_the_usual_model_of_a_task_can_do_it_and_needs_no_hub(task):
    usual = catalog.usual_model(task)
    assert task in usual.tasks
    assert usual.artifact.wheels


def test_the_models_made_for_a_task_come_before_the_general_ones():
    names = [entry.name for entry in catalog.models_for("refine")]
    assert names[0] == "augmentlm-0.5b-refine"
    assert names.index("qwen2-7b-instruct-refine") < names.index("qwen2.5-coder-1.5b-instruct")


def test_the_embedded_family_shares_one_base_and_has_a_larger_one_for_new_data():
    family = [entry for entry in catalog.models().values() if entry.family == "embedded"]
    small = [entry for entry in family if entry.base == "qwen2.5-coder-0.5b-instruct"]
    assert {entry.tasks[0] for entry in small} == {"refine", "expand", "pair"}
    assert len({entry.artifact.name for entry in small}) == 1
    assert {entry.name for entry in family if entry not in small} == {"augmentlm-1.5b-expand", "augmentlm-1.5b-pair"}


def test_the_five_published_checkpoints_are_there_and_stop_at_both_tokens():
    published = [entry for entry in catalog.models().values() if entry.family.startswith("hub-")]
    assert len(published) == 5
    for entry in published:
        assert entry.style == "tuned"
        assert set(entry.chat.stop_ids) == {151643, 151645}
        assert entry.artifact.hub.repo.startswith("alibaba-pai/Qwen2-")


def test_every_single_file_has_a_digest_a_size_and_a_pinned_commit():
    for entry in catalog.models().values():
        for artifact in (entry.artifact, *entry.parts):
            if artifact.format != "repository":
                assert re.fullmatch(r"[0-9a-f]{64}", artifact.sha256)
                assert re.fullmatch(r"[0-9a-f]{40}", artifact.hub.revision)
                assert artifact.bytes > 0


def test_an_unknown_model_is_answered_with_the_nearest_names():
    with pytest.raises(UnknownModelError, match=r"Did you mean .*qwen2-7b-instruct-refine"):
        catalog.model("qwen2-7b-refine")
    with pytest.raises(UnknownModelError, match="augmentlm models"):
        catalog.model("☃")


def test_every_task_has_sampling_defaults():
    for task in TASKS:
        assert catalog.default_sampling(task).max_tokens >= 1024
