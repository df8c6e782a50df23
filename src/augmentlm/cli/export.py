"""`augmentlm export`: a trained adapter for other programs."""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from augmentlm import catalog
from augmentlm.drafts import draft_of
from augmentlm.errors import InputError, MissingExtraError


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "export",
        help="write a trained adapter for transformers, for llama.cpp, or merged into its base",
        description="Write a trained adapter: as fp16 safetensors in PEFT's form, with what its training said about "
        "itself (training.json and the loss curve), and on request as a GGUF LoRA for llama.cpp and merged into its "
        "base.",
    )
    parser.add_argument(
        "adapter", help="the folder `train` left (or its adapter/), or a name from `augmentlm models` that has one"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--gguf", action="store_true", help="also adapter.gguf, for llama.cpp")
    parser.add_argument("--merged", action="store_true", help="also merged/: base and adapter in one, bf16 safetensors")
    parser.add_argument(
        "--strength",
        type=float,
        default=1.0,
        help="share of what it learned to keep: below 1 stays nearer its base, above 1 goes beyond (default: 1)",
    )
    parser.add_argument(
        "--begin", help="the adapter that it was taught on from; --strength is then of the change since"
    )
    parser.add_argument("--base", type=Path, help="the base for --merged, in Hugging Face form; default: fetched")


def run(options: argparse.Namespace) -> int:
    from augmentlm.distill.account import export_account
    from augmentlm.distill.export import CONFIG, export_adapter, merge
    from augmentlm.engines.adapters import as_gguf

    trained, base = _found(options.adapter)
    if trained.resolve() == options.out.resolve():
        raise InputError("The adapter would be written over itself.", hint="Choose another folder with --out.")
    begun, same = _found(options.begin) if options.begin else (None, base)
    if begun and begun.resolve() == options.out.resolve():
        raise InputError("The adapter in --begin would be written over.", hint="Choose another folder with --out.")
    if (options.out / "adapter" / CONFIG).is_file():
        raise InputError(f"{options.out} is the folder of a training.", hint="Choose another folder with --out.")
    if same.name != base.name:
        raise InputError(f"{options.begin} is on {same.name}, not on {base.name}.", hint="Name what --begin had.")
    missing = [name for name in ("torch", "transformers", "peft") if importlib.util.find_spec(name) is None]
    if options.merged and missing:
        raise MissingExtraError(
            f"Merging needs {', '.join(missing)}, not installed here.", hint='Run `pip install -e ".[gpu]"`.'
        )
    made = [export_adapter(trained, base, options.out, options.strength, begun) / CONFIG]
    export_account(trained, options.out, options.strength, since_begin=begun is not None)
    if options.gguf:
        made.append(options.out / "adapter.gguf")
        with draft_of(made[-1]) as draft:
            shutil.copyfile(as_gguf(options.out), draft)
    if options.merged:
        from augmentlm.cli.distill import base_folder

        made.append(merge(options.base or base_folder(base.name), options.out, options.out / "merged"))
    for path in made:
        print(path)
    print(f"augmentlm: the base is {base.name}", file=sys.stderr)
    return 0


def _found(name: str) -> tuple[Path, catalog.Model]:
    """Where the adapter lies and its base: as the catalog says, the run's recipe, or its configuration."""
    from augmentlm.distill.export import CONFIG, base_repository

    folder = Path(name)
    if not folder.is_dir():
        model = catalog.model(name)
        if not model.adapter or not model.base:
            raise InputError(f"{name} has no adapter.", hint="Name one that has, or a folder that `train` wrote.")
        return model.adapter.path, catalog.model(model.base)
    adapter = folder / "adapter" if (folder / "adapter" / CONFIG).is_file() else folder
    named = _json(adapter / CONFIG).get("base_model_name_or_path")
    if recipe := next((path for at in (folder, folder.parent) if (path := at / "recipe.json").is_file()), None):
        return adapter, catalog.model(str(_json(recipe).get("base")))
    for model in catalog.models().values():
        if model.artifact.format == "gguf" and base_repository(model) == named and not model.base:
            return adapter, model
    raise InputError(f"{adapter} was trained on {named}, which is no base here.", hint="Give the folder `train` wrote.")


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"There is no adapter in {path.parent}.", hint="Give the folder that `train` wrote."
        ) from error
    return found if isinstance(found, dict) else {}
