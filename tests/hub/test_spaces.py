"""Spaces as they are uploaded: what is in them, and that they answer in an environment that has nothing else."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from augmentlm.cli import main
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import InputError
from augmentlm.hub import bundles, metadata, spaces
from augmentlm.weights import home
from scripted_cli import ScriptedPool, novel

ROOT = Path(__file__).parents[2]
NAMES = ("expand", "pairs", "refine", "studio")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = dict(line.split("==") for line in PROJECT["dependencies"])
PAIRS = [{"instruction": "Name a fruit.", "response": "Apple."}, {"instruction": "Name a bird.", "response": "Wren."}]
CALLS = {
    "refine": ("/refine", ["write about dogs"]),
    "expand": ("/expand", [["Plan a three-day trip to Kyoto"]]),
    "pairs": ("/pair", [PAIRS]),
    "studio": ("/refine", ["write about dogs"]),
}


def test_there_are_the_four_spaces():
    assert tuple(spaces.names()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_space_may_be_published_as_it_is(name):
    assert bundles.release("space", name).problems() == []


@pytest.mark.parametrize("name", NAMES)
def test_the_card_of_a_space_names_the_gradio_that_the_project_uses(name):
    values = metadata.read((spaces.folder() / name / "README.md").read_text(encoding="utf-8"))
    assert values["sdk_version"] == PINS["gradio"]
    assert values["python_version"] == "3.12"


@pytest.mark.parametrize("name", NAMES)
def test_the_queue_is_as_long_as_the_card_of_a_space_says(name):
    from augmentlm.ui.build import TABS, build_app

    app = build_app(TABS if name == "studio" else [name], pool=ScriptedPool(ScriptedEngine()), local=False)
    said = re.search(r"(\d+) calls\s+wait", (spaces.folder() / name / "README.md").read_text(encoding="utf-8"))
    assert said and app._queue.max_size == int(said[1])
    busy = [event for event in app.fns.values() if event.concurrency_id == "generate"]
    assert busy and {event.concurrency_limit for event in busy} == {4}


@pytest.mark.parametrize("name", NAMES)
def test_a_space_is_its_app_its_requirements_and_the_package(name):
    files = spaces.assemble(name)
    assert {path for path in files if "/" not in path} == {"README.md", "app.py", "requirements.txt"}
    others = {path.partition("/")[0] for path in files if "/" in path}
    assert others == {"augmentlm"}
    assert {"augmentlm/catalog.toml", "augmentlm/ui/texts.toml", "augmentlm/ui/style/frame.css"} <= files.keys()
    assert "augmentlm/model_cards/augmentlm-0.5b-refine/adapter_model.safetensors" in files
    assert not any("__pycache__" in path or path.endswith(".pyc") for path in files)


@pytest.mark.parametrize("name", NAMES)
def test_requirements_are_all_that_the_package_needs_and_nothing_of_the_platform(name):
    lines = bytes(spaces.assemble(name)["requirements.txt"]).decode().split()
    assert all(re.fullmatch(r"[\w-]+==[\w.]+", line) for line in lines)
    named = {line.partition("==")[0] for line in lines}
    assert named >= PINS.keys() - set(spaces.OF_THE_PLATFORM) and not named & set(spaces.OF_THE_PLATFORM)
    assert named - PINS.keys() == ({"torch", "transformers", "accelerate"} if name == "studio" else set())


def test_a_package_that_the_platform_brings_or_nobody_pins_is_refused(tmp_path):
    file = tmp_path / "requirements.txt"
    for line, why in (("gradio", "comes with the platform"), ("left-pad", "is not in pyproject.toml")):
        file.write_text(line)
        with pytest.raises(InputError, match=why):
            spaces.requirements(file)


def test_an_unknown_space_is_answered_with_the_ones_there_are(capsys):
    assert main(["publish", "space", "nothing", "--dry-run"]) == 2
    assert "Choose one of expand, pairs, refine, studio." in capsys.readouterr().err


def test_a_dry_run_lists_every_file_shows_the_card_and_writes_what_would_go_up(tmp_path, capsys):
    assert main(["publish", "space", "refine", "--dry-run", "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    out = tmp_path / "out"
    written = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
    assert all(re.search(rf"[\d,]+  {re.escape(str(path))}$", shown, re.M) for path in written)
    assert f"{len(written)} files" in shown and "title: AugmentLM Refine" in shown
    assert main(["publish", "space", "refine", "--dry-run", "--out", str(tmp_path / "out")]) == 2


@pytest.mark.parametrize("name", NAMES)
def test_the_program_on_the_card_of_a_space_runs(name, monkeypatch, capsys):
    import gradio_client

    from augmentlm.ui.build import TABS, build_app
    from augmentlm.ui.launch import page_settings

    card = (spaces.folder() / name / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", card, re.MULTILINE | re.DOTALL)
    app = build_app(TABS if name == "studio" else [name], pool=ScriptedPool(ScriptedEngine(novel())), local=False)
    app.launch(**page_settings())
    client, named = gradio_client.Client, []

    def connect(space: str) -> gradio_client.Client:
        named.append(space)
        return client(app.local_url, verbose=False, httpx_kwargs={"timeout": 300})

    monkeypatch.setattr(gradio_client, "Client", connect)
    try:
        capsys.readouterr()
        exec(compile(program, f"spaces/{name}/README.md", "exec"), {"__name__": "card"})
        assert named == [f"augmentlm/augmentlm-{name}"] and len(capsys.readouterr().out.split()) > 3
    finally:
        app.close(verbose=False)


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """An environment as on free CPU hardware: what a Space asks for, and the platform's Gradio."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    asked = folder / "requirements.txt"
    asked.write_bytes(bytes(spaces.assemble("refine")["requirements.txt"]))
    of_the_platform = [f"{name}=={PINS[name]}" for name in ("gradio", "huggingface-hub")]
    install = [folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "-r", asked, *of_the_platform]
    subprocess.run([str(part) for part in install], check=True)
    return folder / "bin" / "python"


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_a_space_answers_in_an_environment_of_its_own(name, python, tmp_path):
    from gradio_client import Client

    from augmentlm import catalog, weights

    for task in ("refine", "expand"):  # pairs run on the base of expand
        weights.fetch_model(catalog.usual_model(task))
    folder = tmp_path / "space"
    assert main(["publish", "space", name, "--dry-run", "--out", str(folder)]) == 0
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    started = time.monotonic()
    with running(python, folder, tmp_path) as (process, url):
        client = Client(url, verbose=False, httpx_kwargs={"timeout": 300})
        endpoint, values = CALLS[name]
        answer = client.predict(*values, seed=1, max_tokens=60, api_name=endpoint)
        seconds = time.monotonic() - started
        bytes_used = psutil.Process(process.pid).memory_info().rss
        with pytest.raises(Exception, match="8,000 characters"):
            client.predict(_too_long(values), api_name=endpoint)
    text, row = answer if endpoint == "/refine" else (answer[0]["output"], answer[0])
    assert row["engine"] == "llamacpp" and row["completion_tokens"] > 3 and text
    assert seconds < 60 and bytes_used < 2_000_000_000
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def _too_long(values):
    if isinstance(values[0], str):
        return "dogs " * 2000
    if isinstance(values[0][0], str):
        return ["dogs " * 2000]
    return [*PAIRS, {"instruction": "dogs " * 2000, "response": "x"}]


@contextmanager
def running(python: Path, folder: Path, place: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """The Space as the platform starts it, until the page is there; its process and address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "AUGMENTLM_HOME": str(home()),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "HF_HUB_OFFLINE": "1",
        "SPACE_ID": "ada/augmentlm-space",
    }
    url, log = f"http://127.0.0.1:{port}/", place / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen([python, "app.py"], cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 300
        while True:
            try:
                urllib.request.urlopen(url, timeout=5)
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.3)
        yield process, url
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
