"""The "Options" below every run button: which model, how it chooses words, or another server."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import gradio as gr

from augmentlm import catalog
from augmentlm.augmenter import Augmenter, load
from augmentlm.catalog import Model
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import InputError
from augmentlm.machine import BITS, inspect, variants
from augmentlm.tasks import Task
from augmentlm.ui import markup
from augmentlm.ui.context import PRIVATE, Context
from augmentlm.ui.texts import Language, say
from augmentlm.weights import Progress, is_cached, pulled


@dataclass(frozen=True)
class Settings:
    """What the visitor chose; None and empty mean "automatic"."""

    model: str = ""
    quantization: str = ""
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_tokens: float | None = None
    seed: str | float | None = None
    endpoint: str = ""
    endpoint_model: str = ""
    api_key: str = ""

    def augmenter(self, task: Task, pool: EnginePool, progress: Progress | None = None) -> Augmenter:
        if self.endpoint.strip():
            return load(
                task,
                self.endpoint_model.strip() or None,
                endpoint=self.endpoint.strip(),
                api_key=self.api_key.strip() or None,
            )
        return load(task, self.model or None, quantization=self.quantization or None, pool=pool, progress=progress)

    def is_usual(self, task: Task) -> bool:
        """Whether nothing was chosen but what the task does by itself. Raises `InputError`."""
        usual = catalog.default_sampling(task)
        sampling = {name: getattr(usual, name) if value is None else value for name, value in self.sampling.items()}
        return not (self.model or self.quantization or self.endpoint.strip()) and sampling == asdict(usual)

    @property
    def sampling(self) -> dict[str, float | int | None]:
        return {
            "temperature": _number("temperature", self.temperature),
            "top_p": _number("top_p", self.top_p),
            "top_k": _whole("top_k", self.top_k),
            "max_tokens": _whole("max_tokens", self.max_tokens),
            "seed": _seed(self.seed),
        }


def _seed(value: str | float | None) -> int | None:
    """A seed as typed; nothing typed is none."""
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if not text.isdecimal():
            raise InputError(f"“{text}” is not a seed.", hint="Give a whole number from 0 up, or leave it empty.")
        return int(text)
    return _whole("seed", value)


def _number(name: str, value: Any) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise InputError(f"{name} is not a number.", hint="Give a number, or leave it empty.")
    return value


def _whole(name: str, value: Any) -> int | None:
    number = _number(name, value)
    if number is not None and (number < 0 or number != int(number)):
        raise InputError(f"{name} is {number:g}.", hint="Give a whole number from 0 up.")
    return None if number is None else int(number)


def build(context: Context, task: Task) -> list[Any]:
    """Draw the accordion; the components come back in the order of `Settings`."""
    words, usual = context.words, catalog.default_sampling(task)
    with words(gr.Accordion, {"label": "common.options"}, open=False, elem_classes="alm-options"):
        with gr.Row():
            model = model_list(context, task)
            quantization = words(
                gr.Dropdown,
                {
                    "label": "options.precision",
                    "info": "options.precision_info",
                    "choices": lambda language: precisions(task, language),
                },
                value="",
                filterable=False,
            )
        with gr.Row():
            temperature = _slider(context, "temperature", 0, 1.5, 0.05, usual.temperature)
            top_p = _slider(context, "top_p", 0.05, 1, 0.05, usual.top_p)
        with gr.Row():
            top_k = _slider(context, "top_k", 0, 200, 1, usual.top_k)
            max_tokens = _slider(context, "max_tokens", 16, 2048, 16, usual.max_tokens)
        # Not a number box: Gradio's turns "nothing" into 0 when it is first shown, and then every result is the same.
        seed = words(gr.Textbox, {"label": "options.seed", "info": "options.seed_info"}, max_lines=1)
        # A server's own address and key belong to its owner: strangers could reach into its network with them.
        with words(gr.Accordion, {"label": "options.server"}, open=False, visible=context.local):
            words(
                gr.HTML, {"value": lambda language: f'<p class="alm-hint">{say(language, "options.server_info")}</p>'}
            )
            with gr.Row():
                endpoint = words(gr.Textbox, {"label": "options.endpoint"}, placeholder="http://127.0.0.1:8000/v1")
                endpoint_model = words(gr.Textbox, {"label": "options.endpoint_model"}, placeholder="qwen-max")
                api_key = words(
                    gr.Textbox, {"label": "options.api_key", "info": "options.api_key_info"}, type="password"
                )
    return [model, quantization, temperature, top_p, top_k, max_tokens, seed, endpoint, endpoint_model, api_key]


def model_list(context: Context, task: Task, label: str = "options.model") -> gr.Dropdown:
    """The models that do a task, each with what it has to download first."""

    def choices(language: Language) -> list[tuple[str, str]]:
        return _models(context, task, language)

    models = context.words(gr.Dropdown, {"label": label, "choices": choices}, value="", filterable=False)
    # What had to be downloaded may be here by now, and more may have been pulled.
    models.focus(
        lambda language: gr.update(choices=choices(language)), context.language, models, queue=False, **PRIVATE
    )
    return models


def read(context: Context, values: tuple[Any, ...]) -> Settings:
    """The settings from the values of the components that `build` gave."""
    # A text box that nobody has touched holds None.
    chosen = Settings(
        *(
            "" if value is None and field.type == "str" else value
            for field, value in zip(fields(Settings), values, strict=True)
        )
    )
    permit(context, chosen)
    return chosen


def permit(context: Context, chosen: Settings) -> None:
    """Raise `InputError` for what strangers may not ask of somebody's server."""
    if context.local:
        return
    if chosen.endpoint.strip():
        raise InputError("Other servers can't be used from here.", hint="Run AugmentLM on your own computer.")
    if chosen.model and not _comes_to_strangers(catalog.model(chosen.model)):
        raise InputError(
            "That model is not downloaded here, and larger downloads are switched off.", hint="Choose another model."
        )


