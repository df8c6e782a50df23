"""One person at a keyboard: AugmentLM's stream beside bare llama.cpp and beside the published cards' snippet.

    python bench/interactive.py [--model augmentlm-0.5b-refine] [--rounds 3] [--tokens 96]

The same weights, the same eight prompts, greedy, each variant in a process of its own so that its peak memory is its
own. Bare llama.cpp has the model's adapter too; the snippet, which knows none, runs the base on the same prompts.
Rounds are interleaved, and the median of the rounds is what counts. Needs `pip install -e ".[gpu]"`.
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
from augmentlm.catalog import Model
from augmentlm.engines.adapters import as_gguf
from augmentlm.tasks import render
from augmentlm.weights import fetch_model

DEFAULT = "augmentlm-0.5b-refine"  # what `load("refine")` takes on a machine without a GPU
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
TITLES = {
    "augmentlm": '`load("refine").stream`',
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


def augmentlm(model: Model, max_tokens: int) -> Answer:
    from augmentlm import load

    refine = load("refine", model.name)
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


def bare(model: Model, max_tokens: int) -> Answer:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(fetch_model(model))
    if model.adapter:
        adapter = as_gguf(catalog.cards_folder() / model.adapter.folder)
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
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

        request = {"messages": messages(model, prompt), "max_tokens": max_tokens, "temperature": 0.0, "stream": True}
        server.handle_chat_completions(request, receive)
        yield from times
        yield from [time.perf_counter()] * (count - len(times))

    return answer


def snippet(model: Model, max_tokens: int) -> Answer:
    """As the cards of the published checkpoints show it, with both stop tokens, greedy and a length of our own."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteriaList

    from augmentlm.engines.convert import dequantise

    folder = dequantise(fetch_model(model))
    network = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", device_map="cpu")
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def answer(prompt: str) -> Iterator[float]:
        text = tokenizer.apply_chat_template(messages(model, prompt), tokenize=False, add_generation_prompt=True)
        inputs = tokenizer([text], return_tensors="pt")
        times: list[float] = []

        def clock(ids: Any, scores: Any, **_: Any) -> Any:
            times.append(time.perf_counter())
            return ids.new_zeros(ids.shape[0], dtype=bool)

        network.generate(
            **inputs,
            max_new_tokens=max_tokens,
            do_sample=False,
            eos_token_id=[151645, 151643],
            stopping_criteria=StoppingCriteriaList([clock]),
        )
        yield from times

    return answer


def messages(model: Model, prompt: str) -> list[dict[str, str]]:
    """What AugmentLM sends for the same prompt."""
    return [{"role": turn.role, "content": turn.content} for turn in render("refine", prompt, model.style)]


def measure(variant: str, model: Model, max_tokens: int) -> Run:
    started = time.perf_counter()
    answer = {"augmentlm": augmentlm, "bare": bare, "snippet": snippet}[variant](model, max_tokens)
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
    parser.add_argument("--model", choices=[model.name for model in catalog.models_for("refine")], default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--variant", choices=TITLES, help=argparse.SUPPRESS)  # what the processes are told
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(asdict(measure(options.variant, catalog.model(options.model), options.tokens))))
        return

    fetch_model(catalog.model(options.model))
    runs: dict[str, list[Run]] = {variant: [] for variant in TITLES}
    for number in range(options.rounds):
        for variant in TITLES:
            command = [sys.executable, __file__, "--variant", variant, "--model", options.model]
            command += ["--tokens", str(options.tokens)]
            output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            runs[variant].append(Run(**json.loads(output.splitlines()[-1])))
            print(f"round {number + 1}: {variant}: {runs[variant][-1].speed:.1f} tokens/s", file=sys.stderr)
    report(runs, options.model, options.rounds, options.tokens)


def report(runs: dict[str, list[Run]], model: str, rounds: int, max_tokens: int) -> None:
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

The weights of {model} (Q4_K_M, with its adapter if it has one; for the snippet the same file
dequantised to bf16, without the adapter), {len(PROMPTS)} prompts, greedy, at most {max_tokens} tokens each. Tokens/s
count from the request to the last token: the median of {rounds} interleaved rounds, in brackets the slowest and the
fastest. The snippet shows nothing before its last token; its time to the first one was taken inside `generate`. Peak
memory includes the weights; bare llama.cpp maps them, and has one slot where AugmentLM has four.

{setting("xllamacpp", "transformers", "torch")}

Repeat: `pip install -e ".[gpu]" && python bench/interactive.py --model {model} --rounds {rounds} --tokens {max_tokens}`
""",
    )


if __name__ == "__main__":
    main()
