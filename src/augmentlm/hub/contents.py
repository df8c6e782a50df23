"""What may not go up: secrets, paths of somebody's machine, files that can run code, and files that are too large."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from augmentlm.weights import home
from augmentlm.weights.disk import size

Content = bytes | Path
"""What a file holds, or where it lies."""

LIMITS = {"model": 20_000_000_000, "dataset": 20_000_000_000, "space": 1_000_000_000}
"""Bytes of one file. The hub recommends less than 20 GB, and a free Space holds 1 GB in all."""

_PICKLES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth")
_PICKLE_STARTS = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_TORCH_ARCHIVE = b"PK\x03\x04"  # torch.save writes a zip with a pickle in it

_SECRETS = re.compile(
    rb"hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}|gh[pousr]_[A-Za-z0-9]{36,}|AKIA[0-9A-Z]{16}"
    # Slugs are no keys, such as those of task-management-tools: keys have a digit and a long part without hyphens, and
    # no letter before them but that of an escape.
    rb"|(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))"
    rb"sk-(?=[\w-]*\d)[A-Za-z0-9_-]*?[A-Za-z0-9_]{16,}"
    rb"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_PLACES = re.compile(
    rb"(?<![\w./~-])(?:/(?:home|Users)/[\w.-]+/|/(?:root|work|mnt|tmp|var/folders)/[\w.-]+|[A-Za-z]:\\+Users\\+)"
)
"""Absolute paths into somebody's folders. A relative path, or one in a URL, is none."""

_TEXTS = (".py", ".jsonl", ".csv")
"""Programs and data may well speak of such places; there only those of this very machine are looked for. So may every
file of a data set but its card: its report shows rows, and rows lie in JSON and Parquet too."""

_CARD = "README.md"

_ANYBODYS = ("app", "ubuntu", "user")
"""Home folders of servers and Spaces, which texts give as examples: they tell of nobody."""

_WEIGHTS = (".gguf", ".safetensors")

_SHOWN = 8
"""Characters of a token that are told: enough to find it, of no use to anybody."""

_BLOCK = 1 << 20
_OVERLAP = 200


def refusals(files: Mapping[str, Content], kind: str) -> list[str]:
    """A sentence for each reason why these files may not be published; empty when they may.

    `files` maps paths in the repository to their content, `kind` is model, dataset or space.
    """
    found: list[str] = []
    for path, content in files.items():
        count = length(content)
        if count > LIMITS[kind]:
            found.append(f"{path} has {size(count)}; a {kind} takes files up to {size(LIMITS[kind])}.")
            continue
        if path.startswith("/") or ".." in Path(path).parts:
            found.append(f"{path} is no path inside a repository.")
        if Path(path).suffix.lower() in _PICKLES:
            found.append(f"{path} is named like a pickle, which can run code when it is opened.")
        found += [f"{path} {why}" for why in sorted(set(_inside(path, content, kind)))]
    return found


def length(content: Content) -> int:
    """Bytes of a file."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def read(content: Content) -> bytes:
    """All of a small file."""
    return content if isinstance(content, bytes) else content.read_bytes()


def _inside(path: str, content: Content, kind: str) -> Iterator[str]:
    speaks_of_places = path.endswith(_TEXTS) or (kind == "dataset" and path != _CARD)
    before = b""
    for number, block in enumerate(_blocks(path, content)):
        if number == 0 and block.startswith(_PICKLE_STARTS):
            yield "is a pickle, which can run code when it is opened."
        if number == 0 and block.startswith(_TORCH_ARCHIVE) and b"data.pkl" in block:
            yield "is a torch archive, which can run code when it is opened."
        text = before + block  # a secret may lie across two blocks
        if secret := _SECRETS.search(text):
            yield f"holds what looks like a token or a key ({secret.group()[:_SHOWN].decode()}…)."
        if not speaks_of_places and (place := _PLACES.search(text)):
            yield f"names a place of somebody's machine: {place.group().decode(errors='replace')}."
        elif mine := next((here for here in _here(content) if here.encode() in text), None):
            yield f"names a place of this machine: {mine}."
        before = block[-_OVERLAP:]


def _here(content: Content) -> Iterator[str]:
    """Folders of this user and of the file itself that no text has by chance."""
    own = [content.absolute().parent] if isinstance(content, Path) else []
    for place in (Path.home(), Path.cwd(), home(), *own):
        if len(place.parts) > 3 or (len(place.parts) == 3 and place.name not in _ANYBODYS):
            inside = f"{place}{os.sep}"
            yield from dict.fromkeys((inside, inside.replace("\\", r"\\")))  # as it is, and as JSON has it


def _blocks(path: str, content: Content) -> Iterable[bytes]:
    """The parts of a file that can hold text: all of it, or of weights the beginning with their metadata."""
    blocks = _all_blocks(content)
    return islice(blocks, 1) if path.endswith(_WEIGHTS) else blocks


def _all_blocks(content: Content) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield from (content[start : start + _BLOCK] for start in range(0, len(content), _BLOCK))
        return
    with content.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
