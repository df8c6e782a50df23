"""The app as a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def serving(*command: str) -> Iterator[tuple[str, Path]]:
    """Run a Python command that serves the app, its port put in for PORT; gives the address and what it prints."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = Path(tempfile.gettempdir()) / f"augmentlm-app-{port}.log"
    arguments = [sys.executable, *(str(port) if word == "PORT" else word for word in command)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"}
    with said.open("w") as log:
        process = subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}/"
    try:
        deadline = time.monotonic() + 300
        while True:
            try:
                urllib.request.urlopen(address, timeout=30).close()
                break
            except (urllib.error.URLError, TimeoutError):
                assert process.poll() is None, said.read_text()
                assert time.monotonic() < deadline, "the app does not answer"
                time.sleep(0.1)
        yield address, said
    finally:
        process.terminate()
        process.wait(timeout=30)
        said.unlink()
