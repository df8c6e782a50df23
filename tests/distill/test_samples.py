import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from augmentlm import catalog
from augmentlm.augmenter import load
from augmentlm.catalog import Adapter
from augmentlm.distill import rows
from augmentlm.distill.prompts import Prompt
from augmentlm.distill.samples import Sample, System, sample
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import EngineError, InputError, UnknownModelError
from augmentlm.tasks import Pair
from scripted_cli import ScriptedPool
from scripted_refusals import RefusingEngine, filtered, too_long

BASE = System("qwen2.5-coder-0.5b-instruct")
OURS = System("augmentlm-0.5b-refine")
PROMPTS = [Prompt(f"p-{number}", f"write about {animal}") for number, animal in enumerate(("dogs", "cats", "owls"))]


class Counted:
    """A script that counts its requests, and may break after some."""

    def __init__(self, breaks_after: int | None = None) -> None:
        self.requests = []
        self.breaks_after = breaks_after

    def __call__(self, request) -> str:
        if len(self.requests) == self.breaks_after:
            raise EngineError("The engine broke.")
        self.requests.append(request)
        return f"Write text number {len(self.requests)}."

    @property
    def pool(self) -> ScriptedPool:
        return ScriptedPool(ScriptedEngine(self))


def test_every_prompt_gets_its_samples_each_with_a_seed_of_its_own(tmp_path):
    script = Counted()
    made = sample("refine", BASE, PROMPTS, tmp_path, samples=2, pool=script.pool)
    assert [(each.prompt.id, each.number) for each in made] == [(f"p-{n}", k) for k in (0, 1) for n in (0, 1, 2)]
    assert len({request.sampling.seed for request in script.requests}) == 6


def test_a_copy_among_the_samples_of_a_prompt_is_asked_for_again_as_the_product_does(tmp_path):
    texts = iter(["Name a river in Asia.", "Name a river in Asia.", "Describe an old lighthouse."])
    made = sample(
        "expand", BASE, PROMPTS[:1], tmp_path, samples=2, pool=ScriptedPool(ScriptedEngine(lambda request: next(texts)))
    )
    assert [each.text for each in made] == ["Name a river in Asia.", "Describe an old lighthouse."]
    assert [each.tries for each in made] == [1, 2]


def test_a_row_says_what_made_it(tmp_path):
    sample("refine", BASE, PROMPTS[:1], tmp_path, pool=Counted().pool)
    (row,) = rows.read(tmp_path / "qwen2.5-coder-0.5b-instruct.jsonl")
    assert row["id"] == "p-0" and row["sample"] == 0 and row["text"] == "Write text number 1."
    assert (
        row["model"] == BASE.model
        and row["engine"] == load("refine", BASE.model, purpose="batch").engine
        and row["seed"] is not None
    )
    assert row["sampling"] == {"temperature": 0.3, "top_p": 0.9, "top_k": 50, "max_tokens": 1024}
    artifact = catalog.model(BASE.model).artifact
    assert row["weights"] == {artifact.name: f"sha256:{artifact.sha256}"}


def test_a_rerun_asks_for_nothing_and_gives_the_same(tmp_path):
    first = sample("refine", BASE, PROMPTS, tmp_path, pool=Counted().pool)
    again = Counted()
    assert sample("refine", BASE, PROMPTS, tmp_path, pool=again.pool) == first
    assert again.requests == []


def test_a_run_that_broke_goes_on_with_the_missing_rows(tmp_path):
    with pytest.raises(EngineError, match="broke"):
        sample("refine", BASE, PROMPTS, tmp_path, samples=2, pool=Counted(breaks_after=4).pool)
    path = tmp_path / "qwen2.5-coder-0.5b-instruct.jsonl"
    assert len(rows.read(path)) == 4
    with path.open("ab") as file:
        file.write(b'{"id": "p-1", "sam')  # and a kill tore the next
    rest = Counted()
    assert len(sample("refine", BASE, PROMPTS, tmp_path, samples=2, pool=rest.pool)) == 6
    assert len(rest.requests) == 2


def test_more_prompts_and_more_samples_add_to_what_is_there(tmp_path):
    sample("refine", BASE, PROMPTS[:2], tmp_path, pool=Counted().pool)
    more = Counted()
    sample("refine", BASE, PROMPTS, tmp_path, samples=3, pool=more.pool)
    assert len(more.requests) == 3 * 3 - 2
    assert len(sample("refine", BASE, PROMPTS[:1], tmp_path, pool=more.pool)) == 1


