"""What stands between the marks of a card: how to use the model, the memory it takes, its training, whom to cite."""

from __future__ import annotations

from importlib import resources
from typing import Any

from augmentlm import catalog
from augmentlm.catalog import Model
from augmentlm.machine import BITS, WORKING_CONTEXT, EngineName, bytes_needed, gguf_quantization
from augmentlm.tasks import Pair, Task, format_pairs
from augmentlm.weights.disk import size

EXAMPLES: dict[Task, str] = {
    "refine": "write about dogs",
    "expand": "Plan a three-day trip to Kyoto for two people who love gardens.",
}
PAIRS = (
    Pair("Name a fruit that grows on trees.", "Apple."),
    Pair("Name an animal that lives in the sea.", "Dolphin."),
)
_NEW_TOKENS = 512


def use(model: Model) -> str:
    """How to run a model: in the terminal, in Python, and without this project."""
    task = model.tasks[0]
    example = "examples.jsonl" if task == "pair" else f'"{EXAMPLES[task]}"'
    install = "pip install -e ." if model.adapter else 'pip install -e ".[gpu]"'
    parts = [
        "In the terminal, from a checkout of AugmentLM:",
        _fenced("bash", f"{install}\naugmentlm {task} {example} --model {model.name}"),
    ]
    if task == "pair":
        rows = "\n".join(f'{{"instruction": "{pair.instruction}", "response": "{pair.response}"}}' for pair in PAIRS)
        parts += ["where `examples.jsonl` holds two or more pairs:", _fenced("json", rows)]
    parts += ["In Python:", _fenced("python", _ours(model, task))]
    parts += [
        "With PEFT alone:" if model.adapter else "With transformers alone:",
        _fenced("python", _alone(model, task)),
    ]
    if model.adapter is None:
        ids = " and ".join(f"{stop}" for stop in model.chat.stop_ids) if model.chat else ""
        parts.append(
            f"Both stop tokens ({ids}) have to be named: the checkpoint's own `generation_config.json` is reported to "
            "name the second alone, and generation then runs past the end of the answer."
        )
    return "\n\n".join(parts)


def sizes(model: Model) -> str:
    """What the weights take, and what running takes, in every form."""
    rows = ["| form | weights | memory in use |", "|---|---|---|"]
    for label, engine, quantization, device in _forms(model):
        weights = model.artifact.bytes if engine == "llamacpp" else _weights(model, quantization)
        needed = bytes_needed(model, engine, quantization, device)
        rows.append(f"| {label} | {size(weights or 0)} | {size(needed)} |")
    total, embeddings = (count / 1e9 for count in (model.shape.parameters, model.shape.embedding_parameters))
    lines = [
        *rows,
        "",
        f"Computed from {total:.2f} billion parameters; {embeddings:.2f} billion are embeddings, kept in 16 bit.",
        f"In use means with a context of {WORKING_CONTEXT:,} tokens and the engine. `augmentlm models` says what fits",
        "your machine.",
    ]
    if model.adapter:
        lines.append(f"The weights are those of the base; the adapter is {size(_adapter_bytes(model))} beside them.")
    return "\n".join(lines)


def training(account: dict[str, Any]) -> str:
    """How an adapter was trained, from the `training.json` that `augmentlm train` leaves."""
    table = _sitting(account)
    if earlier := account.get("begun_from"):
        return "\n".join([training(earlier), "", "Then taught on from there:", "", table])
    return table


