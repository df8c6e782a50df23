"""Serving the app: where it listens, what is in the way, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import gradio as gr
import psutil
import pytest

from augmentlm.errors import InputError, MissingExtraError
from augmentlm.ui import launch as launching
from augmentlm.ui.launch import HOST, PORT, choose_port, is_loopback, launch, page_settings

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def start(*arguments: str) -> subprocess.Popen:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "app.py", *arguments], cwd=ROOT, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True
    )


def test_a_port_that_was_asked_for_is_used_or_refused(taken) -> None:
    free = free_port()
    assert choose_port(HOST, free) == free
    with pytest.raises(InputError, match=f"Port {taken} is in use."):
        choose_port(HOST, taken)


def test_without_a_wish_it_is_the_next_free_port(taken, monkeypatch) -> None:
    monkeypatch.setattr(launching, "PORT", taken)
    assert choose_port(HOST, None) > taken


@pytest.mark.parametrize(("host", "port", "sentence"), [(HOST, 0, "no port 0"), (HOST, 70_000, "no port 70000")])
def test_a_port_that_cannot_be_is_refused(host, port, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        choose_port(host, port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host"])
def test_an_address_of_another_computer_is_refused(host) -> None:
    with pytest.raises(InputError, match="is not an address of this computer"):
        choose_port(host, 8080)


@pytest.mark.parametrize(
    ("host", "here"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("10.0.0.1", False)]
)
def test_only_this_computer_reaches_a_loopback_address(host, here) -> None:
    assert is_loopback(host) is here


def test_mcp_without_its_packages_is_a_sentence(monkeypatch) -> None:
    monkeypatch.setattr(launching, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install -e "\.\[mcp\]"'):
        launch(mcp=True)


def test_a_taken_port_ends_the_command_with_one_sentence(taken) -> None:
    process = start("--port", str(taken))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert err == f"augmentlm: Port {taken} is in use. Choose another with --port, or end what uses it.\n"


def test_the_app_answers_on_this_computer_alone_without_torch_and_ctrl_c_ends_it_cleanly() -> None:
    port = free_port()
    process = start("--port", str(port))
    try:
        opened = process.stdout.readline()
        with urllib.request.urlopen(f"http://{HOST}:{port}/", timeout=30) as page:
            assert "AugmentLM" in page.read().decode()
        running = psutil.Process(process.pid)
        listening = {at.laddr for at in running.net_connections("tcp") if at.status == psutil.CONN_LISTEN}
        libraries = [mapped.path for mapped in running.memory_maps() if "libtorch" in mapped.path]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert opened == f"AugmentLM is open at http://{HOST}:{port}/  (Ctrl-C ends it)\n"
    assert listening == {(HOST, port)}
    assert libraries == []
    assert (process.returncode, out.strip(), err) == (0, "", "")


def test_a_computer_that_is_too_busy_to_answer_at_once_serves_the_page_all_the_same(monkeypatch) -> None:
    monkeypatch.setattr("gradio.networking.url_ok", lambda url: False)
    with gr.Blocks() as page:
        gr.HTML("here")
    page.launch(server_name=HOST, server_port=free_port(), **page_settings())
    page.close(verbose=False)


def test_the_usual_address_is_this_computer_alone() -> None:
    assert (HOST, PORT) == ("127.0.0.1", 7860)