def test_a_prompt_that_was_edited_is_asked_anew(tmp_path):
    sample("refine", BASE, PROMPTS, tmp_path, pool=Counted().pool)
    again = Counted()
    made = sample("refine", BASE, [Prompt("p-0", "write about newts"), *PROMPTS[1:]], tmp_path, pool=again.pool)
    assert len(again.requests) == 1 and "newts" in again.requests[0].messages[-1].content
    assert len(made) == 3


def test_rows_of_other_settings_are_not_mixed_in(tmp_path):
    sample("refine", BASE, PROMPTS, tmp_path, max_tokens=160, pool=Counted().pool)
    with pytest.raises(InputError, match="another sampling"):
        sample("refine", BASE, PROMPTS, tmp_path, pool=Counted().pool)


def test_rows_of_an_adapter_that_was_trained_anew_are_not_mixed_in(tmp_path, monkeypatch):
    real = catalog.model
    monkeypatch.setattr(catalog, "cards_folder", lambda: tmp_path)
    monkeypatch.setattr(catalog, "model", lambda name: replace(real(name), adapter=Adapter("mine")))
    (tmp_path / "mine").mkdir()
    weights = tmp_path / "mine" / "adapter_model.safetensors"
    weights.write_bytes(b"first")
    sample("refine", OURS, PROMPTS, tmp_path / "out", pool=Counted().pool)
    weights.write_bytes(b"second")
    with pytest.raises(InputError, match="another weights"):
        sample("refine", OURS, PROMPTS, tmp_path / "out", pool=Counted().pool)
    weights.unlink()
    with pytest.raises(InputError, match="no weights in"):
        OURS.weights()


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "qwen2.5-coder-0.5b-instruct.jsonl").write_text('{"prompt": "mine"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="other rows"):
        sample("refine", BASE, PROMPTS, tmp_path, pool=Counted().pool)


@pytest.mark.parametrize("lacking", ["candidates", "tries"])
def test_rows_of_an_older_version_are_refused_as_what_they_are(tmp_path, lacking):
    path = tmp_path / f"{BASE.file_name}.jsonl"
    sample("refine", BASE, PROMPTS[:1], tmp_path, pool=Counted().pool)
    (row,) = rows.read(path)
    path.unlink()
    rows.append(path, {name: value for name, value in row.items() if name != lacking})
    with pytest.raises(InputError, match=r"older version made.* move the file away"):
        sample("refine", BASE, PROMPTS[:1], tmp_path, pool=Counted().pool)
    assert len(sample("refine", BASE, PROMPTS[1:], tmp_path, pool=Counted().pool)) == 2  # which asks for no such row


def test_stopping_keeps_whole_rows_and_no_torn_text(tmp_path):
    stop = threading.Event()
    script = Counted()

    def stopping(request):
        if len(script.requests) == 1:
            stop.set()
        return script(request)

    made = sample("refine", BASE, PROMPTS, tmp_path, pool=ScriptedPool(ScriptedEngine(stopping)), stop=stop)
    assert [each.prompt.id for each in made] == ["p-0"]
    assert len(rows.read(tmp_path / "qwen2.5-coder-0.5b-instruct.jsonl")) == 1


def test_progress_tells_of_every_row(tmp_path):
    heard = []
    sample("refine", BASE, PROMPTS, tmp_path, pool=Counted().pool, told=lambda *news: heard.append(news))
    assert heard == [(BASE.model, done, 3) for done in (0, 1, 2, 3)]


def test_checks_are_those_of_today_not_of_the_row():
    found = Sample("refine", Prompt("p", "3 facts about Mars"), 0, "List facts about Mars.", "stop").findings
    assert [finding.code for finding in found] == ["facts_lost"]


def test_of_a_pair_the_instruction_is_the_output():
    pairs = [Pair("Name a fruit.", "Apple."), Pair("Name a bird.", "Wren.")]
    text = "### Instruction\n\nName a metal.\n\n### Response\n\nIron."
    assert Sample("pair", Prompt("p", pairs), 0, text, "stop").output == "Name a metal."
    assert Sample("pair", Prompt("p", pairs), 0, "Iron.", "stop").output is None


def test_a_reader_sees_of_a_pair_what_is_given_out_and_of_other_texts_all():
    pairs = [Pair("Name a fruit.", "Apple."), Pair("Name a bird.", "Wren.")]
    text = "### Instruction\n\nName a metal.\n\n### Response\n\nIron."
    assert Sample("pair", Prompt("p", pairs), 0, f"{text}\n\n### Instruction\n\nName a", "length").shown == text
    assert Sample("pair", Prompt("p", pairs), 0, "Sure! Iron.\n", "stop").shown == "Sure! Iron."
    assert Sample("refine", Prompt("p", "metal"), 0, " Name a metal.\n", "stop").shown == "Name a metal."


def test_a_system_is_a_name_or_a_name_at_an_address():
    assert System.named(BASE.model) == BASE
    served = System.named("org/qwen-max@http://127.0.0.1:8000/v1")
    assert (served.model, served.endpoint) == ("org/qwen-max", "http://127.0.0.1:8000/v1")
    assert served.file_name == "org--qwen-max" and served.weights() == {"endpoint": served.endpoint}
    with pytest.raises(UnknownModelError):
        System.named("qwen-max")
    with pytest.raises(InputError, match="no address"):
        System.named("qwen-max@127.0.0.1")


def test_a_repository_is_told_by_its_commit_once_that_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path))
    system = System("qwen2-1.5b-instruct-exp")
    assert system.weights() == {"qwen2-1.5b-instruct-exp": "not downloaded"}
    lock = {"repo": "alibaba-pai/Qwen2-1.5B-Instruct-Exp", "commit": "a" * 40, "files": []}
    Path(tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "qwen2-1.5b-instruct-exp.lock.json").write_text(json.dumps(lock), encoding="utf-8")
    assert system.weights() == {"qwen2-1.5b-instruct-exp": f"commit:{'a' * 40}"}


