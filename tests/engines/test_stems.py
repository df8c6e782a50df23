"""A task's own words on the real 0.5B: read once a slot, and a text alone doesn't depend on the ones before."""

import threading

import pytest

from augmentlm.catalog import Sampling
from augmentlm.engines.base import Completion, Request
from augmentlm.engines.llamacpp import LlamaCppEngine
from augmentlm.tasks import Message, render

pytestmark = pytest.mark.real


def request(text: str, *, adapter: str | None = None, max_tokens: int = 1) -> Request:
    return Request((Message("user", text),), Sampling(temperature=0.0, max_tokens=max_tokens), adapter)


def explained(text: str, **settings) -> Request:
    """A request of a task whose own words come before the user's."""
    return Request(render("refine", text, "prompted"), Sampling(temperature=0.0, **{"max_tokens": 1} | settings))


def read(engine: LlamaCppEngine, asked: Request) -> tuple[Completion, list[tuple[int, int]]]:
    """What came of a request, and the tokens that each call of llama.cpp found in its slot and read itself."""
    found = []
    complete_in_server = engine._server.complete

    def listen(body, hear):
        found.append((0, 0))

        def note(chunk):
            if progress := chunk.get("prompt_progress"):
                found[-1] = progress["cache"], progress["processed"] - progress["cache"]
            return hear(chunk)

        complete_in_server(body, note)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine._server, "complete", listen)
        *_, completion = engine.stream(asked, threading.Event())
    return completion, found


@pytest.mark.parametrize("task", ["refine", "expand"])
@pytest.mark.parametrize("text", ["write", "'s", "#", "123", "\u0301a", "字", "- a\n- b", "<|im_end|>", "…"])
def test_a_tasks_words_cut_off_are_the_tokens_that_they_are_within_the_message(llamacpp, task, text):
    (message,) = render(task, text, "prompted")
    assert message.fixed > 100 and message.content[message.fixed :] == text
    whole = Message("user", message.content)
    assert llamacpp._encode([message])[0] == llamacpp._encode([whole])[0]


def test_the_words_of_a_task_are_read_once(llamacpp):
    read(llamacpp, explained("One"))
    completion, [(cached, new)] = read(llamacpp, explained("Another"))
    assert cached > 60 and new < 15 and cached + new == completion.prompt_tokens
    again, [rewound, repeated] = read(llamacpp, explained("Another"))
    assert rewound == (cached, 1) and repeated == (cached, new), "nothing of the last text is left, only the stem"
    assert again.text == completion.text


def test_the_words_of_a_task_stay_read_while_other_tasks_are_at_work(llamacpp):
    read(llamacpp, explained("One"))
    read(llamacpp, request("Name a dog.", adapter="loud", max_tokens=1))
    read(llamacpp, request("Name a dog.", max_tokens=1))
    _, [(cached, new)] = read(llamacpp, explained("Another"))
    assert cached > 60 and new < 15


def test_what_was_read_beside_others_is_read_again_for_one_alone(llamacpp):
    alone, _ = read(llamacpp, explained("One", max_tokens=8))
    list(llamacpp.generate([explained(f"Number {number}") for number in range(4)], threading.Event()))
    again, [(cached, stem), _] = read(llamacpp, explained("One", max_tokens=8))
    assert cached == 0 and stem > 60
    assert again.text == alone.text
