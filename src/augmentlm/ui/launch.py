"""Serve the app: on this computer only unless told otherwise, with nothing sent to anyone else."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import time
from importlib.util import find_spec
from typing import Any

from augmentlm.engines.pool import EnginePool
from augmentlm.errors import InputError, MissingExtraError

HOST, PORT = "127.0.0.1", 7860
_PORTS_TRIED = 20


def launch(
    host: str = HOST,
    port: int | None = None,
    *,
    mcp: bool = False,
    pool: EnginePool | None = None,
    wait: bool = True,
) -> str:
    """Serve the app and give its address; with `wait`, only after Ctrl-C.

    Without `port` it is 7860 or the next free one. Raises `InputError` when the port asked for is taken or the
    address is not one of this computer, `MissingExtraError` when `mcp` needs packages that are not there.
    """
    if mcp and find_spec("mcp") is None:
        raise MissingExtraError(
            "The MCP server needs a package that is not installed.", hint='Run `pip install -e ".[mcp]"`.'
        )
    chosen = choose_port(host, port)
    # Read when Gradio is imported, so set before it: no usage reports, no version check.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from augmentlm.ui.build import build_app

    app = build_app(pool=pool, local=is_loopback(host))
    try:
        app.launch(server_name=host, server_port=chosen, mcp_server=mcp, **page_settings())
    except OSError as error:  # somebody took the port a moment ago
        raise InputError(f"Port {chosen} can't be used: {error}.", hint="Choose another with --port.") from error
    address = app.local_url or f"http://{host}:{chosen}/"
    if port is None and chosen != PORT:
        print(f"Port {PORT} is in use, so this is port {chosen}.", flush=True)
    print(f"AugmentLM is open at {address}  (Ctrl-C ends it)", flush=True)
    if mcp:
        answer_in_json(app.mcp_server_obj)
        print(f"MCP server: {address}gradio_api/mcp/", flush=True)
    if wait:
        _until_interrupted()
        app.close(verbose=False)
    return address


def answer_in_json(server: Any) -> None:
    """Let Gradio's MCP server write each list and object as JSON; its own way is Python's `repr` of the whole."""
    write = server.postprocess_output_data

    def write_json(data: list[Any], root_url: str) -> Any:
        results = [part for item in data for part in (item if isinstance(item, tuple) else (item,))]
        texts = [part if isinstance(part, str) else json.dumps(part, ensure_ascii=False) for part in results]
        return write(texts, root_url)

    server.postprocess_output_data = write_json


def page_settings() -> dict[str, Any]:
    """How the page looks and what it leaves out; for every `launch` of the app, the one on a Space too."""
    from augmentlm.ui.theme import head, theme

    return {
        "theme": theme(),
        "head": head(),
        "footer_links": ["api"],
        "share": False,
        "ssr_mode": False,
        "run_history": False,
        "enable_monitoring": False,
        "prevent_thread_lock": True,
        "quiet": True,
        "show_error": True,
        "max_file_size": "20mb",
        # Else Gradio gives up, and asks for a share link, where a busy computer takes more than 3 s to answer itself.
        "_frontend": False,
    }


def _until_interrupted() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print()  # the terminal has just shown ^C


def choose_port(host: str, port: int | None) -> int:
    """The port asked for if it is free, else 7860 or the next free one. Raises `InputError` with what is in the way."""
    if port is not None:
        if not 0 < port < 65536:
            raise InputError(f"There is no port {port}.", hint="Choose one from 1 to 65535.")
        if not _free(host, port):
            raise InputError(f"Port {port} is in use.", hint="Choose another with --port, or end what uses it.")
        return port
    for candidate in range(PORT, PORT + _PORTS_TRIED):
        if _free(host, candidate):
            return candidate
    raise InputError(f"Ports {PORT} to {PORT + _PORTS_TRIED - 1} are all in use.", hint="Choose one with --port.")


def is_loopback(host: str) -> bool:
    """Is the address reachable from this computer only?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _free(host: str, port: int) -> bool:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise InputError(f"{host} is not an address of this computer.", hint="Use 127.0.0.1 or 0.0.0.0.") from error
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError as error:
            raise InputError(f"Port {port} needs administrator rights.", hint="Choose one above 1023.") from error
        except OSError as error:
            if error.errno == 99:  # EADDRNOTAVAIL
                raise InputError(
                    f"{host} is not an address of this computer.", hint="Use 127.0.0.1 or 0.0.0.0."
                ) from error
            return False
    return True
