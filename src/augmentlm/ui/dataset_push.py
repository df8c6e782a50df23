"""Sending a run's data set to the hub: from one's own computer with one's own token, from a Space with the visitor's.

On a Space the visitor signs in with Hugging Face and the token comes from there. No other is ever taken: what the
Space itself may do on the hub is not for strangers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import oauth
from gradio.utils import get_space

from augmentlm.ui import markup
from augmentlm.ui.context import PRIVATE, Context, report
from augmentlm.ui.texts import say

_GIVEN_BY_THE_PLATFORM = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")

# One text for both languages: the button tells by its text whether the visitor is signed in.
SIGN_IN, SIGN_OUT = "Sign in with Hugging Face · 登录", "Sign out · 退出 ({})"


def can_sign_in() -> bool:
    """Whether this is a Space with `hf_oauth: true` in its README. Gradio ends a page that asks for it elsewhere."""
    packages = all(find_spec(name) for name in ("authlib", "itsdangerous"))
    return packages and get_space() is not None and all(getattr(oauth, name) for name in _GIVEN_BY_THE_PLATFORM)


class Push:
    """The panel. `find` gives the folder of the run of a name; `chosen` holds the name of the one that is open."""

    def __init__(self, context: Context, find: Callable[[Any], Path | None], chosen: gr.Dropdown) -> None:
        self._context, self._find = context, find
        words, local = context.words, context.local
        told = "dataset.push_info" if local else "dataset.push_info_there"
        with words(
            gr.Accordion,
            {"label": "dataset.push"},
            open=False,
            visible=local or can_sign_in(),
            elem_classes="alm-more",
            elem_id="dataset-push",
        ):
            words(gr.HTML, {"value": lambda language: markup.hint(say(language, told))})
            if not local and can_sign_in():
                gr.LoginButton(SIGN_IN, SIGN_OUT, variant="secondary", size="sm")
            with gr.Row(elem_classes="alm-actions"):
                repo = words(gr.Textbox, {"label": "dataset.push_name"}, max_lines=1, value="")
                token = words(gr.Textbox, {"label": "dataset.push_token"}, type="password", value="", visible=local)
                private = words(
                    gr.Checkbox, {"label": "dataset.push_private"}, value=True, elem_classes="alm-check", visible=local
                )
                push = words(gr.Button, {"value": "dataset.push_run"}, elem_classes="alm-quiet-button")
            pushed = gr.HTML(elem_id="dataset-pushed")
        language = context.language
        who, given = (self.as_owner, [private, token]) if local else (self.as_visitor, [])
        push.click(who, [chosen, repo, *given, language], pushed, concurrency_limit=1, **PRIVATE).failure(
            markup.not_begun, language, pushed, queue=False, **PRIVATE
        )

    def as_owner(self, name: Any, repo: Any, private: bool, token: Any, language: str) -> Iterator[str]:
        """With the token that was typed, or the one that the owner of this computer is logged in with."""
        yield from self._push(name, repo, bool(private), str(token or "").strip() or None, language)

    def as_visitor(self, name: Any, repo: Any, language: str, signed_in: gr.OAuthToken | None = None) -> Iterator[str]:
        """With the token of the visitor, who has signed in; always private."""
        if signed_in is None:
            yield markup.note(say(language, "dataset.push_sign_in"), "warn")
            return
        yield from self._push(name, repo, True, signed_in.token, language)

    def _push(self, name: Any, repo: Any, private: bool, token: str | None, language: str) -> Iterator[str]:
        from augmentlm.reports.dataset import keep_current
        from augmentlm.runs.push import push

        folder = self._find(name)
        if folder is None:
            return
        yield markup.note(say(language, "dataset.push_sending"))
        try:
            keep_current(folder)
            done = push(folder, str(repo or "").strip(), private=private, token=token)
        except Exception as error:  # whatever it is, the page says it in a sentence
            report(error)
            yield markup.error(error, language)
            return
        yield markup.note(say(language, "dataset.pushed", address=done.url), "good")
