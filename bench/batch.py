"""Many rows on a CPU: accepted tokens a second of the batch engine and of what else there is, on the same weights.

    python bench/batch.py [--rows 350]

Every engine refines held-out prompts of the teaching data with the same adapter, in a process of its own; the slow
ones get the first few of them. For distilabel it makes an environment beside the weights. Needs
`pip install -e ".[gpu]"`.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import sysconfig
import threading
import time
import venv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from report import setting, table, write_section

from augmentlm import catalog, weights
from augmentlm.catalog import Sampling
from augmentlm.checks import assess
from augmentlm.distill.sets import read_rows
from augmentlm.engines.base import Engine, Request
from augmentlm.engines.convert import dequantise
from augmentlm.engines.tokens import ChatTokenizer
from augmentlm.hardware import has_bf16
from augmentlm.tasks import Message, parse, render
from augmentlm.weights import fetch_model

DATA = Path(__file__).parents[1] / "data"
MODEL = catalog.model("augmentlm-0.5b-refine")
SAMPLING = Sampling(temperature=0.3, top_p=0.9, top_k=50, max_tokens=256)
DISTILABEL = "1.5.3"
WHOLE, DTYPE = ("bf16", "bfloat16") if has_bf16() else ("fp32", "float32")
"""What torch is fastest in here, for all that is not quantized: a CPU without bf16 instructions crawls in it."""

TITLES = {
    "batch": "AugmentLM for many rows: int8, refilled",
    "rows": f"AugmentLM on transformers: {WHOLE}, 32 rows",
    "llamacpp": "llama.cpp (Q4_K_M), 8 slots",
    "loop": f"plain loop: transformers `generate`, {WHOLE}, a row at a time",
    "distilabel": f"distilabel {DISTILABEL} `TransformersLLM`, {WHOLE}",
}
SHARES = {"batch": 1.0, "rows": 0.3, "llamacpp": 0.3, "loop": 0.04, "distilabel": 0.04}
"""Of the prompts, so that each engine works for one to two minutes."""
AIMS = {"llamacpp": 3, "loop": 15, "distilabel": 20}
LIMIT_ROWS = 64


@dataclass(frozen=True)
class Run:
    """What one engine did with its prompts, in seconds and bytes. `limit` is the tokens/s of its matrix products."""

    load: float
    seconds: float
    peak_bytes: int
    texts: list[str]
    limit: float = 0.0


@dataclass(frozen=True)
class Score:
    """Tokens a second of rows that passed every check, and of all rows."""

    accepted: int
    accepted_speed: float
    speed: float


def prompts(rows: int) -> list[str]:
    """Held-out prompts in a fixed, mixed order."""
    held_out = [row["raw"] for row in read_rows(DATA / "refine", "dev")]
    random.Random(0).shuffle(held_out)
    return held_out[:rows]


def chat(prompt: str) -> tuple[Message, ...]:
    return render("refine", prompt, MODEL.style)


def merged() -> Path:
    """A folder with the base in bf16 and the adapter merged into it, for engines that load folders."""
    folder = weights.home() / "bench" / MODEL.name
    if not (folder / "config.json").is_file():
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        base = dequantise(fetch_model(MODEL))
        model = AutoModelForCausalLM.from_pretrained(base, dtype="bfloat16")
        AutoTokenizer.from_pretrained(base).save_pretrained(folder)
        PeftModel.from_pretrained(model, adapter()).merge_and_unload().save_pretrained(folder)
    return folder


def adapter() -> Path:
    assert MODEL.adapter
    return catalog.cards_folder() / MODEL.adapter.folder


def with_engine(make: Callable[[], Engine], wanted: Sequence[str]) -> Run:
    """An engine of ours, given all prompts at once."""
    started = time.perf_counter()
    engine = make()
    stop = threading.Event()
    requests = [
        Request(chat(prompt), Sampling(**{**asdict(SAMPLING), "seed": number}), MODEL.name)
        for number, prompt in enumerate(wanted)
    ]
    list(engine.generate(requests[:1], stop))
    load = time.perf_counter() - started
    started = time.perf_counter()
    made = dict(engine.generate(requests, stop))
    seconds = time.perf_counter() - started
    engine.close()
    return Run(load, seconds, peak(), [made[number].text for number in range(len(wanted))])


def batch(wanted: Sequence[str]) -> Run:
    from augmentlm.engines.batched import BatchEngine

    assert MODEL.chat
    folder = dequantise(fetch_model(MODEL))
    run = with_engine(lambda: BatchEngine(folder, MODEL.chat, adapters={MODEL.name: adapter()}), wanted)
    return Run(**{**asdict(run), "limit": matmul_limit(folder)})


def matmul_limit(folder: Path) -> float:
    """Tokens a second if the model were its int8 matrix products alone, for a batch of `LIMIT_ROWS` rows."""
    import torch

    from augmentlm.engines.int8 import Int8Linear
    from augmentlm.engines.int8_qwen2 import Config

    config = Config.read(folder)
    hidden, inner = config.hidden, config.intermediate
    heads = (config.heads + 2 * config.kv_heads) * config.head_size
    layer = ((hidden, heads), (hidden, hidden), (hidden, 2 * inner), (inner, hidden))
    shapes = [*layer * config.layers, (hidden, config.vocabulary)]
    numbers = {shape: torch.randn(shape[1], shape[0], dtype=torch.bfloat16) for shape in set(shapes)}
    products = [(Int8Linear(numbers[shape]), shape[0]) for shape in shapes]  # each with memory of its own
    tokens = {inputs: torch.randint(0, 255, (LIMIT_ROWS, inputs), dtype=torch.uint8) for inputs in (hidden, inner)}
    seconds = []
    with torch.inference_mode():
        for _ in range(8):
            started = time.perf_counter()
            for product, inputs in products:
                product(tokens[inputs])
            seconds.append(time.perf_counter() - started)
    return LIMIT_ROWS / min(seconds)


def rows(wanted: Sequence[str]) -> Run:
    from augmentlm.engines.transformers import TransformersEngine

    assert MODEL.chat
    return with_engine(
        lambda: TransformersEngine(
            dequantise(fetch_model(MODEL)),
            MODEL.chat,
            quantization=WHOLE,
            device="cpu",
            adapters={MODEL.name: adapter()},
        ),
        wanted,
    )


def llamacpp(wanted: Sequence[str]) -> Run:
    from augmentlm.engines.adapters import as_gguf
    from augmentlm.engines.llamacpp import LlamaCppEngine

    assert MODEL.chat
    return with_engine(
        lambda: LlamaCppEngine(fetch_model(MODEL), MODEL.chat, slots=8, adapters={MODEL.name: as_gguf(adapter())}),
        wanted,
    )


def loop(wanted: Sequence[str]) -> Run:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert MODEL.chat
    folder = merged()
    started = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPE)
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def answer(prompt: str) -> str:
        messages = [asdict(message) for message in chat(prompt)]
        inputs = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        made = model.generate(
            **inputs, **settings(), eos_token_id=list(MODEL.chat.stop_ids), pad_token_id=MODEL.chat.stop_ids[1]
        )
        return tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)

    answer(wanted[0])
    load = time.perf_counter() - started
    started = time.perf_counter()
    texts = [answer(prompt) for prompt in wanted]
    return Run(load, time.perf_counter() - started, peak(), texts)


def settings() -> dict[str, Any]:
    """The sampling in transformers' words."""
    return {
        "max_new_tokens": SAMPLING.max_tokens,
        "do_sample": True,
        "temperature": SAMPLING.temperature,
        "top_p": SAMPLING.top_p,
        "top_k": SAMPLING.top_k,
    }


