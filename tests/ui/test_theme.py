"""How the page looks."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from augmentlm.ui.theme import head

UI = Path(str(resources.files("augmentlm.ui")))


def test_every_style_sheet_is_on_the_page() -> None:
    sheets = [path.read_text(encoding="utf-8") for path in (UI / "style").iterdir()]
    assert sheets and all(sheet in head() for sheet in sheets)


def test_no_style_is_left_for_what_no_page_has() -> None:
    writers = [path for kind in ("*.py", "*.js") for path in UI.glob(kind) if path.name != "theme.py"]
    written = set(re.findall(r"alm-[\w-]*\w", "\n".join(path.read_text(encoding="utf-8") for path in writers)))
    styled = set(re.findall(r"\.(alm-[\w-]*\w)", head().split("</style>")[0]))
    assert styled and styled <= written
