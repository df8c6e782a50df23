"""From seeds to files: exactly the rows asked for, or a clear reason; resumed, extended, and never mixed up."""

from __future__ import annotations

import json
import threading

import pytest

from augmentlm import tables
from augmentlm.engines.base import Request
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import InputError, StoppedError
from augmentlm.examples import Example
from augmentlm.runs.estimate import probe
from augmentlm.runs.journal import Journal
from augmentlm.runs.rows import read_run
from augmentlm.runs.run import Using, resume, run
from augmentlm.runs.spec import Checks
from augmentlm.tasks import Message
from scripted_cli import ScriptedPool
from scripted_run import dreamed


class Counting(ScriptedEngine):
    """Knows which adapters it was asked for."""

    def __init__(self, script=dreamed) -> None:
        self.asked: list[str | None] = []
        super().__init__(lambda request: (self.asked.append(request.adapter), script(request))[1])


def expands(request: Request) -> bool:
    return request.adapter == "augmentlm-1.5b-expand"


def rows(out) -> list[dict]:
    return [json.loads(line) for line in (out / "data.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("steps", ["expand", "expand,respond", "pair", "pair,respond", "refine,expand"])
@pytest.mark.parametrize("n", [1, 2, 30])
def test_exactly_the_rows_asked_for_are_accepted(work, out, steps, n) -> None:
    seeds = [Example("plan a boat trip", "Sail."), Example("sell two hens", "Sold.")]
    found, told = work(seeds=seeds, steps=steps.split(","), n=n)
    assert len(found.accepted) == len(rows(out)) == told[-1].accepted == n
    assert told[-1].complete
    assert told[-1].rejected == len(found.rejected)
    assert len({record.instruction for record in found.accepted}) == n
    has_response = steps.endswith(("respond", "pair"))
    assert all(bool(record.response) == has_response for record in found.accepted)


def test_the_same_command_makes_nothing_again_and_more_rows_extend_it(work, out) -> None:
    work(n=10)
    before = (out / "data.jsonl").read_bytes()
    idle = Counting()
    work(idle, n=10)
    assert idle.asked == []
    assert (out / "data.jsonl").read_bytes() == before
    more = Counting()
    work(more, n=25)
    assert (out / "data.jsonl").read_bytes().startswith(before)
    assert len(rows(out)) == 25
    straight, _ = work(n=25, out="straight")
    assert (out / "data.jsonl").read_bytes() == (straight.folder / "data.jsonl").read_bytes()


def test_fewer_rows_are_the_first_ones(work, out) -> None:
    work(n=10)
    ten = rows(out)
    work(n=4)
    assert rows(out) == ten[:4]


def test_a_stopped_run_keeps_what_it_has_and_goes_on(tmp_path, work, out) -> None:
    stop = threading.Event()
    told = []
    with pytest.raises(StoppedError):
        for progress in run(
            ["Paint a boat", "Sell two hens"], out, n=30, pool=ScriptedPool(ScriptedEngine(dreamed)), stop=stop
        ):
            told.append(progress)
            if progress.accepted == 7:
                stop.set()
    assert len(rows(out)) == 7
    first = rows(out)
    work(seeds=["Paint a boat", "Sell two hens"], n=30)
    assert len(rows(out)) == 30
    assert rows(out)[:7] == first


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"steps": ["expand"]}, "its steps were expand,respond and are expand now"),
        ({"seed": 7}, "its random seed was 0 and is 7 now"),
        ({"checks": Checks(near_copy=0.5)}, "the limit near_copy was 0.7 and is 0.5 now"),
        (
            {"using": {"expand": Using(sampling={"temperature": 0.9})}},
            r"temperature of expand was 0\.\d and is 0.9 now",
        ),
        (
            {"using": {"respond": Using(model="qwen2.5-coder-0.5b-instruct")}},
            "the model of respond was qwen2.5-coder-1.5b-instruct and is qwen2.5-coder-0.5b-instruct now",
        ),
        ({"seeds": ["Paint a boat"]}, "it had 4 seeds and there are 1 now"),
        ({"seeds": ["Paint a boat", "a", "b", "c"]}, "seed 1 is another one now"),
    ],
)
def test_what_changed_since_the_run_began_is_named(work, out, changed, said) -> None:
    work(n=3)
    before = (out / "data.jsonl").read_bytes()
    with pytest.raises(InputError, match=said):
        work(n=3, **changed)
    assert (out / "data.jsonl").read_bytes() == before


def test_what_is_not_named_stays_what_the_run_began_with(work, out) -> None:
    slow = {"expand": Using(engine="llamacpp"), "respond": Using(engine="llamacpp")}  # no machine's choice for rows
    work(n=2, using=slow)
    found, told = work(n=5)
    assert told[-1].accepted == 5
    assert {made.engine for record in found.accepted for made in record.made} == {"llamacpp"}
    other = {"expand": Using(engine="transformers", quantization="nf4")}  # which every machine offers
    with pytest.raises(InputError, match="the engine of expand was llamacpp and is transformers now"):
        work(n=5, using=other)