def distilabel(wanted: Sequence[str]) -> Run:
    folder = merged()
    job = {
        "folder": str(folder),
        "dtype": DTYPE,
        "sampling": settings(),
        "chats": [[asdict(message) for message in chat(prompt)] for prompt in wanted],
    }
    command = [str(environment()), str(Path(__file__).with_name("peer_distilabel.py"))]
    output = subprocess.run(command, input=json.dumps(job), stdout=subprocess.PIPE, text=True, check=True).stdout
    return Run(**json.loads(output.splitlines()[-1]))


def environment() -> Path:
    """The Python of an environment with distilabel and, from this one, the same torch and transformers."""
    folder = weights.home() / "bench" / f"distilabel-{DISTILABEL}"
    python = folder / "bin" / "python"
    done = folder / "done"
    if not done.exists():
        venv.create(folder, with_pip=True, clear=True)
        ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        packages = Path(subprocess.run(ask, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
        (packages / "this_one.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
        wanted = [f"distilabel=={DISTILABEL}", "requests", "openai"]
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True, stdout=sys.stderr)
        done.touch()
    return python


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def judge(run: Run, wanted: Sequence[str], tokenizer: ChatTokenizer) -> Score:
    """Hold every text against the checks; tokens are counted in the texts, alike for all engines."""
    all_tokens = accepted_tokens = accepted = 0
    for prompt, text in zip(wanted, run.texts, strict=True):
        tokens = tokenizer.count(text)
        finish = "length" if tokens >= SAMPLING.max_tokens - 1 else "stop"
        passed = not assess("refine", prompt, parse("refine", text), finish)
        all_tokens += tokens
        accepted_tokens += tokens * passed
        accepted += passed
    return Score(accepted, accepted_tokens / run.seconds, all_tokens / run.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=350, help="prompts for the fastest engine")
    parser.add_argument("--engines", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--engine", choices=TITLES, help=argparse.SUPPRESS)  # what the processes are told
    options = parser.parse_args()
    wanted = prompts(options.rows)
    if options.engine:
        makers = {"batch": batch, "rows": rows, "llamacpp": llamacpp, "loop": loop, "distilabel": distilabel}
        print(json.dumps(asdict(makers[options.engine](wanted))))
        return

    tokenizer = ChatTokenizer(dequantise(fetch_model(MODEL)), MODEL.chat)
    runs: dict[str, Run] = {}
    scores: dict[str, Score] = {}
    for name in options.engines:
        count = max(2, round(len(wanted) * SHARES[name]))
        command = [sys.executable, __file__, "--engine", name, "--rows", str(count)]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        runs[name] = Run(**json.loads(output.splitlines()[-1]))
        scores[name] = judge(runs[name], wanted[:count], tokenizer)
        print(f"{name}: {scores[name].accepted_speed:.1f} accepted tokens/s", file=sys.stderr)
    report(runs, scores, options.rows)


def report(runs: dict[str, Run], scores: dict[str, Score], count: int) -> None:
    best = scores["batch"]
    lines = [["engine", "accepted tokens/s", "ours is", "all tokens/s", "rows accepted", "load", "peak memory"]]
    for name, score in scores.items():
        run, aim = runs[name], f" (aim: {AIMS[name]})" if name in AIMS else ""
        times = "" if name == "batch" else f"**{best.accepted_speed / max(score.accepted_speed, 1e-9):.1f}×**{aim}"
        lines.append(
            [
                TITLES[name],
                f"{score.accepted_speed:.1f}",
                times,
                f"{score.speed:.1f}",
                f"{score.accepted} of {len(run.texts)}",
                f"{run.load:.1f} s",
                f"{run.peak_bytes / 1e9:.1f} GB",
            ]
        )
    limit = runs["batch"].limit
    write_section(
        "batch",
        f"""## Many rows

{table(lines)}

The int8 matrix products alone allow {limit:.0f} tokens/s on this CPU in batches of {LIMIT_ROWS} rows (measured in the
same run, cold weights). The batch engine writes {100 * best.speed / limit:.0f} % of that, and reads the prompts on top.

Held-out prompts of `data/refine`, refined with the adapter of {MODEL.name}; temperature {SAMPLING.temperature}, top_p
{SAMPLING.top_p}, top_k {SAMPLING.top_k}, at most {SAMPLING.max_tokens} tokens. A row is accepted when no check of the
task speaks against it. The slow engines got the first few of the same prompts, so that all worked for about as long.
What isn't quantized is computed in {WHOLE}, which suits this CPU. Each ran in a process of its own after a row to warm
up; loading is not counted.

{setting("torch", "transformers", "xllamacpp")}

Repeat: `pip install -e ".[gpu]" && python bench/batch.py --rows {count}`
""",
    )


if __name__ == "__main__":
    main()
