"""Who stands against whom: a catalog model in some quantization, or a model behind a server."""

from __future__ import annotations

from dataclasses import dataclass, field

from augmentlm import catalog
from augmentlm.augmenter import Augmenter, load
from augmentlm.catalog import Family
from augmentlm.distill.samples import System
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import InputError
from augmentlm.machine import Plan, inspect, plan
from augmentlm.tasks import Task
from augmentlm.weights import Progress
from augmentlm.weights.disk import size_of
from augmentlm.weights.pulled import find

ALIASES: dict[str, Family] = {"embedded": "embedded", "reference": "reference"}


@dataclass(frozen=True)
class Contender:
    """A model that takes part. `price` is that of a million tokens read and a million written, where it is known."""

    model: str
    quantization: str | None = None
    endpoint: str | None = None
    api_key: str | None = field(default=None, repr=False)
    price: tuple[float, float] | None = None

    def load(self, task: Task, pool: EnginePool | None, progress: Progress | None = None) -> Augmenter:
        return load(
            task,
            self.model,
            quantization=self.quantization,
            endpoint=self.endpoint,
            api_key=self.api_key,
            pool=pool,
            progress=progress,
        )

    def weights(self) -> dict[str, str]:
        """What identifies the weights: digests, the commit of a repository once it is downloaded, or the server."""
        return System(self.model, self.endpoint).weights()

    @property
    def plan(self) -> Plan | None:
        """How it is run here; None behind a server."""
        if self.endpoint:
            return None
        return plan(find(self.model), inspect(), quantization=self.quantization)

    @property
    def disk_bytes(self) -> int | None:
        """Bytes of its files, the adapter's too; None behind a server."""
        if self.endpoint:
            return None
        model = find(self.model)
        folder = model.adapter.path if model.adapter else None
        return model.download_bytes + sum(map(size_of, folder.glob("*.safetensors")) if folder else ())


def resolve(name: str, task: Task) -> str:
    """A model's name, for `embedded` and `reference` that of the family's model for the task. Raises `InputError`."""
    family = ALIASES.get(name)
    if family is None:
        return name
    found = next((model.name for model in catalog.models_for(task) if model.family == family), None)
    if found is None:
        raise InputError(f"The {name} family has no model for {task}.", hint="`augmentlm models` lists the models.")
    return found


def check_pair(left: Contender, right: Contender, task: Task) -> None:
    """Raise `InputError` when these two are the same, or one of them can't be run here or can't do the task."""
    ways = [contender.plan for contender in (left, right)]
    for contender, way in zip((left, right), ways, strict=True):
        if way and task not in way.model.tasks:
            able = ", ".join(model.name for model in catalog.models_for(task))
            raise InputError(f"{way.model.title} can't do {task}.", hint=f"These can: {able}.")
        if not way and not contender.model:
            raise InputError(
                "A server needs the name of a model.", hint="Name it as the server does, such as qwen-max."
            )
    if same_model(left, right, ways):
        raise InputError(
            "Both sides are the same model.", hint="Choose another one, or another precision, for one of them."
        )


def same_model(left: Contender, right: Contender, ways: list[Plan | None]) -> bool:
    if (left.model, left.endpoint) != (right.model, right.endpoint):
        return False
    forms = {(way.engine, way.quantization) for way in ways if way}
    return len(forms) < 2


def takes_turns(left: Contender, right: Contender) -> bool:
    """Do both use one loaded base, which applies a single adapter at a time, so that one writes after the other?"""
    ways = [contender.plan for contender in (left, right)]
    if any(way is None for way in ways):
        return False
    first, second = (way.base for way in ways if way)
    return first == second