def _comes_to_strangers(entry: Model) -> bool:
    """Whether its weights are here, or are those of the embedded family and the reference: two small files, which the
    tasks fetch by themselves and Compare begins with."""
    small = {one.artifact for one in catalog.models().values() if one.family in ("embedded", "reference")}
    return entry.artifact in small or is_cached(entry.artifact)


def _slider(context: Context, name: str, low: float, high: float, step: float, value: float) -> gr.Slider:
    return context.words(
        gr.Slider,
        {"label": f"options.{name}", "info": f"options.{name}_info"},
        minimum=low,
        maximum=high,
        step=step,
        value=value,
    )


def pulled_adapters(context: Context) -> list[Model]:
    """What the owner of this computer took from the hub to be run by name; nothing where strangers visit."""
    return pulled.adapters() if context.local else []


def _models(context: Context, task: Task, language: Language) -> list[tuple[str, str]]:
    choices = [(say(language, "options.automatic"), "")]
    for entry in (*catalog.models_for(task), *(one for one in pulled_adapters(context) if task in one.tasks)):
        note = (
            ""
            if is_cached(entry.artifact)
            else say(language, "options.to_download", size=markup.size(entry.download_bytes))
        )
        choices.append((f"{entry.title} – {note}" if note else entry.title, entry.name))
    return choices


def precisions(task: Task, language: Language) -> list[tuple[str, str]]:
    """Those in which some model of the task runs on this computer, the smallest first."""
    here = inspect()
    ways = [way for entry in catalog.models_for(task) for way in variants(entry, here)]
    able = {way.quantization for way in ways if way.fits and way.engine == "transformers"}
    names = sorted(able, key=lambda name: BITS[name])
    return [(say(language, "options.precision_auto"), ""), *((name.upper(), name) for name in names)]
