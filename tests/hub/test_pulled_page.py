"""What was pulled from the hub, as its owner meets it: its card, and its place in the app's lists of models."""

from __future__ import annotations

import json
from types import SimpleNamespace

import gradio as gr
import pytest

from augmentlm.cli import main
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.ui import entrants, options
from augmentlm.ui.context import Context
from augmentlm.ui.models import _Models
from augmentlm.ui.readiness import Readiness
from augmentlm.weights import pulled
from scripted_cli import ScriptedPool

CARD = "---\nlicense: mit\n---\n# Hers\n\nMakes prompts \x1b[31mred <script>1</script>.\n"
CONFIG = {"peft_type": "LORA", "base_model_name_or_path": "Qwen/Qwen2.5-Coder-0.5B-Instruct"}
FILES = {
    "adapter_config.json": json.dumps(CONFIG).encode(),
    "adapter_model.safetensors": bytes(100),
    "training.json": b'{"recipe": {"task": "refine"}}',
}
OTHERS = {"config.json": b"{}", "model.safetensors": bytes(100)}


@pytest.fixture
def home(hub, tmp_path, monkeypatch):
    """An empty cache, and two repositories of another person: an adapter, and a whole model."""
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "home"))
    hub.put("eve/hers", {**FILES, "README.md": CARD.encode()})
    hub.put("eve/whole", OTHERS)


@pytest.fixture
def page():
    """What a page shares, for the owner of the computer or for strangers."""

    def make(local=True) -> Context:
        return Context(ScriptedPool(ScriptedEngine()), gr.BrowserState(""), Readiness(lambda progress: None), local)

    with gr.Blocks():
        yield make


def listed(context: Context, task: str) -> list[str]:
    return [name for _, name in options._models(context, task, "en")]


def test_the_card_of_what_was_pulled_is_shown_without_a_network(hub, home, monkeypatch, capsys) -> None:
    assert main(["models", "pull", "eve/hers"]) == 0
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.asked.clear()
    capsys.readouterr()
    assert main(["models", "card", "eve/hers"]) == 0
    assert capsys.readouterr().out == CARD.replace("\x1b", "") and hub.asked == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("eve/hers", "eve/hers is not on this machine. Run `augmentlm models pull eve/hers` first."),
        ("eve/whole", "eve/whole came without a card. Look at its page on the hub."),
        ("eve/../hers", "is not the name of a repository. Write OWNER/NAME"),
    ],
)
def test_a_card_that_is_not_here_is_a_sentence_with_a_hint(hub, home, capsys, name, said) -> None:
    pulled.pull("eve/whole")
    hub.asked.clear()
    assert main(["models", "card", name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and hub.asked == []


def test_a_pulled_adapter_stands_in_the_lists_of_its_task(home, page) -> None:
    context = page()
    assert "eve/hers" not in listed(context, "refine")
    pulled.pull("eve/hers")
    pulled.pull("eve/whole")
    assert listed(context, "refine")[-1] == "eve/hers"
    assert not {"eve/hers", "eve/whole"} & set(listed(context, "expand"))
    assert ("eve/hers", "eve/hers") in entrants._models(context, "en")
    chosen = options.Settings(model="eve/hers")
    options.permit(context, chosen)
    assert chosen.augmenter("refine", context.pool)("write about dogs").model == "eve/hers"


def test_the_models_tab_shows_it_with_its_card_as_text(home, page) -> None:
    with gr.Tab() as place:
        tab = _Models(page(), place)
    assert tab.pulled.value == ""
    pulled.pull("eve/hers")
    visitor = SimpleNamespace(session_hash="anna")
    shown = tab._refresh(visitor, "en")[tab.pulled]
    assert "Adapters from the hub" in shown and "improves prompts" in shown and "<h1>Hers</h1>" in shown
    assert "<script>" not in shown and "license: mit" not in shown and "not stated" in shown
    pulled.pull("eve/whole")
    assert "eve/whole" not in tab._refresh(visitor, "en")[tab.pulled]


def test_strangers_see_nothing_of_what_was_pulled(home, page) -> None:
    pulled.pull("eve/hers")
    context = page(local=False)
    assert "eve/hers" not in listed(context, "refine")
    assert "eve/hers" not in str(entrants._models(context, "en"))
    with gr.Tab() as place:
        assert _Models(context, place).pulled.value == ""
    with pytest.raises(Exception, match="no model called 'eve/hers'"):
        options.permit(context, options.Settings(model="eve/hers"))
