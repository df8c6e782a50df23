"""Two models side by side in one process: what both take of memory, and how fast each is beside the other.

    python bench/compare.py [--rounds 3] [--tokens 96]

The embedded refine model and the 1.5B reference write for the same prompts: each alone, then each while the other is
kept at work, as in the Compare tab. Both stay loaded throughout. The weights have to be on this machine already
(`augmentlm models pull augmentlm-0.5b-refine`, `augmentlm models pull qwen2.5-coder-1.5b-instruct`).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from report import setting, table, write_section

from augmentlm.arena.contenders import Contender, resolve
from augmentlm.engines.pool import EnginePool

PROMPTS = (
    "email to my landlord about the broken heater in flat 4B, third time I ask, mention 12 March and 19 March",
    "plan a birthday party for 12 kids, budget 200 euros, one is vegan, garden, two hours, rain plan",
    "summarise this meeting: we moved the launch to 14 May, Ana does the slides, Tom the demo, no budget for ads",
)
MEMORY_AIM = 4e9
SPEED_AIM = 0.4
SIDES = {"left": resolve("embedded", "refine"), "right": resolve("reference", "refine")}


@dataclass
class Speeds:
    """Tokens a second while both wrote, and alone, by side; a value a prompt and round."""

    alone: dict[str, list[float]] = field(default_factory=lambda: {side: [] for side in SIDES})
    beside: dict[str, list[float]] = field(default_factory=lambda: {side: [] for side in SIDES})

    def share(self, side: str) -> float:
        return statistics.median(self.beside[side]) / statistics.median(self.alone[side])


def speed(side: str, prompt: str, tokens: int, pool: EnginePool) -> float:
    stream = Contender(SIDES[side]).load("refine", pool).stream(prompt, max_tokens=tokens, temperature=0.0)
    return rate([time.perf_counter() for _ in stream])


@contextmanager
def writing(side: str, prompt: str, pool: EnginePool) -> Iterator[None]:
    """One model kept at work, from its first token to the end of the block."""
    begun, stop = threading.Event(), threading.Event()
    augmenter = Contender(SIDES[side]).load("refine", pool)

    def work() -> None:
        while not stop.is_set():
            for _ in augmenter.stream(prompt, stop=stop):
                begun.set()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def rate(times: list[float]) -> float:
    """Pieces a second between the first and the last; a piece is a token, but for characters in several."""
    return (len(times) - 1) / (times[-1] - times[0])


def measure(rounds: int, tokens: int) -> tuple[Speeds, float, float]:
    """The speeds, the peak of the process's memory in bytes, and the seconds that loading both took."""
    pool, found = EnginePool(), Speeds()
    started = time.perf_counter()
    for model in SIDES.values():
        Contender(model).load("refine", pool).warm_up(threading.Event())
    loaded = time.perf_counter() - started
    for number in range(rounds):
        for prompt in PROMPTS:
            for side, other in (("left", "right"), ("right", "left")):
                found.alone[side].append(speed(side, prompt, tokens, pool))
                with writing(other, prompt, pool):
                    found.beside[side].append(speed(side, prompt, tokens, pool))
        print(f"round {number + 1}: {found.share('left'):.2f} and {found.share('right'):.2f}", file=sys.stderr)
    assert len(pool.loaded()) == len(SIDES), "one of the models was unloaded"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    pool.close()
    return found, peak, loaded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=96)
    options = parser.parse_args()
    found, peak, loaded = measure(options.rounds, options.tokens)
    rows = [["side", "alone", "beside the other", "share", "aim"]]
    for side, model in SIDES.items():
        rows.append(
            [
                f"`{model}`",
                f"{statistics.median(found.alone[side]):.1f} tokens/s",
                f"{statistics.median(found.beside[side]):.1f} tokens/s",
                f"{100 * found.share(side):.0f} %",
                f"≥ {100 * SPEED_AIM:.0f} %",
            ]
        )
    write_section(
        "compare",
        f"""## Two models side by side

{table(rows)}

Both in one process took **{peak / 1e9:.2f} GB** at the peak (aim: under {MEMORY_AIM / 1e9:.0f} GB); loading both took
{loaded:.1f} s.

{len(PROMPTS)} prompts, at most {options.tokens} tokens each, {options.rounds} rounds; medians. Speeds are those
between the first and the last token; beside the other, while that one was kept writing.

{setting("xllamacpp")}

Repeat: `python bench/compare.py --rounds {options.rounds} --tokens {options.tokens}`
""",
    )


if __name__ == "__main__":
    main()