def test_a_model_that_repeats_itself_exhausts_the_run_with_the_reasons(work, out) -> None:
    found, told = work(lambda request: "Describe a house with a brush", n=5, steps=["expand"])
    assert told[-1].ended == found.ended
    assert told[-1].ended == "Exhausted after 50 candidates: 1 of 5 accepted, 49 rejected (49 near_copy)."
    assert len(rows(out)) == 1
    assert found.rejected[0].evidence == "1.00 ROUGE-L with candidate 0"


def test_a_run_gives_up_when_nothing_new_comes_for_long(work) -> None:
    found, _ = work(lambda request: "Describe a house with a brush", n=500, steps=["expand"])
    assert found.ended.startswith("Exhausted after 101 candidates: 1 of 500 accepted")


def test_rejects_are_kept_with_text_reason_and_evidence(work, out) -> None:
    work(n=20)
    rejects = [json.loads(line) for line in (out / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]
    copies = [reject for reject in rejects if reject["reason"] == "near_copy"]
    assert copies
    assert "1.00 ROUGE-L with the seed" in copies[0]["evidence"]
    assert copies[0]["text"]
    assert copies[0]["provenance"]["steps"][0]["model"] == "augmentlm-1.5b-expand"


def test_a_copy_of_a_refined_seed_is_told_as_that(work) -> None:
    def script(request: Request) -> str:
        return request.messages[-1].content if expands(request) else f"{dreamed(request)} in plain words"

    found, _ = work(script, seeds=["Paint a boat"], n=1, steps=["refine", "expand"])
    assert {record.evidence for record in found.rejected} == {"1.00 ROUGE-L with the refined seed"}


def test_a_step_is_not_spent_on_what_an_earlier_one_rejected(work) -> None:
    engine = Counting(lambda request: "Paint a boat" if expands(request) else "Fine.")
    found, _ = work(engine, seeds=["Paint a boat"], n=2)
    assert not found.accepted
    assert set(engine.asked) == {"augmentlm-1.5b-expand"}


def test_one_row_of_each_seed_comes_in_the_order_of_the_seeds(work, out) -> None:
    def often_empty(request: Request) -> str:
        return "" if request.sampling.seed % 2 else f"Gladly: {request.messages[-1].content}"

    seeds = [f"Name a bird that lives in country number {number}" for number in range(12)]
    found, _ = work(often_empty, seeds=seeds, steps=["respond"])
    made = [row["instruction"] for row in rows(out)]
    assert made == [seed for seed in seeds if seed in made]
    assert len(made) > 6  # a seed that failed was tried again
    assert max(record.candidate for record in found.records) < 36


def test_more_rows_than_seeds_need_a_step_that_makes_many(work) -> None:
    with pytest.raises(InputError, match="makes one row of each seed: at most 4, not 5"):
        work(steps=["refine", "respond"], n=5)


@pytest.mark.parametrize("judged", [False, True])
def test_a_run_of_one_row_of_each_seed_can_not_be_extended_beyond_the_seeds(work, out, judged) -> None:
    work(lambda request: "5, gladly", steps=["respond"], n=3, judge=Using() if judged else None)
    pool = ScriptedPool(ScriptedEngine(lambda request: "5, gladly"))
    with pytest.raises(InputError, match=r"^respond makes one row of each seed: at most 4, not 5"):
        list(resume(out, n=5, pool=pool))
    assert read_run(out).spec.n == 3
    assert list(resume(out, n=4, pool=pool))[-1].accepted == 4


@pytest.mark.parametrize("n", [0, 5, 50])
def test_an_estimate_refuses_the_number_that_the_run_would_refuse(n) -> None:
    four = ["Paint a boat", "Sell two hens", "Name a bird", "Write a toast"]
    with pytest.raises(InputError, match=rf"at most 4, not {n}\.|{n} rows can't be made\."):
        list(probe(four, n, steps=["refine", "respond"], pool=ScriptedPool(ScriptedEngine(dreamed))))


def test_an_estimate_for_few_seeds_stands_on_all_of_them() -> None:
    pool = ScriptedPool(ScriptedEngine(lambda request: "Gladly"))
    *_, last = probe(["Paint a boat", "Sell two hens", "Name a bird"], 3, steps=["respond"], pool=pool)
    assert (last.rows, last.accepted) == (3, 3)


def test_a_conversation_is_answered_with_the_turns_before_and_survives(work, out) -> None:
    seen = []
    turns = (Message("system", "Be brief"), Message("user", "Name a bird"), Message("assistant", "Wren"))
    seed = Example("And another one?", "", turns)
    work(lambda request: (seen.append(request.messages), "Heron")[1], seeds=[seed], steps=["respond"], provenance=False)
    assert seen == [(*turns, Message("user", "And another one?"))]
    assert rows(out) == [
        {
            "messages": [
                {"role": "system", "content": "Be brief"},
                {"role": "user", "content": "Name a bird"},
                {"role": "assistant", "content": "Wren"},
                {"role": "user", "content": "And another one?"},
                {"role": "assistant", "content": "Heron"},
            ]
        }
    ]


def test_pairs_are_grown_from_how_conversations_begin(work) -> None:
    seen = []
    turns = (Message("system", "Be brief"), Message("user", "Name a bird"), Message("assistant", "Wren"))
    seeds = [Example("And another one?", "Heron", turns), Example("Add 1 and 1", "2")]

    def script(request: Request) -> str:
        seen.append(request.messages[-1].content)
        return dreamed(request)

    found, _ = work(script, seeds=seeds, steps=["pair"], n=2)
    assert "Name a bird" in seen[0] and "Wren" in seen[0] and "Heron" not in seen[0]
    systems = [turns[:1], ()]
    assert all(record.example.context == systems[record.seed_index] for record in found.accepted)


def test_new_instructions_are_answered_under_the_system_prompt_of_their_seed(work, out) -> None:
    seen = []
    system = Message("system", "You are a pirate")
    seeds = [Example("And then?", "Arr.", (system, Message("user", "Sail"), Message("assistant", "Aye")))]

    def script(request: Request) -> str:
        if not expands(request):
            seen.append(request.messages)
        return dreamed(request)

    work(script, seeds=seeds, n=3)
    assert seen and all(messages[0] == system and len(messages) == 2 for messages in seen)
    assert [[turn["role"] for turn in row["messages"]] for row in rows(out)] == [["system", "user", "assistant"]] * 3


@pytest.mark.parametrize("kind", ["parquet", "datasets"])
def test_responses_survive_where_the_seeds_in_front_have_none(work, out, kind) -> None:
    pytest.importorskip({"parquet": "pyarrow"}.get(kind, kind))
    work(seeds=["Paint a boat", "Sell two hens"], n=2, with_seeds=True, file=kind)
    made = [row for _, row in tables.read(out / tables.FILES[kind]).rows]
    assert [bool(row["response"]) for row in made] == [False, False, True, True]
    assert made[-1]["provenance"]["steps"][0]["step"] == "expand"


def test_seeds_can_stand_in_front_and_rows_go_without_provenance(work, out) -> None:
    work(seeds=[{"prompt": "Paint a boat", "completion": "Blue."}], n=1, with_seeds=True, provenance=False)
    [seed, new] = rows(out)
    assert seed == {"prompt": "Paint a boat", "completion": "Blue."}
    assert new.keys() == {"prompt", "completion"}


def test_short_and_long_instructions_are_rejected(work) -> None:
    found, _ = work(lambda request: "Explain", n=1, steps=["expand"])
    assert {record.code for record in found.rejected} == {"too_short"}
    words = "Explain " + " ".join(f"word{number}" for number in range(199))
    found, _ = work(lambda request: words, n=1, steps=["expand"], out="long")
    assert {(record.code, record.evidence) for record in found.rejected} == {
        ("too_long", "200 words, at most 150 are wanted")
    }


def test_a_response_that_repeats_its_instruction_is_rejected(work) -> None:
    def echo(request: Request) -> str:
        return dreamed(request) if expands(request) else request.messages[-1].content

    found, _ = work(echo, n=1)
    assert {record.code for record in found.rejected} == {"echo", "near_copy"}


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (["write"], "no step called 'write'"),
        ([], "No steps"),
        (["expand", "expand"], "twice"),
        (["respond", "expand"], "respond must be the last"),
        (["expand", "pair"], "pair must be the first"),
        (["pair", "expand"], "both make new rows"),
        (["pair", "refine"], "no longer answers"),
    ],
)
def test_steps_that_make_no_sense_are_refused(work, steps, said) -> None:
    with pytest.raises(InputError, match=said):
        work(steps=steps)


