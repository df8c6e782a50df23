"""Examples that the next visitor sees without a run: which are kept, what the page says of it, and what never is."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from augmentlm import catalog
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.ui.expand import EACH, _Expand
from augmentlm.ui.kept import Kept
from augmentlm.ui.pairs import EACH as EACH_PAIR
from augmentlm.ui.pairs import EXAMPLES as PAIRS
from augmentlm.ui.pairs import _Pairs
from augmentlm.ui.refine import _Refine
from augmentlm.ui.rows import rows
from augmentlm.ui.texts import say
from scripted_cli import novel
from scripted_page import run_to_end

EXAMPLE = say("en", "refine.example_1")
SEVERAL = say("en", "expand.example_3")


def untouched(task, **changes) -> list:
    """The values of the options as the page shows them, with what a visitor changed."""
    usual = catalog.default_sampling(task)
    sampling = {name: getattr(usual, name) for name in ("temperature", "top_p", "top_k", "max_tokens")}
    values = {"model": "", "precision": "", **sampling, "seed": "", "endpoint": "", "name": "", "key": ""}
    return list({**values, **changes}.values())


class Counting(ScriptedEngine):
    """Counts how often a model was asked."""

    asked = 0

    def stream(self, request, stop):
        self.asked += 1
        yield from super().stream(request, stop)


@pytest.fixture
def space(context):
    """A page for strangers, and the model behind it."""

    def make(script=None, *, keeps=True, delay=0.0):
        page = context(local=False)
        page.kept = Kept(keeps)
        page.pool.engine = Counting(script or novel(), delay=delay)
        return page, page.pool.engine

    return make


def refine(tab, prompt=EXAMPLE, seen=(), flag=None, **changes):
    values = untouched("refine", **changes)
    return run_to_end(tab._work(flag or threading.Event(), "en", prompt, "plain", seen, *values))[-1]


def test_an_example_is_made_once_and_the_next_visitor_sees_the_same(space) -> None:
    page, model = space()
    tab = _Refine(page)
    first, second = refine(tab), refine(tab)
    assert model.asked == 1
    assert first[tab.plain] == second[tab.plain] != ""
    assert "first word after" in first[tab.notes] and "made earlier" not in first[tab.notes]
    assert "made earlier for this example" in second[tab.notes]
    assert not any(words in second[tab.notes] for words in ("first word after", "tokens per second"))


def test_who_asks_once_more_gets_something_new(space) -> None:
    page, model = space()
    tab = _Refine(page)
    refine(tab)
    kept = refine(tab)
    new = refine(tab, seen=kept[tab.seen])
    assert (model.asked, new[tab.plain] != kept[tab.plain]) == (2, True)
    assert refine(tab)[tab.plain] == kept[tab.plain]


@pytest.mark.parametrize(
    ("prompt", "changes"),
    [
        ("write about my dog Rex", {}),
        (f"{EXAMPLE} and Rex", {}),
        (EXAMPLE, {"seed": "7"}),
        (EXAMPLE, {"temperature": 1.2}),
        (EXAMPLE, {"max_tokens": 32}),
    ],
)
def test_nothing_is_kept_but_an_example_as_it_is(space, prompt, changes) -> None:
    page, model = space()
    tab = _Refine(page)
    assert refine(tab, prompt, **changes)[tab.seen] == ()
    refine(tab, prompt, **changes)
    assert model.asked == 2 and page.kept._runs == {}


def test_a_seed_of_ones_own_is_obeyed_though_a_run_is_kept(space) -> None:
    page, model = space()
    tab = _Refine(page)
    refine(tab)
    refine(tab, seed="7")
    assert model.asked == 2


def test_what_was_stopped_cut_off_or_failed_is_not_kept(space) -> None:
    page, _ = space(lambda request: " ".join(map(str, range(100))), delay=0.02)
    tab, flag = _Refine(page), threading.Event()
    threading.Timer(0.2, flag.set).start()
    refine(tab, flag=flag)
    page.pool.engine = Counting(lambda request: "word " * 5000)  # longer than a result may be
    assert "made earlier" not in refine(tab)[tab.notes]

    def fails(request):
        raise ZeroDivisionError

    page.pool.engine = Counting(fails)
    assert refine(tab)[tab.seen] == ()
    assert page.kept._runs == {}


def test_at_home_every_run_is_made(space) -> None:
    page, model = space(keeps=False)
    tab = _Refine(page)
    refine(tab), refine(tab)
    assert model.asked == 2 and page.kept._runs == {}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_new_instructions_are_kept_all_together(space, language) -> None:
    page, model = space()
    tab, text = _Expand(page), say(language, "expand.example_3")

    def expand(each=EACH, blocks=False, seen=()):
        values = untouched("expand")
        return run_to_end(tab._work(threading.Event(), "en", text, each, blocks, seen, *values))[-1]

    first = expand()
    asked = model.asked
    second = expand()
    assert model.asked == asked >= 2 * EACH
    assert [row.output for row in first[tab.made]] == [row.output for row in second[tab.made]]
    assert "made earlier" in second[tab.notes] and "tokens per second" not in second[tab.notes]
    for other in ({"each": EACH + 1}, {"blocks": True}, {"seen": second[tab.seen]}):
        before = model.asked
        expand(**other)
        assert model.asked > before


def test_new_pairs_are_kept_for_the_examples_of_the_page_alone(space) -> None:
    page, model = space()
    tab = _Pairs(page)

    def grow(examples):
        values = untouched("pair")
        return run_to_end(tab._work(threading.Event(), "en", rows(examples), EACH_PAIR, (), *values))[-1]

    for examples, times in ((PAIRS["pairs.example_1"], 1), (PAIRS["pairs.example_1"][:2], 2)):
        before = model.asked
        grow(examples)
        once = model.asked - before
        grow(examples)
        assert model.asked - before >= times * once and (model.asked - before == once) == (times == 1)


def test_several_visitors_at_once_keep_one_run(space) -> None:
    page, _ = space(delay=0.01)
    tab = _Refine(page)
    with ThreadPoolExecutor(6) as visitors:
        list(visitors.map(lambda _: refine(tab), range(6)))
    assert len(page.kept._runs) == 1
    assert len({refine(tab)[tab.plain] for _ in range(3)}) == 1
