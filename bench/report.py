"""`RESULTS.md` in sections, one a benchmark: each writes its own and leaves the others as they are."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"


def write_section(name: str, body: str) -> None:
    """Put `body` (Markdown) in the section `name`, in place of what stood there."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# What was measured\n"
    section = f"<!-- {name} -->\n{body.strip()}\n<!-- end of {name} -->"
    old = re.compile(rf"<!-- {name} -->.*?<!-- end of {name} -->", re.DOTALL)
    text = old.sub(lambda _: section, text) if old.search(text) else f"{text.rstrip()}\n\n{section}\n"
    RESULTS.write_text(text, encoding="utf-8")


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def setting(*packages: str) -> str:
    """Where and with what a benchmark ran, in one sentence."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return (
        f"Run on {datetime.now(UTC):%Y-%m-%d}, commit {commit}: {os.cpu_count()} cores ({names[0]}), no GPU, "
        f"Python {platform.python_version()}, {versions}."
    )
