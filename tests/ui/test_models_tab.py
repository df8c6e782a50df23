"""The Models tab: a card for every model, what fits this computer, downloads and model cards."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest

from augmentlm import catalog
from augmentlm.machine import Gpu, Machine
from augmentlm.ui import cards
from augmentlm.ui.models import GROUPS, _Models
from augmentlm.ui.texts import LANGUAGES
from augmentlm.weights import is_cached
from tiny_weights import BODY, HUB_PATH, artifact

GB = 1024**3
SMALL = Machine(4 * GB, 3 * GB, 80 * GB, 2, frozenset())
ANNA = SimpleNamespace(session_hash="anna")
LARGE = Machine(64 * GB, 60 * GB, 800 * GB, 16, frozenset(), (Gpu("NVIDIA <A>", 24 * GB, 23 * GB, 8.9),))


@pytest.fixture
def tiny(monkeypatch) -> catalog.Model:
    """The smallest model of the catalog, cut down to a file of 400 kB."""
    tiny = replace(catalog.model("all-minilm-l6-v2"), artifact=artifact(wheels=False), parts=())
    monkeypatch.setattr(catalog, "models", lambda: {tiny.name: tiny})
    return tiny


@pytest.fixture
def tab(context, request):
    with gr.Tab() as page:
        return _Models(context(local=getattr(request, "param", True)), page)


def test_every_model_has_a_group() -> None:
    families = [family for group in GROUPS.values() for family in group]
    assert {model.family for model in catalog.models().values()} == set(families)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", catalog.models())
def test_every_card_says_size_licence_languages_and_fit(name, language) -> None:
    model = catalog.model(name)
    html = cards.card(model, SMALL, language)
    assert model.title in html
    assert re.search(r"<dd>[\d.]+ [MG]B", html)
    assert html.count("<dt>") == 3
    assert ("alm-fit" in html) == ("<table" in html) == (model.chat is not None)


def test_a_card_says_what_does_not_fit_and_what_would() -> None:
    html = cards.card(catalog.model("qwen2-7b-instruct-refine"), SMALL, "en")
    assert "Does not run here" in html
    assert "needs an 8 GB GPU or" in html
    assert "not stated" in html  # its licence


def test_a_card_says_how_a_model_runs_here() -> None:
    assert "Runs here: Q4_K_M on the processor, 1.4 GB of memory" in cards.card(
        catalog.model("augmentlm-0.5b-refine"), SMALL, "en"
    )
    assert "BF16 on the graphics card" in cards.card(catalog.model("qwen2-7b-instruct-refine"), LARGE, "en")


def test_the_computer_is_described_in_a_line() -> None:
    line = cards.computer(LARGE, "en")
    assert "64.0 GB of memory (60.0 GB free), 16 processor cores, NVIDIA &lt;A&gt; (24.0 GB)" in line
    assert "no graphics card" in cards.computer(SMALL, "en")


@pytest.mark.parametrize("name", catalog.models())
def test_every_model_card_can_be_read(name) -> None:
    html = cards.about(catalog.model(name))
    assert "<h1>" in html
    assert "---" not in html


def test_a_model_card_is_markdown_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(catalog, "cards_folder", lambda: tmp_path)
    (tmp_path / "all-minilm-l6-v2").mkdir()
    (tmp_path / "all-minilm-l6-v2" / "README.md").write_text(
        "---\nlicense: x\n---\n# Title\n\n<script>1</script> <img src=https://example.org/a.png>\n\n"
        "![picture](https://example.org/b.png) [bad](javascript:alert(1)) [good](https://example.org)\n\n"
        "`<|im_end|>`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    html = cards.about(catalog.model("all-minilm-l6-v2"))
    assert "license" not in html
    assert set(re.findall(r"<(\w+)", html)) == set("div h1 p a code table thead tbody tr th td".split())
    assert '<a href="https://example.org" target="_blank" rel="noopener noreferrer">good</a>' in html
    assert 'href="javascript' not in html
    assert "&lt;|im_end|&gt;" in html


def test_a_download_shows_its_progress_and_then_the_model_is_here(server, tiny, tab) -> None:
    server.put(HUB_PATH, BODY)
    [card] = tab.cards
    assert card.download.visible
    said = list(tab._download(tiny, threading.Event(), "en"))
    assert 'role="progressbar"' in said[0]
    assert said[-1] == ""
    assert is_cached(tiny.artifact)
    shown = tab._refresh(ANNA, "en")
    assert "here already" in shown[card.body]
    assert not shown[card.download]["visible"]


def test_a_download_that_is_cancelled_can_be_taken_up_again(server, tiny, tab) -> None:
    server.put(HUB_PATH, BODY)
    flag = threading.Event()
    flag.set()
    assert "Cancelled; what was downloaded is kept" in list(tab._download(tiny, flag, "en"))[-1]
    assert tab._refresh(ANNA, "en")[tab.cards[0].download]["visible"]


def test_a_download_that_fails_says_why(server, tiny, tab) -> None:
    server.put(HUB_PATH, bytes(len(BODY)))
    assert "wrong digest" in list(tab._download(tiny, threading.Event(), "en"))[-1]
    assert tab._refresh(ANNA, "en")[tab.cards[0].download]["visible"]


def test_a_download_that_never_began_says_so_and_can_be_asked_for_again(tiny, tab) -> None:
    events = {event.name: event for event in gr.context.Context.root_block.fns.values()}
    [card] = tab.cards
    begun = events["begin"].fn(ANNA, "en")
    assert "Starting…" in begun[card.note] and begun[card.cancel]["visible"]
    failed = events["fail"]
    assert failed.trigger_only_on_failure and failed.trigger_after == events["download"]._id
    assert {card.note, card.download, card.cancel} <= set(failed.outputs)
    for language, said in (("en", "This did not begin"), ("zh", "未能开始")):
        shown = failed.fn(ANNA, language)
        assert said in shown[card.note]
        assert shown[card.download]["visible"] and not shown[card.cancel]["visible"]


def test_a_download_that_goes_on_is_not_offered_again(tiny, tab) -> None:
    events = {event.name: event for event in gr.context.Context.root_block.fns.values()}
    [card] = tab.cards
    events["begin"].fn(ANNA, "en")
    selected = events["_refresh"]
    assert not selected.fn(ANNA, "en")[card.download]["visible"]
    assert selected.fn(SimpleNamespace(session_hash="ben"), "en")[card.download]["visible"]
    events["cancel"].fn(ANNA)
    assert selected.fn(ANNA, "en")[card.download]["visible"]


@pytest.mark.parametrize("tab", [False], indirect=True)
def test_strangers_are_offered_no_downloads(server, tiny, tab) -> None:
    assert not tab.cards[0].download.visible
    assert not tab._refresh(ANNA, "en")[tab.cards[0].download]["visible"]
