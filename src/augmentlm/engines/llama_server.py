"""llama.cpp's own server, in this process: loads GGUF files, tokenises and completes.

Completions are calls in the process. The server opens a port as well, which is used to tokenise: on 127.0.0.1 and with
a key drawn at start, so that other programs and users of the machine can't use it.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from augmentlm.errors import EngineError, InputError
from augmentlm.hardware import cores
from augmentlm.machine import WORKING_CONTEXT

STEP_TOKENS = 64
"""How much of a prompt is read in one step: a stopped row leaves, and other rows go on, after one step at most."""

HTTP_SECONDS = 30

SPINS = "10000"
"""How often a thread of OpenMP looks whether the others are ready before it sleeps: a tenth of a millisecond. With its
own three milliseconds, threads that share a core with another program hold each other up, to a twentieth of the speed.
"""


class LlamaServer:
    """One GGUF file and the LoRA adapters on it, numbered as given. Raises `EngineError` when one can't be loaded."""

    def __init__(self, path: Path, slots: int, adapters: Sequence[Path]) -> None:
        self._key = secrets.token_urlsafe(32)
        self._server: Any = _start(path, slots, adapters, self._key)
        self.address: str = self._server.listening_address.removeprefix("http://")
        # The first answer says that its loop runs. Closed before, the server would wait for its loop's end for ever.
        self.complete({"prompt": [0], "max_tokens": 0}, lambda chunk: False)

    def complete(self, body: dict[str, Any], hear: Callable[[dict[str, Any]], bool]) -> None:
        """Give every chunk of the answer to `hear`, until it returns True or the answer ends. Other threads run on."""
        self._server.handle_completions(body, hear)

    def tokenise(self, text: str, *, special: bool) -> list[int]:
        """Token ids. With `special` the names of special tokens are read as such, else as the characters they are."""
        try:
            body = json.dumps({"content": text, "add_special": False, "parse_special": special}, ensure_ascii=False)
            content = body.encode()
        except UnicodeEncodeError as error:
            raise InputError("The text holds half a character.", hint="Paste or type it again.") from error
        connection = http.client.HTTPConnection(self.address, timeout=HTTP_SECONDS)
        try:
            connection.request("POST", "/tokenize", content, {"Authorization": f"Bearer {self._key}"})
            return json.loads(connection.getresponse().read())["tokens"]
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise EngineError(f"llama.cpp doesn't answer: {error!r}.", hint="Try again.", retryable=True) from error
        finally:
            connection.close()

    def close(self) -> None:
        """Free the weights and the port, once no completion runs any more."""
        self._server = None


def _start(path: Path, slots: int, adapters: Sequence[Path], key: str) -> Any:
    xllamacpp = _library()
    for file in (path, *adapters):
        _check(file)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    # Not mapped: weights that llama.cpp lays out anew for the processor would be in memory twice.
    params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(file), 1.0) for file in adapters]
    params.lora_init_without_apply = True
    params.n_parallel = slots
    params.n_ctx = slots * WORKING_CONTEXT
    params.n_batch = params.n_ubatch = STEP_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = cores()
    params.cache_ram_mib = 0  # by default up to 8 GB of prompts that left their slot are kept
    params.hostnames = ["127.0.0.1"]
    params.api_keys = [key]
    params.n_threads_http = 2
    params.timeout_read = params.timeout_write = HTTP_SECONDS
    params.ui = False
    params.endpoint_slots = False  # it would show what the slots are working on
    params.warmup = False
    params.verbosity = 0
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise EngineError(
            f"llama.cpp can't load {path.name}: the file is damaged, or memory ran out.",
            hint="Close other programs and try again; if that doesn't help, remove the file and download it again.",
            retryable=True,
        ) from error


def _library() -> Any:
    """The package, with an OpenMP that doesn't spin for long: it reads that from the environment when it is loaded."""
    is_ours = "GOMP_SPINCOUNT" not in os.environ
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    try:
        import xllamacpp
    finally:
        if is_ours:
            del os.environ["GOMP_SPINCOUNT"]
    return xllamacpp


def _check(file: Path) -> None:
    """Whether this is a GGUF file. It is read to its end: loading holds up every thread, and so finds it in memory."""
    try:
        with file.open("rb", buffering=0) as stream:
            magic = stream.read(4)
            block = bytearray(4 * 1024 * 1024)
            while stream.readinto(block):
                pass
    except OSError as error:
        raise EngineError(f"{file} can't be read: {error.strerror}.", hint="Download it again.") from error
    if magic != b"GGUF":
        raise EngineError(f"{file} is not a GGUF file.", hint="Remove it and download it again.")