def test_pair_needs_seeds_with_responses(work) -> None:
    with pytest.raises(InputError, match="seed 2 has none"):
        work(seeds=[Example("Add", "2"), Example("Sell hens")], steps=["pair"], n=1)
    with pytest.raises(InputError, match="at least 2"):
        work(seeds=[Example("Add", "2")], steps=["pair"], n=1)


def test_a_folder_that_is_no_folder_is_told(work, tmp_path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="out can't be used"):
        work(n=1)


def test_a_full_disk_ends_the_run_in_a_sentence_and_it_goes_on_when_there_is_room(work, out, monkeypatch) -> None:
    real, pages = Journal.__init__, ["PRAGMA max_page_count = 12"]

    def small(self, folder) -> None:
        real(self, folder)
        for said in pages:
            self._base.execute(said)

    monkeypatch.setattr(Journal, "__init__", small)
    with pytest.raises(InputError, match=r"disk that holds .* is full"):
        work(n=60)
    kept = rows(out)
    assert 0 < len(kept) < 60
    pages.clear()
    work(n=60)
    assert len(rows(out)) == 60
    assert rows(out)[: len(kept)] == kept


def test_a_damaged_journal_is_told(work, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "journal.sqlite").write_bytes(b"no database, but long enough to look like one" * 50)
    with pytest.raises(InputError, match="is damaged"):
        work(n=1)
