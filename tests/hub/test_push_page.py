"""From the page to the hub: with one's own token on one's own computer, on a Space with the visitor's alone."""

from __future__ import annotations

import time
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio import oauth
from gradio.helpers import special_args

from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.hub import metadata, spaces
from augmentlm.reports.dataset import run_report
from augmentlm.runs import shelf
from augmentlm.runs.outputs import Output
from augmentlm.runs.rows import read_run
from augmentlm.runs.run import run
from augmentlm.ui import dataset_push
from augmentlm.ui.context import Context
from augmentlm.ui.dataset import _Dataset
from augmentlm.ui.dataset_push import Push
from augmentlm.ui.readiness import Readiness
from scripted_cli import ScriptedPool
from scripted_run import dreamed

OF_THE_PLATFORM = {
    "SYSTEM": "spaces",
    "SPACE_ID": "ada/augmentlm-studio",
    "OAUTH_CLIENT_ID": "id",
    "OAUTH_CLIENT_SECRET": "secret",
    "OAUTH_SCOPES": "openid profile contribute-repos",
    "OPENID_PROVIDER_URL": "https://huggingface.co",
}


@pytest.fixture
def platform(monkeypatch):
    """A Space whose README says `hf_oauth: true`."""
    pytest.importorskip("authlib", reason="the platform installs gradio[oauth]")
    for name, value in OF_THE_PLATFORM.items():
        monkeypatch.setenv(name, value)
        if hasattr(oauth, name):  # read when Gradio is imported
            monkeypatch.setattr(oauth, name, value)


@pytest.fixture
def folder(tmp_path, no_embedder):
    list(run(["Paint a boat", "Sell two hens"], tmp_path / "run", n=4, pool=ScriptedPool(ScriptedEngine(dreamed))))
    return tmp_path / "run"


def panel(folder, *, local: bool) -> Push:
    with gr.Blocks():
        context = Context(ScriptedPool(ScriptedEngine(dreamed)), gr.BrowserState(""), Readiness(lambda _: None), local)
        return Push(context, lambda name: folder if name == "run" else None, gr.Dropdown())


def tab(*, local: bool) -> gr.Blocks:
    with gr.Blocks() as page, gr.Tab("Dataset") as place:
        context = Context(ScriptedPool(ScriptedEngine(dreamed)), gr.BrowserState(""), Readiness(lambda _: None), local)
        _Dataset(context, place)
    return page


def signed_in(token: str, **session) -> gr.Request:
    """What Gradio keeps of a visitor who has signed in."""
    known = {"access_token": token, "scope": "openid", "expires_at": time.time() + 3600, "userinfo": {}, **session}
    return gr.Request(SimpleNamespace(scope={"session": {"oauth_info": known}}))


def test_a_visitor_pushes_with_the_own_token_and_never_with_that_of_the_space(hub, folder) -> None:
    hub.users["hf_eve"] = "eve"  # beside `hf_double`, which the Space itself has
    push = panel(folder, local=False)
    values, *_ = special_args(push.as_visitor, ["run", "boats", "en"], signed_in("hf_eve"))
    *_, said = push.as_visitor(*values)
    assert f"It is at {hub.url}/datasets/eve/boats." in said
    repo = hub.repo("eve/boats", "dataset")
    assert repo.private and {"README.md", "data.jsonl"} <= repo.head.files.keys()
    assert hub.tokens - {""} == {"hf_eve"}  # files are stored without one, at an address of their own


@pytest.mark.parametrize(
    "request_", [gr.Request(SimpleNamespace(scope={})), signed_in("hf_eve", expires_at=1)], ids=["no one", "long ago"]
)
def test_who_has_not_signed_in_sends_nothing(hub, folder, request_) -> None:
    push = panel(folder, local=False)
    values, *_ = special_args(push.as_visitor, ["run", "boats", "en"], request_)
    (said,) = push.as_visitor(*values)
    assert "Sign in first" in said and not hub.times("/api/(whoami|repos|datasets)")


