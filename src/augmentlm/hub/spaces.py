"""Spaces as they are uploaded: a folder of `spaces/` with the package beside its `app.py`.

On a Space nothing is installed but what requirements.txt names.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from augmentlm import catalog
from augmentlm.errors import InputError
from augmentlm.hub.contents import Content

PACKAGE = Path(__file__).parents[1]
REQUIREMENTS = "requirements.txt"
OF_THE_PLATFORM = ("gradio", "huggingface-hub", "spaces")
"""What a Space has already."""

CHOSEN_THERE = ("torch",)
"""What a Space pins by itself: ZeroGPU has a list of the versions that it runs."""


def folder() -> Path:
    """`spaces/` of the checkout. Raises `InputError` where there is none."""
    found = PACKAGE.parents[1] / "spaces"
    if not found.is_dir():
        raise InputError("The Spaces are not here.", hint="Assemble them from a checkout of the repository.")
    return found


def names() -> list[str]:
    """The Spaces there are."""
    return sorted(path.parent.name for path in folder().glob("*/app.py"))


def assemble(name: str) -> dict[str, Content]:
    """Every file of a Space by its path there. Raises `InputError` when there is no Space of that name."""
    source = folder() / name
    if name not in names():
        raise InputError(f"There is no Space called {name}.", hint=f"Choose one of {', '.join(names())}.")
    files: dict[str, Content] = {file.name: file for file in sorted(source.iterdir()) if file.is_file()}
    files[REQUIREMENTS] = "".join(f"{line}\n" for line in requirements(source / REQUIREMENTS)).encode()
    return files | dict(_package())


def requirements(file: Path) -> list[str]:
    """The packages that a Space's requirements.txt names, each pinned to the version that this project uses.

    Raises `InputError` for one that pyproject.toml does not know or the platform brings.
    """
    pins = _pins()
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        name = line.split("#")[0].strip()
        if not name:
            continue
        if name.partition("==")[0] in CHOSEN_THERE and "==" in name:
            found.append(name)
            continue
        if name in OF_THE_PLATFORM or name not in pins:
            why = "comes with the platform" if name in OF_THE_PLATFORM else "is not in pyproject.toml"
            raise InputError(f"{file} names {name}, which {why}.", hint="Remove it there.")
        found.append(f"{name}=={pins[name]}")
    return found


def _pins() -> dict[str, str]:
    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {match[1]: match[2] for line in lines if (match := re.fullmatch(r"([\w-]+)==([\w.]+)", line))}


def _package() -> Iterator[tuple[str, Path]]:
    """The package with its cards and adapters, as a wheel holds them."""
    for folder, place in ((PACKAGE, "augmentlm"), (catalog.cards_folder(), "augmentlm/model_cards")):
        for file in sorted(folder.rglob("*")):
            relative = file.relative_to(folder)
            if file.is_file() and not any(part.startswith((".", "__pycache__")) for part in relative.parts):
                yield f"{place}/{relative.as_posix()}", file
