"""An artifact of 400 kB, and the places it can come from."""

from __future__ import annotations

import hashlib
import random
import socket

from augmentlm.catalog import Artifact, HubSource, WheelSource
from file_server import FileServer

BODY = random.Random(1).randbytes(400_000)
COMMIT = "c" * 40
HUB_PATH = f"/org/model/resolve/{COMMIT}/model.gguf"
PARTS = (BODY[:150_000], BODY[150_000:300_000], BODY[300_000:])


def artifact(*, wheels: bool = True, body: bytes = BODY, **values: object) -> Artifact:
    fields = {
        "name": "a-model",
        "format": "gguf",
        "hub": HubSource("org/model", COMMIT),
        "file": "model.gguf",
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "wheels": WheelSource("a-part{n}", "1.0", len(PARTS), "a_part{n}/data/part{n:02d}.bin") if wheels else None,
    }
    return Artifact(**fields | values)


def publish_wheels(server: FileServer) -> None:
    for number, part in enumerate(PARTS, 1):
        server.wheel(f"a-part{number}", "1.0", {f"a_part{number}/data/part{number:02d}.bin": part})


def closed_port() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"
