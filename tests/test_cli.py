import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from augmentlm import __version__, catalog
from augmentlm.cli import main
from augmentlm.engines.scripted import Script, ScriptedEngine
from augmentlm.errors import EngineError
from scripted_cli import ScriptedPool, novel

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
KEYS = (
    "task model engine quantization input output accepted reasons prompt_tokens completion_tokens ttft_s seconds seed "
    "tries"
).split()
PAIRS = '{"prompt": "Name a colour.", "completion": "Red."}\n{"prompt": "Name a bird.", "completion": "Wren."}\n'


@pytest.fixture
def run(capsys, monkeypatch) -> Callable[..., tuple[int, str, str]]:
    """Run a command on the scripted engine; gives exit code, stdout and stderr."""

    def run(*arguments: str, script: Script | None = None, stdin: bytes | None = None) -> tuple[int, str, str]:
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            code = main(arguments, pool=ScriptedPool(ScriptedEngine(script or novel())))
        except SystemExit as error:  # how argparse ends
            code = error.code
        return code, *capsys.readouterr()

    return run


def start(*arguments: str, delay: float = 0.05, **options) -> subprocess.Popen:
    command = [sys.executable, ROOT / "tests" / "scripted_cli.py", str(delay), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, stdin=subprocess.DEVNULL, env=ENVIRONMENT, **options)


# ---- input and output ------------------------------------------------------------------------------------------------


def test_refine_prints_the_prompt_without_the_blank_space_round_it(run) -> None:
    code, out, err = run("refine", "write about dogs", script=lambda _: "\n\n Write  about\ndogs. \n\n")
    assert (code, out, err) == (0, "Write  about\ndogs.\n", "")


def test_refine_prints_while_the_model_is_still_writing() -> None:
    process = start("refine", "count")
    try:
        assert process.stdout.read(1) == b"0"
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_text_comes_from_standard_input(run, arguments) -> None:
    code, out, _ = run(
        "refine", *arguments, stdin="\ufeff写一首诗\r\n".encode(), script=lambda r: r.messages[-1].content
    )
    assert code == 0
    assert out.endswith("写一首诗\n")


def test_a_text_file_is_one_prompt_and_a_table_is_one_a_row(run, tmp_path) -> None:
    text = tmp_path / "prompt.txt"
    text.write_text("first line\nsecond line")
    _, out, _ = run("refine", "--file", str(text), "--json")
    assert [json.loads(line)["input"] for line in out.splitlines()] == ["first line\nsecond line"]
    table = tmp_path / "prompts.jsonl"
    table.write_text('{"instruction": "first"}\n{"instruction": "second"}')
    _, out, _ = run("refine", "--file", str(table), "--json")
    assert [json.loads(line)["input"] for line in out.splitlines()] == ["first", "second"]


