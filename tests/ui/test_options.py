"""What the "Options" hold, and what strangers may not ask for."""

from __future__ import annotations

from contextlib import suppress

import pytest
from gradio.context import get_blocks_context

from augmentlm import catalog
from augmentlm.errors import InputError
from augmentlm.machine import Gpu, Machine
from augmentlm.tasks import TASKS
from augmentlm.ui import options
from augmentlm.ui.options import Settings
from scripted_page import USUAL


def test_untouched_options_leave_everything_to_the_task(context) -> None:
    chosen = options.read(context(), USUAL)
    assert chosen.sampling["seed"] is None
    assert chosen.augmenter("refine", context().pool).model == "augmentlm-0.5b-refine"


@pytest.mark.parametrize(("typed", "seed"), [("", None), (" ", None), (None, None), ("7", 7), (" 0 ", 0), (3.0, 3)])
def test_a_seed_is_what_was_typed(typed, seed) -> None:
    assert Settings(seed=typed).sampling["seed"] == seed


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"seed": "-1"}, "“-1” is not a seed."),
        ({"seed": "a"}, "“a” is not a seed."),
        ({"seed": 1.5}, "seed is 1.5."),
        ({"max_tokens": -3}, "max_tokens is -3."),
        ({"temperature": "hot"}, "temperature is not a number."),
        ({"top_p": True}, "top_p is not a number."),
    ],
)
def test_settings_that_make_no_sense_get_a_sentence(values, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        _ = Settings(**values).sampling


def test_a_server_is_asked_instead_of_a_model() -> None:
    augmenter = Settings(endpoint=" http://127.0.0.1:9/v1 ", endpoint_model="qwen-max").augmenter("refine", None)
    assert (augmenter.model, augmenter.engine) == ("qwen-max", "endpoint")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [({"endpoint": "http://10.0.0.1/v1"}, "Other servers"), ({"model": "qwen2-7b-instruct-refine"}, "not downloaded")],
)
def test_strangers_can_reach_no_other_server_and_start_no_download(
    context, monkeypatch, tmp_path, values, sentence
) -> None:
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path))
    options.permit(context(), Settings(**values))  # the owner may
    with pytest.raises(InputError, match=sentence):
        options.permit(context(local=False), Settings(**values))


def test_strangers_may_name_what_comes_by_itself_and_that_is_two_small_files(context, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path))
    page, allowed = context(local=False), []
    for entry in catalog.models().values():
        with suppress(InputError):
            options.permit(page, Settings(model=entry.name))
            allowed.append(entry)
    assert {catalog.usual_model(task).name for task in TASKS} <= {entry.name for entry in allowed}
    files = {entry.artifact.name: entry.download_bytes for entry in allowed}
    assert len(files) == 2 and sum(files.values()) < 2e9


def precisions(monkeypatch, cpu: frozenset[str], *gpus: Gpu) -> list[str]:
    here = Machine(64 * 2**30, 60 * 2**30, 500 * 2**30, 8, cpu, gpus)
    monkeypatch.setattr(options, "inspect", lambda: here)
    return [name for _, name in options.precisions("refine", "en")]


def test_the_precisions_are_those_in_which_something_runs_on_this_computer(monkeypatch) -> None:
    assert precisions(monkeypatch, frozenset()) == ["", "nf4", "fp32"]
    assert precisions(monkeypatch, frozenset({"avx512_bf16"})) == ["", "nf4", "bf16"]
    card = Gpu("a card", 24 * 2**30, 23 * 2**30, 8.9)
    assert precisions(monkeypatch, frozenset(), card) == ["", "nf4", "int8", "bf16", "fp32"]


def test_models_that_have_to_be_downloaded_say_how_much(context, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path))
    labels = {name: label for label, name in options._models(context(), "pair", "en")}
    assert labels[""] == "Automatic: the best that fits this computer"
    assert labels["qwen2-7b-instruct-response-exp"].endswith("downloads 15.2 GB first")


def test_the_list_of_models_is_read_anew_when_it_is_opened(context, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path))
    model = options.model_list(context(), "refine")
    events = get_blocks_context().fns.values()
    assert "downloads 15.2 GB first" in str(model.choices)
    (opened,) = [event for event in events if (model._id, "focus") in event.targets]
    monkeypatch.setattr(options, "is_cached", lambda artifact: True)  # the download is over
    assert "downloads" not in str(opened.fn("en")["choices"])