def test_a_data_set_that_the_space_did_not_make_is_left_alone(hub, folder) -> None:
    hub.users["hf_eve"] = "eve"
    hub.fail("POST /api/repos/create", 403)
    *_, said = panel(folder, local=False).as_visitor("run", "boats", "en", gr.OAuthToken("hf_eve", "openid", 0))
    assert "Your token may not write to eve/boats." in said and "Choose another owner" in said
    assert not hub.repos


@pytest.mark.parametrize(("typed", "owner"), [("", "ada"), (" hf_eve ", "eve")])
def test_at_home_it_is_the_token_of_the_owner_or_the_one_that_was_typed(hub, folder, typed, owner) -> None:
    hub.users["hf_eve"] = "eve"
    *_, said = panel(folder, local=True).as_owner("run", "boats", False, typed, "en")
    assert f"datasets/{owner}/boats" in said and not hub.repo(f"{owner}/boats", "dataset").private


def test_what_goes_up_tells_of_the_rows_and_the_file_as_they_are_now(hub, folder) -> None:
    run_report(folder)
    shelf.strike(folder, [read_run(folder).accepted[0].candidate])
    shelf.rewrite(folder, Output(file="csv"))
    *_, said = panel(folder, local=True).as_owner("run", "boats", True, "", "en")
    assert "It is at" in said
    files = hub.repo("ada/boats", "dataset").head.files
    card = files["README.md"].decode()
    assert metadata.read(card)["configs"] == [{"config_name": "default", "data_files": "data.csv"}]
    assert "data.csv" in files and "data.jsonl" not in files and "3 synthetic rows" in card
    assert b"3 of 4 rows accepted" in files["report.html"]


def test_rows_that_shall_be_private_do_not_go_where_everybody_reads(hub, folder) -> None:
    push = panel(folder, local=True)
    *_, said = push.as_owner("run", "boats", False, "", "en")
    shelf.strike(folder, [read_run(folder).accepted[0].candidate])
    before = hub.repo("ada/boats", "dataset").head
    *_, said = push.as_owner("run", "boats", True, "", "en")
    assert "The dataset ada/boats is public, and this was to be private." in said
    assert hub.repo("ada/boats", "dataset").head == before
    *_, said = push.as_owner("run", "boats", False, "", "en")
    assert "It is at" in said and hub.repo("ada/boats", "dataset").head != before


def test_at_home_nobody_signs_in(platform) -> None:
    assert not tab(local=True).expects_oauth


def test_on_a_space_one_signs_in(platform) -> None:
    page = tab(local=False)
    assert page.expects_oauth
    (shown,) = [each for each in page.blocks.values() if getattr(each, "elem_id", None) == "dataset-push"]
    assert shown.visible
    passwords = [each for each in page.blocks.values() if getattr(each, "type", None) == "password" and each.visible]
    assert not [each for each in passwords if "write" in (each.label or "")]


@pytest.mark.parametrize("missing", ["SYSTEM", "OAUTH_CLIENT_ID", "OPENID_PROVIDER_URL", "authlib"])
def test_where_the_platform_gives_no_sign_in_the_page_is_there_without_it(platform, monkeypatch, missing) -> None:
    monkeypatch.delenv(missing, raising=False)
    if hasattr(oauth, missing):
        monkeypatch.setattr(oauth, missing, None)
    if missing == "authlib":
        monkeypatch.setattr(dataset_push, "find_spec", lambda name: None)
    page = tab(local=False)
    assert not page.expects_oauth
    (panel_,) = [each for each in page.blocks.values() if getattr(each, "elem_id", None) == "dataset-push"]
    assert not panel_.visible


def test_the_studio_asks_for_no_more_than_data_sets_of_its_own() -> None:
    values = metadata.read((spaces.folder() / "studio" / "README.md").read_text(encoding="utf-8"))
    assert values["hf_oauth"] is True and values["hf_oauth_scopes"] == ["contribute-repos"]
    for name in ("refine", "expand", "pairs"):  # which have no data sets to send
        assert "hf_oauth" not in (spaces.folder() / name / "README.md").read_text(encoding="utf-8")
