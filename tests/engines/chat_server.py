"""A chat server that speaks real HTTP, for the tests of the endpoint engine."""

from __future__ import annotations

import json
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from augmentlm.catalog import Sampling
from augmentlm.engines import endpoint
from augmentlm.engines.base import Completion, Request
from augmentlm.engines.endpoint import EndpointEngine
from augmentlm.tasks import Message

KEY = "sk-very-secret"
Answer = Callable[["Exchange"], None]


@dataclass
class Seen:
    """A request that reached the double."""

    path: str
    headers: HTTPMessage
    body: dict[str, Any]


class Exchange(BaseHTTPRequestHandler):
    """One request to the double, with the means to answer it in pieces."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.text: str = self.body["messages"][-1]["content"]
        with self.server.lock:
            self.server.seen.append(Seen(self.path, self.headers, self.body))
        self.server.answer(self)

    def reply(self, status: int, content: Any, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def event(self, **chunk: Any) -> None:
        self.send(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n")

    def piece(self, text: str, reason: str | None = None) -> None:
        self.event(choices=[{"delta": {"content": text}, "finish_reason": reason}])

    def conclude(self, reason: str = "stop", usage: tuple[int, int] | None = (11, 3)) -> None:
        self.event(choices=[{"delta": {}, "finish_reason": reason}])
        if usage:
            self.event(choices=[], usage={"prompt_tokens": usage[0], "completion_tokens": usage[1]})
        self.send(b"data: [DONE]\n\n")
        self.send(b"")

    def wait_until_left(self) -> None:
        """Block until the client has closed the connection, and note when."""
        select.select([self.connection], [], [], 20)
        if self.connection.recv(1) == b"":
            self.server.left_at = time.monotonic()
            self.server.left.set()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Silence."""


class Server(ThreadingHTTPServer):
    """An OpenAI-compatible server whose answers a test chooses by setting `answer`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self.left = threading.Event()
        self.left_at = 0.0
        self.answer: Answer = say("Bon", "jour", "!")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left in the middle is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def say(*pieces: str, **ending: Any) -> Answer:
    def answer(exchange: Exchange) -> None:
        exchange.begin()
        for piece in pieces:
            exchange.piece(piece)
        exchange.conclude(**ending)

    return answer


def refuse(status: int, message: str, **headers: str) -> Answer:
    return lambda exchange: exchange.reply(status, {"error": {"message": message}}, **headers)


def in_turn(*answers: Answer) -> Answer:
    """The first answer to the first request and so on; the last one to all that follow."""
    left = list(answers)
    return lambda exchange: (left.pop(0) if len(left) > 1 else left[0])(exchange)


@pytest.fixture(name="server")
def serve_chats() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.delenv(endpoint.KEY_VARIABLE, raising=False)
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.02)


def ask(text: str = "Hello in French?", **sampling: Any) -> Request:
    return Request((Message("user", text),), Sampling(**{"seed": 7, **sampling}))


def stream(engine: EndpointEngine, request: Request | None = None) -> tuple[list[str], Completion]:
    *pieces, completion = engine.stream(request or ask(), threading.Event())
    assert isinstance(completion, Completion)
    return pieces, completion