def test_json_has_the_promised_keys_in_their_order_one_object_a_line(run) -> None:
    code, out, err = run("expand", "Plan a trip", "-n", "3", "--seed", "5", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [list(row) for row in rows] == [KEYS] * 3
    assert [row["seed"] for row in rows] == [5, 6, 7]
    assert all(row["accepted"] and row["task"] == "expand" for row in rows)
    assert (code, err) == (0, "")


def test_expand_prints_what_passed_and_says_on_stderr_what_was_left_out(run) -> None:
    code, out, err = run("expand", "Plan a trip", "-n", "2", "--seed", "0", script=lambda _: "Plan a trip")
    assert (code, out) == (1, "")
    assert err.count("left out: near_copy") == 2


def test_json_carries_rejected_rows_with_their_reasons(run) -> None:
    code, out, err = run("expand", "Plan a trip", "--json", script=lambda _: "Plan a trip")
    (row,) = map(json.loads, out.splitlines())
    assert not row["accepted"]
    assert row["reasons"][0]["code"] == "near_copy"
    assert (code, err) == (1, "")


def test_a_refined_prompt_that_lost_a_fact_is_shown_with_a_note(run) -> None:
    code, out, err = run("refine", "write 300 words about dogs", script=lambda _: "Write some words about dogs.")
    assert (code, out) == (0, "Write some words about dogs.\n")
    assert "note: facts_lost" in err
    assert "300" in err


def test_a_prompt_that_comes_back_as_it_was_is_called_good(run) -> None:
    _, out, err = run("refine", "Write a poem about dogs.", script=lambda _: "Write a poem about dogs.")
    assert out == "Write a poem about dogs.\n"
    assert "good as it is" in err


def test_nothing_written_is_exit_code_one(run) -> None:
    code, out, err = run("refine", "write about dogs", script=lambda _: "")
    assert (code, out) == (1, "")
    assert "nothing was written" in err


def test_pairs_come_from_a_file_or_a_pipe_and_go_out_in_the_published_form(run, tmp_path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(PAIRS)
    for arguments, stdin in ((("pair", str(path)), None), (("pair", "--file", str(path)), None), (("pair",), PAIRS)):
        code, out, _ = run(*arguments, stdin=stdin and stdin.encode())
        assert out == "### Instruction\n\nDescribe one ripe apple in a poem\n\n### Response\n\nGladly.\n"
        assert code == 0


def test_one_bad_row_is_named_and_the_others_go_on(run, tmp_path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(json.dumps(["Plan a trip", "x" * 200_000, "Name a bird"]))
    code, out, err = run("expand", "--file", str(path))
    assert code == 0
    assert out == "Describe one ripe apple in a poem\n\nList seven rivers of northern Europe\n"
    assert "Row 2: left out: input: The text has 200,000 characters" in err


def test_sampling_options_reach_the_engine(run) -> None:
    seen = []
    run(
        *"refine hello --temperature 0 --top-p 0.5 --top-k 3 --max-tokens 7 --seed 11".split(),
        script=lambda request: seen.append(request.sampling) or "ok",
    )
    assert seen == [catalog.Sampling(temperature=0, top_p=0.5, top_k=3, max_tokens=7, seed=11)]


def test_escape_sequences_of_a_model_do_not_reach_the_terminal(run) -> None:
    _, out, _ = run("refine", "hello", script=lambda _: "\x1b]0;owned\x07 clear \x1b[2J\x9b31m me")
    assert out == "]0;owned clear [2J31m me\n"


# ---- wrong use -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "VERB"),
        (("improve", "x"), "invalid choice"),
        (("refine", "x", "--tempreature", "1"), "--help"),
        (("refine", "write", "about", "dogs"), "unrecognized arguments: about dogs"),
        (("refine", ""), "no text"),
        (("refine", "\x00\x01\ufeff"), "no text"),
        (("refine", "x" * 200_000), "200,000 characters"),
        (("refine", "x", "--json", "-n", "0"), "0 results"),
        (("refine", "x", "--temperature", "-1"), "out of range"),
        (("refine", "x", "--model", "augmentlm-0.5b-refin"), "Did you mean augmentlm-0.5b-refine"),
        (("refine", "x", "--model", "augmentlm-0.5b-pair"), "can't do refine"),
        (("refine", "x", "--endpoint", "http://127.0.0.1:9/v1"), "name of a model"),
        (("refine", "x", "--file", "y.txt"), "Give one of them"),
        (("refine", "--file", "missing.txt"), "No such file"),
        (("pair", "missing.jsonl"), "No such file"),
        (("models", "card", "nonsense"), "no model called"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_two(run, arguments, said) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        (PAIRS.splitlines()[0].encode(), "At least 2 example pairs"),
        (PAIRS.encode()[:-9], "Line 2 breaks off"),
        (b'{"prompt": "caf\xe9"}', "not UTF-8"),
        (b"", "no data"),
    ],
)
def test_pairs_that_are_not_right_are_one_line_and_exit_code_two(run, stdin, said) -> None:
    code, out, err = run("pair", stdin=stdin)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_terminal_with_nothing_typed_is_told_what_to_give(run, monkeypatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    code, _, err = run("refine")
    assert code == 2
    assert "pipe it in" in err


def test_an_engine_that_breaks_down_keeps_what_was_printed(run) -> None:
    class Failing(ScriptedEngine):
        def stream(self, request, stop):
            yield "half a "
            raise EngineError("The server went away.", hint="Start it again.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "ScriptedEngine", Failing)
        code, out, err = run("refine", "hello")
    assert (code, out, err) == (1, "half a\n", "augmentlm: The server went away. Start it again.\n")


# ---- interruption ----------------------------------------------------------------------------------------------------


def interrupt(process: subprocess.Popen) -> tuple[str, str]:
    """Press Ctrl-C and give what came out afterwards; the command has to end at once."""
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - sent < 1.5
    assert process.returncode == 130
    return out.decode(), err.decode()


def test_ctrl_c_while_streaming_keeps_what_is_printed() -> None:
    process = start("refine", "count")
    assert process.stdout.read(1) == b"0"
    out, err = interrupt(process)
    assert err == "augmentlm: Stopped.\n"
    assert out.split() == [str(number) for number in range(1, len(out.split()) + 1)]
    assert out.endswith("\n")


def test_ctrl_c_among_many_rows_leaves_whole_rows() -> None:
    process = start("expand", "count", "-n", "1000", "--max-tokens", "1", "--temperature", "0", "--json")
    first = process.stdout.readline()
    out, err = interrupt(process)
    assert err == "augmentlm: Stopped.\n"
    assert all(json.loads(line)["task"] == "expand" for line in [first, *out.splitlines()])


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    process = start("refine", "count", delay=0.001)
    process.stdout.read(1)
    process.stdout.close()
    assert process.wait(timeout=10) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


# ---- starting --------------------------------------------------------------------------------------------------------


def test_version_and_help(run) -> None:
    assert run("--version")[:2] == (0, f"augmentlm {__version__}\n")
    code, out, _ = run("--help")
    assert code == 0
    assert all(verb in out for verb in ("refine", "expand", "pair", "models", "app"))


@pytest.mark.parametrize("command", [["-c", "import augmentlm"], ["-m", "augmentlm.cli", "--help"]])
def test_starting_is_instant(command) -> None:
    def seconds() -> float:
        """Of the processor, which a busy machine doesn't change; bench/startup.py takes the time by the clock."""
        before = os.times()
        subprocess.run([sys.executable, *command], env=ENVIRONMENT, check=True, capture_output=True)
        after = os.times()
        return sum(after[2:4]) - sum(before[2:4])

    assert min(seconds() for _ in range(3)) <= 0.3


def test_help_imports_nothing_it_does_not_need() -> None:
    script = (
        "import sys\nfrom augmentlm.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    heavy = {"torch", "gradio", "xllamacpp", "transformers", "huggingface_hub", "httpx", "numpy"}
    assert heavy.isdisjoint(run.stderr.split())


# ---- models ----------------------------------------------------------------------------------------------------------


def test_models_lists_every_model_with_size_licence_and_fit(run) -> None:
    code, out, _ = run("models")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0
    assert set(catalog.models()) < set(lines)
    assert "491 MB" in lines["augmentlm-0.5b-refine"]
    assert "apache-2.0" in lines["augmentlm-0.5b-refine"]
    assert run("models", "list")[1] == out


@pytest.mark.parametrize("name", catalog.models())
def test_every_model_has_a_card(run, name) -> None:
    code, out, _ = run("models", "card", name)
    model = catalog.model(name)
    assert code == 0
    assert model.title in out or catalog.model(model.base).title in out


def test_verify_and_remove_of_what_is_not_here_say_so(run, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path))
    assert run("models", "verify", "all-minilm-l6-v2")[:2] == (
        1,
        "all-minilm-l6-v2: not downloaded\nall-minilm-l6-v2-tokenizer: not downloaded\n",
    )
    assert run("models", "remove", "all-minilm-l6-v2")[:2] == (0, "Nothing was downloaded.\n")
