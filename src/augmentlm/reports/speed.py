"""How fast a model is and how much memory it takes, alone in a process of its own.

As a program, `python -m augmentlm.reports.speed`, it reads a question as JSON and prints the answer as JSON.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from augmentlm import catalog
from augmentlm.distill.prompts import Prompt
from augmentlm.distill.samples import System
from augmentlm.drafts import write_text
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import EngineError
from augmentlm.hardware import cores
from augmentlm.tasks import Pair, Task, TaskInput
from augmentlm.weights.pulled import find

PROMPTS = 4
"""The first one is the warm-up and doesn't count."""

Measure = Callable[[Task, System, Sequence[Prompt]], dict[str, Any]]


@dataclass(frozen=True)
class Speed:
    """Medians over the prompts, one at a time: seconds to the first token and to the end, tokens a second after the
    first. `memory_bytes` is what the process holds after them, weights included; None for a server's model."""

    ttft_s: float
    seconds: float
    tokens: float
    tokens_per_second: float
    memory_bytes: int | None
    disk_bytes: int | None


def speeds(
    task: Task, systems: Sequence[System], prompts: Sequence[Prompt], path: Path, measure: Measure | None = None
) -> dict[str, dict[str, Any]]:
    """The speed of each system by name, kept in `path` and measured again only for other weights."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for system in systems:
        made = {"weights": system.weights()}
        if kept.get(system.model, {}).get("weights") != made["weights"]:
            kept[system.model] = {**(measure or in_a_process)(task, system, prompts[:PROMPTS]), **made}
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(kept, indent=2) + "\n")
    return {system.model: kept[system.model] for system in systems}


def in_a_process(task: Task, system: System, prompts: Sequence[Prompt]) -> dict[str, Any]:
    """Measured by a fresh interpreter, so that its memory is the model's own. Raises `EngineError`."""
    asked = {"task": task, **asdict(system), "inputs": [prompt.input for prompt in prompts]}
    run = subprocess.run(
        [sys.executable, "-m", "augmentlm.reports.speed"], input=json.dumps(asked), capture_output=True, text=True
    )
    if run.returncode:
        last = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise EngineError(f"The speed of {system.model} could not be measured: {last}")
    return json.loads(run.stdout)


def measure_here(
    task: Task, system: System, inputs: Sequence[TaskInput], pool: EnginePool | None = None
) -> dict[str, Any]:
    """Greedy, one input at a time; the first warms the engine up."""
    import psutil

    augmenter = system.load(task, pool)
    results = [augmenter(value, temperature=0.0, seed=0) for value in inputs]
    counted = results[1:] or results
    entry = None if system.endpoint else find(system.model)
    found = Speed(
        ttft_s=round(statistics.median(each.ttft_s for each in counted), 3),
        seconds=round(statistics.median(each.seconds for each in counted), 3),
        tokens=statistics.median(each.completion_tokens for each in counted),
        tokens_per_second=round(statistics.median(each.tokens_per_second for each in counted), 1),
        memory_bytes=psutil.Process().memory_info().rss if entry else None,
        disk_bytes=_on_disk(entry) if entry else None,
    )
    return {
        **asdict(found),
        "engine": augmenter.engine,
        "quantization": augmenter.quantization,
        "machine": _machine(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _on_disk(entry: catalog.Model) -> int:
    """The weights' bytes, with an adapter's where there is one."""
    adapter = catalog.cards_folder() / entry.adapter.folder if entry.adapter else None
    return entry.download_bytes + sum(
        path.stat().st_size for path in (adapter.glob("*.safetensors") if adapter else ())
    )


def _machine() -> str:
    """`AMD EPYC …, cores: 2`."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else platform.processor() or platform.machine()}, cores: {cores()}"


def main() -> None:
    asked = json.load(sys.stdin)
    inputs = [value if isinstance(value, str) else [Pair(**pair) for pair in value] for value in asked["inputs"]]
    print(json.dumps(measure_here(asked["task"], System(asked["model"], asked["endpoint"]), inputs)))


if __name__ == "__main__":
    main()
