"""One person at a keyboard: AugmentLM's stream beside bare llama.cpp and beside the published cards' snippet.

    python bench/interactive.py [--rounds 3] [--tokens 96]

The same 0.5B weights, the same eight prompts, greedy, each variant in a process of its own so that its peak memory
is its own. Rounds are interleaved, and the median of the rounds is what counts. Needs `pip install -e ".[gpu]"`.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from report import setting, table, write_section

from augmentlm import catalog
from augmentlm.tasks import render
from augmentlm.weights import fetch_model

WARM_UP = "write something about the sea"
PROMPTS = (
    "write about dogs",
    "make a workout plan for 3 days a week with no equipment",
    "email to my landlord about the broken heater in flat 4B, third time I ask",
    "explain recursion to a ten year old",
    "sql query for the top 5 customers of 2023 by revenue",
    "plan a birthday party for 12 kids, budget 200 euros",
    "帮我写一份关于远程办公的报告",
    "summarise this meeting: we moved the launch to 14 May, Ana does the slides, no budget for ads",
)
MODEL = "qwen2.5-coder-0.5b-instruct"  # without its adapters: all three run the same weights
TITLES = {
    "augmentlm": '`load("refine", base).stream`',
    "bare": "bare xllamacpp",
    "snippet": "the cards' snippet: transformers bf16 `generate`",
}


@dataclass(frozen=True)
class Run:
    """What one process measured over all prompts. Times in seconds."""

    load: float
    first_token: float
    tokens: int
    seconds: float
    decoding: float
    peak_bytes: int

    @property
    def speed(self) -> float:
        """Tokens per second as a person gets them: from the request to the last token."""
        return self.tokens / self.seconds


Answer = Callable[[str], Iterator[float]]
"""Answers one prompt and gives the time of each token as it is there."""


def augmentlm(max_tokens: int) -> Answer:
    from augmentlm import load

    refine = load("refine", MODEL)
    refine.warm_up()

    def answer(prompt: str) -> Iterator[float]:
        stream = refine.stream(prompt, temperature=0.0, max_tokens=max_tokens)
        pieces = 0
        for _ in stream:
            pieces += 1
            yield time.perf_counter()
        # A piece may hold several tokens (half a character waits for its rest).
        yield from [time.perf_counter()] * (stream.result.completion_tokens - pieces)

    return answer


def bare(max_tokens: int) -> Answer:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(fetch_model(catalog.model(MODEL)))
    params.n_ctx = 8192
    server = xllamacpp.Server(params)

    def answer(prompt: str) -> Iterator[float]:
        times: list[float] = []
        count = 0

        def receive(chunk: dict) -> bool:
            nonlocal count
            if chunk.get("choices") and chunk["choices"][0]["delta"].get("content"):
                times.append(time.perf_counter())
            count = (chunk.get("timings") or {}).get("predicted_n", count)
            return False

        request = {"messages": messages(prompt), "max_tokens": max_tokens, "temperature": 0.0, "stream": True}
        server.handle_chat_completions(request, receive)
        yield from times
        yield from [time.perf_counter()] * (count - len(times))

    return answer


def snippet(max_tokens: int) -> Answer:
    """As the cards of the published checkpoints show it, with both stop tokens, greedy and a length of our own."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteriaList

    from augmentlm.engines.convert import dequantise

    folder = dequantise(fetch_model(catalog.model(MODEL)))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", device_map="cpu")
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def answer(prompt: str) -> Iterator[float]:
        text = tokenizer.apply_chat_template(messages(prompt), tokenize=False, add_generation_prompt=True)
        inputs = tokenizer([text], return_tensors="pt")
        times: list[float] = []

        def clock(ids: Any, scores: Any, **_: Any) -> Any:
            times.append(time.perf_counter())
            return ids.new_zeros(ids.shape[0], dtype=bool)

        model.generate(
            **inputs,
            max_new_tokens=max_tokens,
            do_sample=False,
            eos_token_id=[151645, 151643],
            stopping_criteria=StoppingCriteriaList([clock]),
        )
        yield from times

    return answer


def messages(prompt: str) -> list[dict[str, str]]:
    """What AugmentLM sends for the same prompt."""
    return [asdict(message) for message in render("refine", prompt, catalog.model(MODEL).style)]


def measure(variant: str, max_tokens: int) -> Run:
    started = time.perf_counter()
    answer = {"augmentlm": augmentlm, "bare": bare, "snippet": snippet}[variant](max_tokens)
    load = time.perf_counter() - started
    list(answer(WARM_UP))
    firsts, tokens, seconds, decoding = [], 0, 0.0, []
    for prompt in PROMPTS:
        asked = time.perf_counter()
        times = list(answer(prompt))
        firsts.append(times[0] - asked)
        tokens += len(times)
        seconds += times[-1] - asked
        decoding.append((len(times) - 1) / (times[-1] - times[0]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Run(load, statistics.median(firsts), tokens, seconds, statistics.median(decoding), peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--variant", choices=TITLES, help=argparse.SUPPRESS)  # what the processes are told
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(asdict(measure(options.variant, options.tokens))))
        return

    fetch_model(catalog.model(MODEL))
    runs: dict[str, list[Run]] = {variant: [] for variant in TITLES}
    for number in range(options.rounds):
        for variant in TITLES:
            command = [sys.executable, __file__, "--variant", variant, "--tokens", str(options.tokens)]
            output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            runs[variant].append(Run(**json.loads(output.splitlines()[-1])))
            print(f"round {number + 1}: {variant}: {runs[variant][-1].speed:.1f} tokens/s", file=sys.stderr)
    report(runs, options.rounds, options.tokens)


def report(runs: dict[str, list[Run]], rounds: int, max_tokens: int) -> None:
    def middle(variant: str, value: Callable[[Run], float]) -> float:
        return statistics.median(map(value, runs[variant]))

    speed = {variant: middle(variant, lambda run: run.speed) for variant in runs}
    rows = [["variant", "tokens/s", "while decoding", "first token", "load", "peak memory", "tokens made"]]
    for variant, title in TITLES.items():
        spread = sorted(run.speed for run in runs[variant])
        rows.append(
            [
                title,
                f"{speed[variant]:.1f} ({spread[0]:.1f}–{spread[-1]:.1f})",
                f"{middle(variant, lambda run: run.decoding):.1f}",
                f"{middle(variant, lambda run: run.first_token):.2f} s",
                f"{middle(variant, lambda run: run.load):.1f} s",
                f"{middle(variant, lambda run: run.peak_bytes) / 1e9:.2f} GB",
                f"{middle(variant, lambda run: run.tokens):.0f}",
            ]
        )
    write_section(
        "interactive",
        f"""## One person at a keyboard

{table(rows)}

AugmentLM's stream runs at **{speed["augmentlm"] / speed["bare"]:.2f}×** bare llama.cpp (aim: at least 0.9) and at
**{speed["augmentlm"] / speed["snippet"]:.1f}×** the published cards' snippet (aim: at least 3).

The same 0.5B weights (Q4_K_M; for the snippet the same file dequantised to bf16), {len(PROMPTS)} prompts, greedy, at
most {max_tokens} tokens each. Tokens/s count from the request to the last token: the median of {rounds} interleaved
rounds, in brackets the slowest and the fastest. The snippet shows nothing before its last token; its time to the first
one was taken inside `generate`. Peak memory includes the pages of memory-mapped weights.

{setting("xllamacpp", "transformers", "torch")}

Repeat: `pip install -e ".[gpu]" && python bench/interactive.py --rounds {rounds} --tokens {max_tokens}`
""",
    )


if __name__ == "__main__":
    main()
