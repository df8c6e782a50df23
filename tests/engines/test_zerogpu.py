"""The studio's engine with the real `spaces` package: what would travel to the process with the GPU and back."""

from __future__ import annotations

import os
import pickle
import runpy
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("spaces")

from augmentlm import catalog, hardware
from augmentlm.augmenter import load
from augmentlm.catalog import Sampling
from augmentlm.cli import main
from augmentlm.engines import zerogpu
from augmentlm.engines.base import Completion, Request
from augmentlm.engines.limits import Limits
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import EngineError, InputError
from augmentlm.machine import inspect, plan
from augmentlm.tasks import Message, is_over
from augmentlm.ui import build

NAME = "qwen2-7b-instruct-refine"
ARTIFACT = catalog.model(NAME).artifact.name
ON_A_SPACE = """
import os, pathlib, sys
import spaces
os.environ["SPACES_ZERO_GPU"] = "true"  # after the platform's package, which would look for its GPUs
import app
from augmentlm.engines import zerogpu
from augmentlm.engines.base import Request
from augmentlm.catalog import Sampling, model
from augmentlm.tasks import Message
assert zerogpu.__file__.startswith(os.getcwd()), zerogpu.__file__
zerogpu.fetch_model = lambda model, **_: pathlib.Path(sys.argv[1])
zerogpu.preload(app.PUBLISHED[:1], device="cpu")
asked = Request((Message("user", "write about dogs"),), Sampling(max_tokens=4, seed=1))
name = model(app.PUBLISHED[0]).artifact.name
rows = [row for row in zerogpu.generate_on_gpu(name, (asked, asked)) if row]
print(len(list(zerogpu.stream_on_gpu(name, asked))[-1].text), len(rows))
"""
"""What the assembled Space does there, up to the page: its app is imported, its models loaded, its functions called."""
STUDIO = Path(__file__).parents[2] / "spaces" / "studio" / "app.py"


def request(tokens: int = 8, seed: int = 1) -> Request:
    return Request(
        (Message("user", "write about dogs"),), Sampling(max_tokens=tokens, seed=seed), is_over=partial(is_over, "pair")
    )


@pytest.fixture
def preloaded(tiny_base, monkeypatch, one_thread):
    """A tiny model in the place of the 7B one, and a Space on ZeroGPU to the rest of the program."""
    monkeypatch.setattr(zerogpu, "fetch_model", lambda model, **_: tiny_base)
    monkeypatch.setattr(zerogpu, "_engines", {})
    zerogpu.preload([NAME], device="cpu")
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")


