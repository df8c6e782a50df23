"""Models as HTML: what each is and does, how it fits this computer, and its model card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from augmentlm.catalog import Model
from augmentlm.errors import AugmentLMError, InputError, MissingExtraError
from augmentlm.machine import GB, Device, Fit, Machine, plan, variants
from augmentlm.ui import faults
from augmentlm.ui.markup import escape, size
from augmentlm.ui.texts import say
from augmentlm.weights import is_cached
from augmentlm.weights import pulled as weights

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import OptionsDict

_MARK = re.compile(r"^<!-- [\w ]+ -->$\n?", re.MULTILINE)
"""Between two of them stands what a program puts into the card."""

_LICENCES = {"apache-2.0": "Apache 2.0", "mit": "MIT"}


def computer(machine: Machine, language: str) -> str:
    """What this computer has, in a line."""
    gpu = f"{machine.gpu.name} ({_memory(machine.gpu.total_bytes)})" if machine.gpu else say(language, "models.no_gpu")
    line = say(
        language,
        "models.machine",
        ram=_memory(machine.ram_total),
        free=_memory(machine.ram_available),
        cores=machine.cpu_cores,
        gpu=gpu,
        disk=size(machine.disk_free),
    )
    return f'<p class="alm-quiet">{escape(line)}</p>'


def card(model: Model, machine: Machine, language: str) -> str:
    """One model: what it does, its size, licence and languages, and whether and how it runs here."""
    facts = [
        ("size", size(model.download_bytes) + _here(model, language)),
        ("licence", _LICENCES.get(model.licence, say(language, "models.licence_unknown"))),
        ("languages", ", ".join(say(language, f"models.{code}") for code in model.languages)),
    ]
    listed = "".join(
        f"<div><dt>{escape(say(language, f'models.{key}'))}</dt><dd>{escape(value)}</dd></div>" for key, value in facts
    )
    name = f'<p class="alm-card-name"><code>{escape(model.name)}</code></p>' if model.name != model.title else ""
    return (
        f'<h3 class="alm-card-title">{escape(model.title)}</h3>'
        f"{name}"
        f'<p class="alm-does">{escape(_does(model, language))}</p><dl class="alm-card-facts">{listed}</dl>'
        f"{_fit(model, machine, language)}{_ways(model, machine, language)}"
    )


def pulled(models: Sequence[Model], machine: Machine, language: str) -> str:
    """Adapters of the hub, each with the card that came with it."""
    title = f'<h2 class="alm-panel-title">{escape(say(language, "models.pulled"))}</h2>'
    return f'{title}<div class="alm-cards">{"".join(_adapter(model, machine, language) for model in models)}</div>'


def _adapter(model: Model, machine: Machine, language: str) -> str:
    try:
        text = _rendered(weights.card(model.name))
    except InputError as error:
        text = f"<p>{escape(' '.join(faults.words(error, language)))}</p>"
    folded = f'<details class="alm-folded"><summary>{escape(say(language, "models.card"))}</summary>{text}</details>'
    return f'<div class="alm-card">{card(model, machine, language)}{folded}</div>'


def about(model: Model) -> str:
    """The model card. Markdown alone: HTML in it is shown as text, and pictures, which may be remote, are links."""
    return _rendered(model.card.read_text(encoding="utf-8"))


def _rendered(text: str) -> str:
    if text.startswith("---\n"):  # metadata for the hub
        text = text.split("\n---\n", 1)[-1]
    text = _MARK.sub("", text)
    return f'<div class="alm-about">{_markdown().render(text)}</div>'


def runs_here(model: Model, machine: Machine) -> bool:
    """Whether there is any use in downloading it."""
    return model.chat is None or any(way.fits for way in variants(model, machine))


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    reader.add_render_rule("link_open", _link)
    return reader


def _link(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    """A link leaves the page where it is."""
    tokens[index].attrs |= {"target": "_blank", "rel": "noopener noreferrer"}
    return renderer.renderToken(tokens, index, options, env)


def _here(model: Model, language: str) -> str:
    return f" · ✓ {say(language, 'models.downloaded')}" if is_cached(model.artifact) else ""


def _does(model: Model, language: str) -> str:
    if model.family in ("base", "reference", "embedder"):
        return say(language, f"models.does_{model.family}")
    tasks = model.tasks if model.family == "pulled" else model.tasks[:1]
    return ", ".join(say(language, f"models.does_{task}") for task in tasks)


def _fit(model: Model, machine: Machine, language: str) -> str:
    if model.chat is None:
        return ""
    try:
        chosen = plan(model, machine)
    except AugmentLMError as error:
        missing = isinstance(error, MissingExtraError)
        state, key, mark = ("warn", "fits_after", "!") if missing else ("bad", "fits_not", "✗")
        said, more = say(language, f"models.{key}"), f" {' '.join(faults.words(error, language))}"
    else:
        state, mark, more = "good", "✓", ""
        how = f"{chosen.quantization.upper()} {_place(chosen.device, language)}"
        # Without a GPU the published checkpoints run, at a few words a second.
        key = "fits_slowly" if chosen.engine == "transformers" and chosen.device == "cpu" else "fits"
        said = say(language, f"models.{key}", how=how, bytes=_memory(chosen.bytes_needed))
    sign = f'<span aria-hidden="true">{mark}</span>'
    return f'<p class="alm-fit {state}">{sign} <span><strong>{escape(said)}</strong>{escape(more)}</span></p>'


def _ways(model: Model, machine: Machine, language: str) -> str:
    """Every form of the model and the memory it takes, behind a line to click."""
    ways = variants(model, machine)
    if not ways:
        return ""
    head = "".join(
        f'<th scope="col">{escape(say(language, f"models.{key}"))}</th>' for key in ("way", "memory", "here")
    )
    return (
        f'<details class="alm-folded"><summary>{escape(say(language, "models.all_ways"))}</summary>'
        f'<table class="alm-ways"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(_way(way, language) for way in ways)}</tbody></table></details>"
    )


def _way(way: Fit, language: str) -> str:
    answer = say(language, "models.yes" if way.fits else "models.no")
    cells = (
        f"{way.quantization.upper()} {_place(way.device, language)}",
        _memory(way.bytes_needed),
        f"{'✓' if way.fits else '✗'} {answer}",
    )
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _place(device: Device, language: str) -> str:
    return say(language, "models.on_gpu" if device == "cuda" else "models.on_cpu")


def _memory(count: int) -> str:
    """Memory is counted in binary gigabytes, as it is sold."""
    return f"{count / GB:.1f} GB"
