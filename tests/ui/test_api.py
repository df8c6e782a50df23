"""The public endpoints, over HTTP; and the same as tools over MCP."""

from __future__ import annotations

import asyncio
import itertools
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.ui.launch import launch
from scripted_cli import ScriptedPool
from scripted_page import everything

KEYS = (
    "task model engine quantization input output accepted reasons prompt_tokens completion_tokens ttft_s seconds seed "
    "tries"
).split()
PAIRS = [{"instruction": "Name a colour.", "response": "Red."}, {"instruction": "Name a bird.", "response": "Wren."}]


@pytest.fixture(scope="module")
def address():
    """The app on the scripted engine, with its MCP server."""
    yield launch(pool=ScriptedPool(ScriptedEngine(everything(), delay=0.005)), mcp=True, wait=False)
    gr.close_all(verbose=False)


@pytest.fixture(scope="module")
def client(address) -> Client:
    return Client(address, verbose=False)


def test_there_are_three_endpoints_and_no_other(address) -> None:
    with urllib.request.urlopen(f"{address}gradio_api/info") as answer:
        info = json.load(answer)
    assert list(info["named_endpoints"]) == ["/refine", "/expand", "/pair"]
    assert info["unnamed_endpoints"] == {}
    for endpoint in info["named_endpoints"].values():
        assert len(endpoint["description"]) > 60
        assert all(len(argument["python_type"]["description"]) > 15 for argument in endpoint["parameters"])
        assert all(len(result["python_type"]["description"]) > 15 for result in endpoint["returns"])


def test_refine_streams_the_text_and_ends_with_the_row(client) -> None:
    answers = list(client.submit("count", api_name="/refine"))
    texts = [text for text, _ in answers]
    assert len(texts) > 3
    assert all(later.startswith(earlier.rstrip()) for earlier, later in itertools.pairwise(texts))
    assert [row for _, row in answers[:-1]] == [{}] * (len(answers) - 1)
    assert list(answers[-1][1]) == KEYS
    assert answers[-1][1]["output"] == texts[-1]


def test_expand_gives_a_row_for_each_new_instruction(client) -> None:
    rows = client.predict(["Plan a trip", "Name a bird"], n=2, seed=5, api_name="/expand")
    assert [list(row) for row in rows] == [KEYS] * 4
    assert [row["input"] for row in rows] == ["Plan a trip"] * 2 + ["Name a bird"] * 2
    assert [row["seed"] for row in rows] == [5, 6, 5, 6]


def test_pair_gives_a_row_for_each_new_pair(client) -> None:
    [row] = client.predict(PAIRS, api_name="/pair")
    assert row["accepted"]
    assert row["output"]["response"] == "Gladly."


@pytest.mark.parametrize(
    ("endpoint", "arguments", "sentence"),
    [
        ("/refine", {"prompt": ""}, "There is no text to work on."),
        ("/refine", {"prompt": "x" * 200_000}, "The text has 200,000 characters"),
        ("/refine", {"prompt": 5}, "refine takes one text, not int."),
        ("/refine", {"prompt": "a", "model": "nope"}, "There is no model called 'nope'."),
        ("/refine", {"prompt": "a", "temperature": "hot"}, "temperature is not a number."),
        ("/expand", {"instructions": []}, "There is no text to work on."),
        ("/expand", {"instructions": ["a"], "n": 100_000}, "One call makes 1 to 200 results."),
        ("/expand", {"instructions": ["a"], "n": "b"}, "One call makes 1 to 200 results."),
        ("/pair", {"examples": PAIRS[:1]}, "At least 2 example pairs are needed, 1 given."),
        ("/pair", {"examples": "text"}, "At least 2 example pairs are needed"),
    ],
)
def test_a_call_that_cannot_be_worked_on_gets_a_sentence(client, endpoint, arguments, sentence, capsys) -> None:
    with pytest.raises(AppError, match=sentence.replace(".", r"\.")):
        client.predict(**arguments, api_name=endpoint)
    assert "Traceback" not in capsys.readouterr().err


def test_a_call_that_is_cancelled_stops_and_leaves_the_others_alone(address) -> None:
    one, other = Client(address, verbose=False), Client(address, verbose=False)
    stopped = one.submit("count", api_name="/refine")
    next(iter(stopped))
    with ThreadPoolExecutor() as pool:
        going_on = pool.submit(lambda: other.predict("count", api_name="/refine"))
        stopped.cancel()
        text, row = going_on.result(timeout=60)
    assert text.endswith("number399")
    assert row["accepted"]


def test_two_calls_of_one_client_do_not_stop_each_other(client) -> None:
    jobs = [client.submit("count", api_name="/refine") for _ in range(2)]
    assert [job.result(timeout=60)[0].endswith("number399") for job in jobs] == [True, True]


# ---- MCP -------------------------------------------------------------------------------------------------------------


def over_mcp(address, work):
    """Do something with a session of an MCP client."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def run():
        async with (
            streamable_http_client(f"{address}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await work(session)

    return asyncio.run(run())


def test_the_tools_are_the_three_endpoints_with_what_they_do(address) -> None:
    tools = over_mcp(address, lambda session: session.list_tools()).tools
    assert [tool.name for tool in tools] == ["refine", "expand", "pair"]
    for tool in tools:
        assert len(tool.description) > 80
        fields = tool.inputSchema["properties"]
        assert all(field["description"] for field in fields.values())
        assert "request" not in fields
    assert tools[0].inputSchema["required"] == ["prompt"]


def test_a_tool_answers_and_its_faults_are_sentences(address) -> None:
    async def work(session):
        good = await session.call_tool("refine", {"prompt": "count"})
        rows = await session.call_tool("expand", {"instructions": ["count"], "n": 2})
        bad = await session.call_tool("pair", {"examples": PAIRS[:1]})
        return good, rows, bad

    good, rows, bad = over_mcp(address, work)
    assert "number399" in good.content[0].text
    assert json.loads(good.content[1].text)["task"] == "refine"
    assert [type(row["accepted"]) for row in json.loads(rows.content[0].text)] == [bool, bool]
    assert bad.isError
    assert "At least 2 example pairs are needed" in bad.content[0].text