def test_the_card_of_zerogpu_is_planned_with_though_it_is_not_there_yet(monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert hardware.on_zerogpu()
    chosen = plan(catalog.model(NAME), inspect())
    assert (chosen.engine, chosen.quantization, chosen.device) == ("transformers", "bf16", "cuda")


def test_the_decorated_functions_stream_and_generate_and_what_they_pass_can_be_pickled(preloaded):
    sent = pickle.loads(pickle.dumps((ARTIFACT, request())))
    pieces = [pickle.loads(pickle.dumps(piece)) for piece in zerogpu.stream_on_gpu(*sent)]
    assert isinstance(pieces[-1], Completion) and pieces[-1].text == "".join(pieces[:-1])
    many = pickle.loads(pickle.dumps((ARTIFACT, (request(seed=1), request(seed=2)))))
    rows = [pickle.loads(pickle.dumps(row)) for row in zerogpu.generate_on_gpu(*many)]
    assert sorted(row[0] for row in rows if row) == [0, 1]


def test_a_gpu_is_asked_for_no_longer_than_the_text_needs():
    short, long = zerogpu.seconds_of_stream(ARTIFACT, request(25)), zerogpu.seconds_of_stream(ARTIFACT, request(512))
    assert zerogpu.START_SECONDS < short < long < 60
    assert zerogpu.seconds_of_rows(ARTIFACT, (request(25), request(100_000))) == zerogpu.LONGEST_SECONDS


def test_the_app_refines_on_the_borrowed_gpu(preloaded):
    pool = zerogpu.zero_pool(Limits(tokens=8))
    result = load("refine", NAME, pool=pool)("write about dogs", seed=1)
    assert (result.model, result.quantization, result.completion_tokens <= 8) == (NAME, "bf16", True)
    pool.close()


def test_stop_leaves_the_call_and_keeps_what_was_written(preloaded):
    stop = threading.Event()
    items = []
    for item in zerogpu.ZeroGpuEngine(ARTIFACT).stream(request(64), stop):
        items.append(item)
        stop.set()
    assert isinstance(items[-1], Completion) and items[-1].finish == "cancelled"
    assert items[-1].text == "".join(items[:-1])


@pytest.fixture
def slow(monkeypatch):
    """A model that writes twenty words a second, one row after the other, in place of the 7B one; gives the indices of
    the rows that it was left in, once it has noticed."""
    left = []

    class Slow(ScriptedEngine):
        def generate(self, requests, stop):
            for index, completion in super().generate(requests, stop):
                yield index, completion
                left.extend([index] * stop.is_set())

    engine = Slow(lambda request: "word " * request.sampling.max_tokens, delay=0.05)
    monkeypatch.setattr(zerogpu, "_engines", {ARTIFACT: engine})
    return left


def three() -> list[Request]:
    """One short row and two of twenty seconds."""
    return [request(2, seed=1), request(400, seed=2), request(400, seed=3)]


def test_stop_ends_a_batch_in_the_middle_of_its_rows_and_gives_the_gpu_back(slow):
    stop = threading.Event()
    rows = zerogpu.ZeroGpuEngine(ARTIFACT).generate(three(), stop)
    assert next(rows)[1].text == "word word "
    started = time.monotonic()
    threading.Timer(0.3, stop.set).start()
    assert [(index, row.text, row.finish, row.seed) for index, row in rows] == [
        (1, "", "cancelled", 2),
        (2, "", "cancelled", 3),
    ]
    assert time.monotonic() - started < 10
    assert slow == [1, 2]


def test_a_batch_that_is_left_gives_the_gpu_back(slow):
    rows = zerogpu.ZeroGpuEngine(ARTIFACT).generate(three(), threading.Event())
    next(rows)
    rows.close()
    assert slow == [1, 2]


def test_a_batch_that_was_stopped_before_it_began_borrows_no_gpu(slow, monkeypatch):
    monkeypatch.setattr(zerogpu, "generate_on_gpu", lambda *given: pytest.fail("a GPU was asked for"))
    stop = threading.Event()
    stop.set()
    rows = zerogpu.ZeroGpuEngine(ARTIFACT).generate([request(), request()], stop)
    assert [(index, row.finish) for index, row in rows] == [(0, "cancelled"), (1, "cancelled")]


def test_what_fails_on_the_gpu_fails_here_after_the_rows_before_it(monkeypatch):
    class Failing(ScriptedEngine):
        def generate(self, requests, stop):
            yield from super().generate(requests[:1], stop)
            raise EngineError("The machine ran out of GPU memory.", retryable=True)

    monkeypatch.setattr(zerogpu, "_engines", {ARTIFACT: Failing()})
    rows = zerogpu.ZeroGpuEngine(ARTIFACT).generate([request(), request()], threading.Event())
    assert next(rows)[0] == 0
    with pytest.raises(EngineError, match="ran out of GPU memory"):
        next(rows)


@pytest.mark.parametrize("verb", ["stream", "generate"])
def test_an_error_of_the_other_process_comes_as_what_can_be_sent(monkeypatch, verb):
    class Failing(ScriptedEngine):
        def stream(self, request, stop):
            raise InputError("The text is too long.", hint="Shorten it.")
            yield

        def generate(self, requests, stop):
            raise InputError("The text is too long.", hint="Shorten it.")
            yield

    monkeypatch.setattr(zerogpu, "_engines", {ARTIFACT: Failing()})
    asked = request() if verb == "stream" else (request(),)
    sent = [item for item in getattr(zerogpu, f"{verb}_on_gpu")(ARTIFACT, asked) if item]
    (error,) = pickle.loads(pickle.dumps(sent))
    assert (type(error), error.message, error.hint) == (InputError, "The text is too long.", "Shorten it.")
    with pytest.raises(InputError, match="The text is too long"):
        list(
            getattr(zerogpu.ZeroGpuEngine(ARTIFACT), verb)(
                request() if verb == "stream" else [request()], threading.Event()
            )
        )


def test_a_model_that_was_not_loaded_at_the_start_is_a_sentence(monkeypatch):
    monkeypatch.setattr(zerogpu, "_engines", {})
    with pytest.raises(EngineError, match="was not loaded when this Space started"):
        zerogpu.ZeroGpuEngine(ARTIFACT)


def test_a_refusal_of_the_platform_is_a_sentence(preloaded, monkeypatch):
    import gradio as gr

    def refuse(artifact, request):
        raise gr.Error("You have exceeded your GPU quota")
        yield

    monkeypatch.setattr(zerogpu, "stream_on_gpu", refuse)
    with pytest.raises(EngineError, match="The shared GPU was not given: You have exceeded your GPU quota"):
        next(zerogpu.ZeroGpuEngine(ARTIFACT).stream(request(), threading.Event()))


def test_the_studio_loads_the_published_models_first_and_keeps_the_runs_of_its_examples(monkeypatch):
    import gradio as gr

    happened, built = [], []

    def build_app(*arguments, **settings):
        built.append(settings)
        return original(*arguments, **settings)

    original = build.build_app
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setattr(zerogpu, "preload", lambda names: happened.append(sorted(names)))
    monkeypatch.setattr(build, "build_app", build_app)
    monkeypatch.setattr(gr.Blocks, "launch", lambda app, **settings: happened.append("served"))
    runpy.run_path(str(STUDIO), run_name="__main__")
    published = sorted(model.name for model in catalog.models().values() if model.family == "hub-7b")
    assert happened == [published, "served"]
    assert built[0]["keep_examples"] and not built[0]["local"]


def test_the_studio_as_it_is_uploaded_is_imported_and_its_decorated_functions_answer(tiny_base, tmp_path):
    assert main(["publish", "space", "studio", "--dry-run", "--out", str(tmp_path / "studio")]) == 0
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ON_A_SPACE, str(tiny_base)],
        cwd=tmp_path / "studio",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    letters, rows = done.stdout.split()[-2:]
    assert int(letters) > 0 and int(rows) == 2