# ---- what a system takes no part in ---------------------------------------------------------------------------------


def cats(request) -> bool:
    return "cats" in request.messages[-1].content


@pytest.mark.parametrize("fault", [filtered, too_long])
def test_a_prompt_that_fails_even_alone_is_a_sample_without_text(tmp_path, fault):
    engine = RefusingEngine(Counted(), cats, fault)
    made = sample("refine", BASE, PROMPTS, tmp_path, samples=2, pool=ScriptedPool(engine))
    assert [(each.prompt.id, each.number) for each in made] == [(f"p-{n}", k) for k in (0, 1) for n in (0, 1, 2)]
    assert {each.prompt.id for each in made if not each.text} == {"p-1"}
    assert [finding.code for finding in made[1].findings] == ["form"] and made[1].output is None
    kept = [row for row in rows.read(tmp_path / f"{BASE.file_name}.jsonl") if row["id"] == "p-1"]
    assert [row["reasons"] for row in kept] == [[{"code": "refused", "evidence": str(fault())}]] * 2
    count = len(engine.asked)
    assert sample("refine", BASE, PROMPTS, tmp_path, samples=2, pool=ScriptedPool(engine)) == made
    assert len(engine.asked) == count


def test_a_pair_prompt_may_be_refused_too(tmp_path):
    prompts = [
        Prompt(f"p-{word}", [Pair(f"Name a {word}.", "One."), Pair(f"Name another {word}.", "Two.")])
        for word in ("fruit", "cats")
    ]
    text = "### Instruction\n\nDescribe a metal.\n\n### Response\n\nIron is grey."
    made = sample("pair", BASE, prompts, tmp_path, pool=ScriptedPool(RefusingEngine(lambda request: text, cats)))
    assert {each.prompt.id: each.text for each in made} == {"p-fruit": text, "p-cats": ""}


def test_a_refused_prompt_costs_no_other_row_not_even_one_that_is_tried_again(tmp_path):
    """The texts for dogs come back as they were given until the third time."""
    asked = []

    def script(request) -> str:
        asked.append(request)
        if "owls" in request.messages[-1].content or len(asked) > 4:
            return "Describe an old lighthouse."
        return "write about dogs"

    made = sample("expand", BASE, PROMPTS, tmp_path, pool=ScriptedPool(RefusingEngine(script, cats)))
    assert {each.prompt.id: bool(each.text) for each in made} == {"p-0": True, "p-1": False, "p-2": True}


def test_a_system_that_refuses_everything_ends_the_run_and_is_asked_again(tmp_path):
    engine = RefusingEngine(Counted(), lambda request: True)
    with pytest.raises(EngineError, match="content filter"):
        sample("refine", BASE, PROMPTS, tmp_path, pool=ScriptedPool(engine))
    assert rows.read(tmp_path / f"{BASE.file_name}.jsonl") == []
    made = sample("refine", BASE, PROMPTS, tmp_path, pool=Counted().pool)
    assert all(each.text for each in made)
