"""The choice of a token, and rows decoded together."""

from __future__ import annotations

import math
import threading
from collections import Counter

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    DynamicCache,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from augmentlm.catalog import Sampling
from augmentlm.engines import decoding
from augmentlm.engines.decoding import Row, decode, pick

pytestmark = pytest.mark.usefixtures("one_thread")


class Writer:
    """Keeps tokens, and writes each as its number."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    @property
    def tokens(self) -> int:
        return len(self.ids)

    @property
    def text(self) -> str:
        return "".join(f"{token} " for token in self.ids)

    def add(self, token: int) -> str:
        self.ids.append(token)
        return f"{token} "


def row(prompt: list[int] | None = None, limit: int = 12, seed: int = 1, index: int = 0, **sampling) -> Row:
    return Row(index, prompt or [1], Sampling(**{"temperature": 0.0, **sampling}), seed, limit, Writer())


# ---- one token -------------------------------------------------------------------------------------------------------

SHARES = {3: 0.5, 1: 0.3, 0: 0.15, 4: 0.05}
LOGITS = torch.tensor([[math.log(SHARES.get(token, 1e-9)) for token in range(5)]])


def draw(times: int = 1500, **sampling) -> dict[int, float]:
    """How often each token is chosen."""
    one = row(**{"temperature": 1.0, "top_p": 1.0, "top_k": 0, **sampling})
    return {token: count / times for token, count in Counter(pick(LOGITS, [one])[0][0] for _ in range(times)).items()}


@pytest.mark.parametrize(
    ("sampling", "shares"),
    [
        ({}, SHARES),
        ({"top_k": 2}, {3: 0.625, 1: 0.375}),
        ({"top_k": 1}, {3: 1.0}),
        ({"top_k": 99}, SHARES),
        ({"top_p": 0.75}, {3: 0.625, 1: 0.375}),  # the first alone doesn't fill three quarters, both do
        ({"top_p": 0.45}, {3: 1.0}),
        ({"top_p": 1e-9}, {3: 1.0}),
        ({"top_p": 0.9}, {3: 0.5 / 0.95, 1: 0.3 / 0.95, 0: 0.15 / 0.95}),
        ({"top_k": 3, "top_p": 0.8}, {3: 0.625, 1: 0.375}),  # of the three, the first two are 0.84
        ({"temperature": 0.5}, {3: 0.6849, 1: 0.2466, 0: 0.0616, 4: 0.0068}),  # squares
        ({"temperature": 0.5, "top_p": 0.7}, {3: 0.7353, 1: 0.2647}),  # temperature comes first
        ({"temperature": 1e-6}, {3: 1.0}),
    ],
)
def test_tokens_are_drawn_by_their_shares(sampling, shares):
    found = draw(**sampling)
    assert found.keys() <= shares.keys()
    assert {token: found.get(token, 0) for token in shares} == pytest.approx(shares, abs=0.04)


def test_greedy_takes_the_likeliest_and_draws_nothing():
    one = row(temperature=0.0)
    state = one.random.get_state()
    assert pick(LOGITS, [one])[0] == [3]
    assert torch.equal(one.random.get_state(), state)


def test_how_likely_a_token_was_is_told_at_temperature_one():
    one = row(temperature=0.2, top_p=1.0, top_k=0)
    for _ in range(20):
        (token,), (likelihood,) = pick(LOGITS, [one])
        assert likelihood == pytest.approx(math.log(SHARES[token]), abs=1e-4)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(0.7, 50, 0.9), (1.3, 0, 0.5), (0.3, 5, 0.99), (1.0, 0, 1.0)]
)
def test_no_token_is_drawn_that_transformers_would_rule_out(temperature, top_k, top_p):
    logits = 3 * torch.randn(1, 320, generator=torch.Generator().manual_seed(7))
    scores = TemperatureLogitsWarper(temperature)(None, logits)
    scores = TopKLogitsWarper(top_k)(None, scores) if top_k else scores
    scores = TopPLogitsWarper(top_p)(None, scores)
    shares = torch.softmax(scores, dim=-1)[0]
    one = row(temperature=temperature, top_k=top_k, top_p=top_p)
    found = Counter(pick(logits, [one])[0][0] for _ in range(1500))
    assert all(shares[token] > 0 for token in found)
    for token in shares.topk(3).indices.tolist():
        assert found[token] / 1500 == pytest.approx(float(shares[token]), abs=0.04)


def test_rows_beside_each_other_do_not_disturb_each_other():
    logits = torch.randn(1, 320, generator=torch.Generator().manual_seed(3))

    def rows() -> list[Row]:
        return [
            row(seed=1, temperature=0.8, top_k=20),
            row(temperature=0.0),
            row(seed=2, temperature=1.5, top_k=0, top_p=0.6),
        ]

    alone = [[pick(logits, [one])[0][0] for _ in range(50)] for one in rows()]
    together = rows()
    beside = [pick(logits.expand(3, -1), together)[0] for _ in range(50)]
    assert [list(tokens) for tokens in zip(*beside, strict=True)] == alone
    assert len(set(alone[0])) > 5 and len(set(alone[1])) == 1


# ---- whole rows ------------------------------------------------------------------------------------------------------

PROMPTS = [[5, 9, 20], list(range(30, 70)), [257], [7] * 13]


@pytest.fixture(scope="module")
def model(tiny_base):
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32).eval()
    with torch.no_grad():  # louder than it is made, so that it doesn't say one word for ever
        for parameter in model.parameters():
            parameter.mul_(2.5)
    return model


def run(model, rows, stop_ids=(), stop=None):
    """Decode rows on the model; gives the finish of each and how many columns each step read."""
    cache = DynamicCache(config=model.config)
    steps: list[tuple[int, int]] = []

    def forward(ids, mask, positions):
        steps.append(tuple(ids.shape))
        with torch.inference_mode():
            return model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]

    ends = {}
    for one, _, finish in decode(forward, cache, rows, stop_ids, stop or threading.Event(), "cpu"):
        if finish:
            assert one.index not in ends
            ends[one.index] = finish
    return ends, steps


def greedy(model, prompt: list[int], tokens: int, stop_ids: tuple[int, ...] = ()) -> list[int]:
    """What transformers itself writes."""
    ids = torch.tensor([prompt])
    made = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=tokens,
        eos_token_id=list(stop_ids) or None,
        pad_token_id=0,
    )
    return made[0, len(prompt) :].tolist()


@pytest.mark.parametrize("prefill", [512, 7])
def test_greedy_rows_are_those_of_transformers_alone_and_together(model, monkeypatch, prefill):
    monkeypatch.setattr(decoding, "PREFILL_TOKENS", prefill)
    wanted = [greedy(model, prompt, 20) for prompt in PROMPTS]
    assert all(len(set(ids)) > 2 for ids in wanted)
    together = [row(prompt, limit=20, index=index) for index, prompt in enumerate(PROMPTS)]
    ends, _ = run(model, together)
    assert [one.writer.ids for one in together] == wanted
    assert ends == dict.fromkeys(range(4), "length")
    for prompt, ids in zip(PROMPTS, wanted, strict=True):
        alone = row(prompt, limit=20)
        run(model, [alone])
        assert alone.writer.ids == ids


def test_rows_that_end_leave_and_the_others_go_on_as_alone(model):
    limits = [9, 1, 14, 4]
    rows = [row(prompt, limit, index=index) for index, (prompt, limit) in enumerate(zip(PROMPTS, limits, strict=True))]
    _, steps = run(model, rows)
    for one in rows:
        assert one.writer.ids == greedy(model, one.prompt, one.limit)
    assert [count for count, _ in steps] == [4, 3, 3, 3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1]


def test_every_stop_token_ends_a_row_and_is_not_written(model):
    free = greedy(model, PROMPTS[0], 20)
    for place in (2, 5):
        one = row(PROMPTS[0], limit=20)
        first = free.index(free[place])
        ends, _ = run(model, [one], stop_ids=(319, free[place]))
        assert ends == {0: "stop"}
        assert one.writer.ids == free[:first] == greedy(model, PROMPTS[0], 20, (319, free[place]))[:first]
        assert one.completion("stop").completion_tokens == first


def test_a_row_that_has_all_that_was_asked_for_ends_as_if_the_model_had_ended_it(model):
    free = greedy(model, PROMPTS[0], 20)
    rows = [row(PROMPTS[0], limit=20, index=index) for index in range(2)]
    rows[0].is_over = lambda text: len(text.split()) == 4
    ends, _ = run(model, rows)
    assert ends == {0: "stop", 1: "length"}
    assert [one.writer.ids for one in rows] == [free[:4], free]


def test_a_long_prompt_is_read_in_steps_and_stop_ends_it_between_them(model, monkeypatch):
    monkeypatch.setattr(decoding, "PREFILL_TOKENS", 10)
    _, steps = run(model, [row(list(range(35)), limit=1)])
    assert steps == [(1, 10), (1, 10), (1, 10), (1, 5)]
    stop = threading.Event()
    stop.set()
    rows = [row(list(range(35)), index=index) for index in range(3)]
    ends, steps = run(model, rows, stop=stop)
    assert steps == []
    assert ends == dict.fromkeys(range(3), "cancelled")


def test_stop_ends_rows_within_a_token_and_keeps_what_was_written(model):
    stop = threading.Event()
    rows = [row(prompt, limit=50, index=index) for index, prompt in enumerate(PROMPTS[:2])]

    def add(token: int) -> str:
        if rows[1].writer.tokens == 4:
            stop.set()
        return Writer.add(rows[1].writer, token)

    rows[1].writer.add = add
    ends, _ = run(model, rows, stop=stop)
    assert ends == {0: "cancelled", 1: "cancelled"}
    assert [one.writer.tokens for one in rows] == [5, 5]
    assert rows[0].completion("cancelled").text == rows[0].writer.text != ""


def test_sampled_rows_repeat_by_their_seed_in_any_company(model):
    def sampled(seed: int, index: int = 0) -> Row:
        return row(PROMPTS[0], limit=15, seed=seed, index=index, temperature=1.0, top_k=40)

    alone = [sampled(seed) for seed in (1, 2)]
    for one in alone:
        run(model, [one])
    together = [sampled(2, 0), row(PROMPTS[1], index=1), sampled(1, 2)]
    run(model, together)
    assert together[2].writer.ids == alone[0].writer.ids
    assert together[0].writer.ids == alone[1].writer.ids != alone[0].writer.ids


def test_times_are_those_of_the_row(model):
    one = row(PROMPTS[0], limit=5)
    run(model, [one])
    completion = one.completion("length")
    assert 0 < completion.ttft_s < completion.seconds
    assert (completion.prompt_tokens, completion.completion_tokens, completion.seed) == (3, 5, 1)