def _sitting(account: dict[str, Any]) -> str:
    recipe = account["recipe"]
    rows = [
        ("method", f"LoRA of rank {recipe['rank']}, alpha {recipe['alpha']}, on the upper {recipe['layers']} layers"),
        ("learning rate", f"{recipe['learning_rate']:g}, cosine, {100 * recipe['warmup_share']:g} % warm-up"),
        ("a step", f"{recipe['rows_per_step']} row(s) of {recipe['tokens_per_row']} packed tokens"),
        ("epochs", f"{recipe['epochs']:g}"),
        ("steps", f"{account['steps']:,}"),
        ("seed", str(recipe["seed"])),
        ("device", str(account["device"])),
        ("peak memory", f"{account['peak_memory_gb']:.1f} GB"),
    ]
    if preference := recipe.get("preference"):
        how = f"preference (DPO), beta {preference['beta']:g}, between scores {preference['gap']:g} or more apart"
        besides = f"likelihood of texts from {preference['good']:g} up, weight {preference['likelihood_weight']:g}"
        rows.insert(1, ("objective", f"{how}; {besides}"))
    rows += [("strength", _strength(each)) for each in account.get("exported", [])]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _strength(exported: dict[str, Any]) -> str:
    change = "this sitting's change" if exported["of"] == "begin" else "the whole change to the base"
    return f"{exported['strength']:g} times {change} is kept"


def citation() -> str:
    """The paper that the published checkpoints come from."""
    return _fenced("bibtex", resources.files("augmentlm.hub").joinpath("paper.bib").read_text(encoding="utf-8").strip())


def user_turn(task: Task) -> str:
    """What a tuned model gets as the user's turn in the example of its card."""
    return format_pairs(PAIRS) if task == "pair" else EXAMPLES[task]


def _forms(model: Model) -> list[tuple[str, EngineName, str, str]]:
    if model.artifact.format == "gguf":
        name = gguf_quantization(model)
        return [
            (f"{name} in llama.cpp", "llamacpp", name, "cpu"),
            ("16 bit in transformers", "transformers", "bf16", "cpu"),
            ("NF4 in transformers", "transformers", "nf4", "cpu"),
        ]
    return [
        ("16 bit", "transformers", "bf16", "cuda"),
        ("INT8", "transformers", "int8", "cuda"),
        ("NF4 with double quantization", "transformers", "nf4", "cuda"),
    ]


def _weights(model: Model, quantization: str) -> int:
    shape = model.shape
    return int(
        (shape.parameters - shape.embedding_parameters) * BITS[quantization] / 8 + 2 * shape.embedding_parameters
    )


def _adapter_bytes(model: Model) -> int:
    assert model.adapter is not None
    return (model.adapter.path / "adapter_model.safetensors").stat().st_size


def _ours(model: Model, task: Task) -> str:
    if task != "pair":
        return f'from augmentlm import load\n\nprint(load("{task}", "{model.name}")("{EXAMPLES[task]}").text)'
    pairs = "\n".join(f'    Pair("{pair.instruction}", "{pair.response}"),' for pair in PAIRS)
    return (
        "from augmentlm import load\nfrom augmentlm.tasks import Pair\n\n"
        f'pairs = [\n{pairs}\n]\nprint(load("pair", "{model.name}")(pairs).text)'
    )


def _alone(model: Model, task: Task) -> str:
    stops = list(model.chat.stop_ids) if model.chat else []
    if model.adapter:
        imports = "from peft import AutoPeftModelForCausalLM\nfrom transformers import AutoTokenizer"
        repo = f"{catalog.project().owner}/{model.name}"
        made = f'model = AutoPeftModelForCausalLM.from_pretrained("{repo}")\n'
        made += f'tokenizer = AutoTokenizer.from_pretrained("{model.parent}")'
    else:
        imports = "from transformers import AutoModelForCausalLM, AutoTokenizer"
        made = f'name = "{model.artifact.hub.repo}"\n'
        made += 'model = AutoModelForCausalLM.from_pretrained(name, dtype="auto", use_safetensors=True)\n'
        made += "tokenizer = AutoTokenizer.from_pretrained(name)"
    text = user_turn(task)
    turn = f'"""{text}"""' if "\n" in text else f'"{text}"'
    return (
        f"{imports}\n\n{made}\n"
        f'chat = [{{"role": "user", "content": {turn}}}]\n'
        "inputs = tokenizer.apply_chat_template(\n"
        '    chat, add_generation_prompt=True, return_dict=True, return_tensors="pt"\n'
        ")\n"
        f"answer = model.generate(**inputs, max_new_tokens={_NEW_TOKENS}, eos_token_id={stops})\n"
        'print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))'
    )


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"
