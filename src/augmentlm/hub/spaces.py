"""Spaces as they are uploaded: a folder of `spaces/` with the package beside its `app.py`.

On a Space nothing is installed but what requirements.txt names.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
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
    """What a Space installs: the package's own dependencies without those of the platform, and what the Space's own
    requirements.txt names beside them (it need not be there), each pinned to the version that this project uses.

    Raises `InputError` for a name that pyproject.toml does not pin or the platform brings.
    """
    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    pins = _pins([*project["dependencies"], *extras])
    found = [f"{name}=={pins[name]}" for name in _pins(project["dependencies"]) if name not in OF_THE_PLATFORM]
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        name = line.split("#")[0].strip()
        if name.partition("==")[0] in CHOSEN_THERE and "==" in name:
            found.append(name)
        elif name in OF_THE_PLATFORM:
            raise InputError(f"{file} names {name}, which comes with the platform.", hint="Remove it there.")
        elif name and name not in pins:
            raise InputError(f"{file} names {name}, which is not in pyproject.toml.", hint="Pin it there.")
        elif name:
            found.append(f"{name}=={pins[name]}")
    return found


def _pins(lines: Iterable[str]) -> dict[str, str]:
    """Versions by name."""
    return {match[1]: match[2] for line in lines if (match := re.fullmatch(r"([\w-]+)==([\w.]+)", line))}


def _package() -> Iterator[tuple[str, Path]]:
    """The package with its cards and adapters, as a wheel holds them."""
    for folder, place in ((PACKAGE, "augmentlm"), (catalog.cards_folder(), "augmentlm/model_cards")):
        for file in sorted(folder.rglob("*")):
            relative = file.relative_to(folder)
            if file.is_file() and not any(part.startswith((".", "__pycache__")) for part in relative.parts):
                yield f"{place}/{relative.as_posix()}", file
