"""How long until something is there: the import, the page, the first refined word; and what it costs in memory.

    python bench/startup.py [--rounds 3]

The weights have to be on this machine already (`augmentlm models pull augmentlm-0.5b-refine`).
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from gradio_client import Client
from report import setting, table, write_section

ROOT = Path(__file__).parents[1]
PROMPT = "write about dogs"
PATIENCE_S = 60


@dataclass(frozen=True)
class Start:
    """One start of the app: seconds from the command to the page and to the first word; bytes at the peak."""

    page: float
    word: float
    peak_bytes: int
    torch: bool


def import_seconds() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import augmentlm"], check=True)
    return time.perf_counter() - started


def start_app() -> Start:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    started = time.perf_counter()
    app = subprocess.Popen([sys.executable, "app.py", "--port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        wait_for(url, started)
        page = time.perf_counter() - started
        job = Client(url, verbose=False).submit(PROMPT, api_name="/refine")
        first = next(text for text in job if said(text))
        word = time.perf_counter() - started
        assert said(first)
        job.result(timeout=PATIENCE_S)
        return Start(page, word, peak_bytes(app.pid), "libtorch" in Path(f"/proc/{app.pid}/maps").read_text())
    finally:
        app.terminate()
        app.wait()


def wait_for(url: str, started: float) -> None:
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.URLError:
            if time.perf_counter() - started > PATIENCE_S:
                raise
            time.sleep(0.05)


def said(answer: object) -> bool:
    """Whether an answer of `/refine` holds text: it is the text itself or a tuple that begins with it."""
    text = answer[0] if isinstance(answer, tuple | list) else answer
    return bool(text)


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    imports = [import_seconds() for _ in range(rounds)]
    starts = [start_app() for _ in range(rounds)]
    rows = [
        ["what", "measured", "aim"],
        ['`python -c "import augmentlm"`', f"{statistics.median(imports):.2f} s", "≤ 0.3 s"],
        ["`python app.py` to the page (HTTP 200)", f"{statistics.median(s.page for s in starts):.1f} s", "≤ 8 s"],
        ["… to its first refined word", f"{statistics.median(s.word for s in starts):.1f} s", "≤ 15 s"],
        ["peak memory of the app", f"{max(s.peak_bytes for s in starts) / 1e9:.2f} GB", "< 2 GB"],
        ["torch in the app's process", "yes" if any(s.torch for s in starts) else "no", "no"],
    ]
    write_section(
        "startup",
        f"""## Starting

{table(rows)}

The weights were on disk already. Times are the median of {rounds} starts, memory the largest.

{setting("gradio", "xllamacpp")}

Repeat: `python bench/startup.py --rounds {rounds}`
""",
    )


if __name__ == "__main__":
    main()
