import dataclasses
import json
import math
from pathlib import Path
from statistics import mean

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from augmentlm.distill import reference, rows
from augmentlm.distill.dpo import PreferenceRows, PreferenceTrainer, log_likelihoods, losses_of_row, preference_loss
from augmentlm.distill.packing import Tokens, plan_rows, split_shared
from augmentlm.distill.preferences import MENDED
from augmentlm.distill.recipe import Preference
from augmentlm.distill.train import _examples, _tokens, train
from augmentlm.errors import InputError
from tiny_training import PREFERRED, RECIPE, column, train_in_two_processes

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def begun(tiny_base, tmp_path_factory) -> Path:
    """An adapter that was taught something else before."""
    data = tmp_path_factory.mktemp("earlier")
    (data / "refine").mkdir()
    lines = [json.dumps({"id": f"r-{n}", "raw": f"sum {n}", "refined": f"zq {n}"}) + "\n" for n in range(40)]
    (data / "refine" / "all.jsonl").write_text("".join(lines), encoding="utf-8")
    return train(dataclasses.replace(RECIPE, save_every=99), tiny_base, data, data / "out")


def plainly(model, tokens: Tokens) -> list[float]:
    """The log-likelihoods of an example's completions, one sequence each, without packing."""
    found = []
    for text in tokens.completions:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([tokens.prompt + text]), use_cache=False).logits[0].double()
        each = logits[len(tokens.prompt) - 1 : -1].log_softmax(-1)
        found.append(each[range(len(text)), text].sum().item())
    return found


def kept(out: Path) -> dict[str, list[float]]:
    return {
        key: each
        for file in (out / "reference").glob("*.jsonl")
        for row in rows.read(file)
        for key, each in row.items()
    }


def adapters_agree(one: Path, other: Path) -> bool:
    first, second = (load_file(out / "adapter" / "adapter_model.safetensors") for out in (one, other))
    return all(torch.allclose(first[name], second[name], atol=1e-4) for name in first)


def test_the_loss_of_a_row_is_that_of_its_texts_one_by_one(tiny_base):
    model = AutoModelForCausalLM.from_pretrained(tiny_base, attn_implementation="sdpa", dtype=torch.float64)
    found = [
        Tokens([1, 2, 3, 4], [[5, 6, 7], [8, 9], [4, 4], [7]], (3.0, 8.0, 4.5, 7.0)),
        Tokens([1, 2, 9], [[4], [3, 2, 1, 7]], (6.0, 4.0)),
        Tokens([1, 2, 8, 8], [[6, 6], [5, 5], [7, 7, 7]], (MENDED, 2.0, 5.0)),
    ]
    before = [[-17.0, -11.5, -9.0, -7.0], [-6.0, -24.0], [-10.0, -12.0, -16.0]]
    better_and_worse = [[(1, 0), (1, 2), (3, 0), (3, 2)], [(0, 1)], [(2, 1)]]
    best, taught = [1, 0, 2], [[1, 3], [0], [0]]
    shared, tokens = split_shared(found)
    data = PreferenceRows(shared, tokens, [[2, 0, 1]])
    data.reference = dict(enumerate(before))
    inputs = data[0]
    labels, *of_texts = (inputs.pop(name) for name in ("labels", "reference", "sizes", "scores", "texts"))
    packed = log_likelihoods(model(**inputs, use_cache=False).logits[0], labels, of_texts[1])
    losses = losses_of_row(packed, *of_texts, Preference(beta=0.3, likelihood_weight=0.2, gap=2, good=7))

    for at, place in enumerate((2, 0, 1)):
        now, sizes = plainly(model, found[place]), [len(text) for text in found[place].completions]
        gained = [one - other for one, other in zip(now, before[place], strict=True)]
        margins = [gained[better] - gained[worse] for better, worse in better_and_worse[place]]
        loss = mean(math.log1p(math.exp(-0.3 * margin)) for margin in margins)
        loss -= 0.2 * mean(now[each] / sizes[each] for each in taught[place])
        assert losses.loss[at].item() == pytest.approx(loss, rel=1e-5)
        assert losses.margin[at].item() == pytest.approx(mean(margins), rel=1e-4)
        assert losses.positive[at].item() == pytest.approx(mean(margin > 0 for margin in margins))
        assert losses.gain[at].item() == pytest.approx(gained[best[place]], rel=1e-4)


@pytest.mark.parametrize(
    ("scores", "pulled"),
    [
        ((9, 9, 1), (1, 1, -1)),  # a tie: each is preferred to the third
        ((6, 5, 4), (1, 0, -1)),  # the one between is too near to both
        ((6, 5, 1), (1, 1, -1)),
        ((6, 1, MENDED), (1, -1, 0)),
        ((MENDED, 2, 4), (0, -1, 1)),
        ((2.6, 0.6, MENDED), (1, -1, 0)),  # in 32 bits less than 2 apart
    ],
)
def test_only_scores_that_differ_by_the_gap_are_a_preference(scores, pulled):
    found = torch.zeros(3, requires_grad=True)
    preference = Preference(beta=1, likelihood_weight=0, gap=2, good=7)
    preference_loss(
        found, torch.zeros(3), torch.ones(3), torch.tensor(scores, dtype=torch.float64), preference
    ).loss.backward()
    assert torch.equal(-found.grad.sign(), torch.tensor(pulled, dtype=torch.float32))


@pytest.mark.parametrize(
    ("scores", "taught"),
    [
        ((9, 7, 6.5), [0.5, 0.25, 0]),
        ((2, 6, 4), [0, 0.5, 0]),  # none is good: the best
        ((2, 6, MENDED), [0, 0, 1]),
        ((8, 6, MENDED), [0.5, 0, 0.5]),
    ],
)
def test_good_and_mended_texts_are_taught_by_their_likelihood(scores, taught):
    sizes = torch.tensor([1, 2, 1])

    def gradient(weight: float) -> torch.Tensor:
        found = torch.zeros(3, requires_grad=True)
        preference = Preference(beta=1, likelihood_weight=weight, gap=2, good=7)
        preference_loss(
            found, torch.zeros(3), sizes, torch.tensor(scores, dtype=torch.float32), preference
        ).loss.backward()
        return found.grad

    assert (gradient(0) - gradient(1)).tolist() == pytest.approx(taught)


def test_a_model_learns_which_texts_to_prefer(tiny_base, tiny_preferences, tmp_path, capsys):
    recipe = dataclasses.replace(PREFERRED, epochs=6, save_every=99, log_every=1)
    train(recipe, tiny_base, tiny_preferences, tmp_path)
    loss, margin, positive, gain = (column(tmp_path, name) for name in ("loss", "margin", "positive", "gain"))
    first, last = min(loss), max(loss)
    assert margin[first] == pytest.approx(0, abs=0.05)  # the model is its own reference
    assert loss[last] < 0.8 * loss[first] and margin[last] > 5 and positive[last] == 1
    assert gain[last] > 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("reference ") and "min left" in said[0]
    assert all(line.startswith("step ") and "margin " in line and "min left" in line for line in said[1:])
    account = json.loads((tmp_path / "training.json").read_text())
    assert account["recipe"]["preference"] == {"beta": 0.1, "likelihood_weight": 0.1, "gap": 2, "good": 7}
    assert [(file["file"], file["rows"]) for file in account["data"]] == [
        ("scored/expand/all.jsonl", account["examples"])
    ]


def test_the_first_loss_is_that_of_an_even_chance_and_the_reference_that_of_the_beginning(
    tiny_base, tiny_preferences, begun, tmp_path
):
    recipe = dataclasses.replace(PREFERRED, epochs=0.5, rows_per_step=1, log_every=1)
    train(recipe, tiny_base, tiny_preferences, tmp_path, begin=begun)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), begun).eval()
    tokens = _tokens(tiny_base, _examples(recipe, tiny_preferences))
    shared, parts = split_shared(tokens)
    planned = plan_rows([len(each) for each in parts], recipe.tokens_per_row - len(shared), 0.5, recipe.seed)
    found = kept(tmp_path)
    assert len(found) == sum(map(len, planned))
    nll = 0.0
    for place in planned[0]:
        by_hand = plainly(model, tokens[place])
        digest = reference._digest([tokens[place].prompt, *tokens[place].completions])
        assert found[digest] == pytest.approx(by_hand, rel=0.01)
        taught = [at for at, score in enumerate(tokens[place].scores) if not score < 7]
        nll -= mean(by_hand[at] / len(tokens[place].completions[at]) for at in taught) / len(planned[0])
    assert column(tmp_path)[1] == pytest.approx(math.log(2) + 0.1 * nll, abs=0.01)


def test_full_fine_tuning_can_learn_preferences_too(tiny_base, tiny_preferences, tmp_path):
    recipe = dataclasses.replace(PREFERRED, method="full", epochs=3, save_every=99)
    train(recipe, tiny_base, tiny_preferences, tmp_path)
    margin = column(tmp_path, "margin")
    assert margin[max(margin)] > 1


def stop_at(monkeypatch, owner, name: str, calls: int):
    """Let `owner.name` end the training like Ctrl-C at its nth call."""
    real, count = getattr(owner, name), 0

    def interrupted(*given, **named):
        nonlocal count
        count += 1
        if count == calls:
            raise KeyboardInterrupt
        return real(*given, **named)

    monkeypatch.setattr(owner, name, interrupted)


def test_a_training_that_was_stopped_goes_on_with_the_reference_of_its_beginning(
    tiny_base, tiny_preferences, begun, tmp_path, monkeypatch, capsys
):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(PREFERRED, tiny_base, tiny_preferences, whole, begin=begun)
    steps = json.loads((whole / "training.json").read_text())["steps"]
    assert steps >= 6  # beyond the first checkpoint
    with monkeypatch.context() as patch:
        stop_at(patch, PreferenceTrainer, "compute_loss", 2 * PREFERRED.save_every + 2)
        with pytest.raises(KeyboardInterrupt):
            train(PREFERRED, tiny_base, tiny_preferences, stopped, begin=begun)
    assert (stopped / "checkpoints" / "checkpoint-4").exists() and kept(stopped) == kept(whole)
    with pytest.raises(InputError, match="began from another adapter"):
        train(PREFERRED, tiny_base, tiny_preferences, stopped)
    capsys.readouterr()
    train(PREFERRED, tiny_base, tiny_preferences, stopped, begin=begun)
    assert "reference" not in capsys.readouterr().out and kept(stopped) == kept(whole)
    account = json.loads((stopped / "training.json").read_text())
    assert (account["steps"], account["steps_this_session"]) == (steps, steps - 4)
    for name in ("loss", "margin", "positive"):
        assert column(stopped, name) == pytest.approx(column(whole, name), rel=1e-3, abs=1e-3)
    assert adapters_agree(whole, stopped)


def test_a_reference_that_was_cut_off_is_made_whole(tiny_base, tiny_preferences, begun, tmp_path, monkeypatch):
    recipe = dataclasses.replace(PREFERRED, epochs=1, save_every=99)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(recipe, tiny_base, tiny_preferences, whole, begin=begun)
    with monkeypatch.context() as patch:
        stop_at(patch, reference, "log_likelihoods", 3)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tiny_base, tiny_preferences, stopped, begin=begun)
    (file,) = (stopped / "reference").glob("*.jsonl")
    before = file.read_bytes()
    assert before.count(b"\n") == 2
    file.write_bytes(before + b'{"torn": [-1.0')
    train(recipe, tiny_base, tiny_preferences, stopped, begin=begun)
    assert file.read_bytes().startswith(before) and kept(stopped) == kept(whole)
    assert column(stopped) == pytest.approx(column(whole), rel=1e-3)


def test_two_processes_share_the_reference_and_count_together(tiny_base, tiny_preferences, tmp_path):
    recipe = dataclasses.replace(PREFERRED, rows_per_step=1, epochs=4, save_every=99)
    train_in_two_processes(recipe, tiny_base, tiny_preferences, tmp_path)
    files = sorted((tmp_path / "out" / "reference").glob("*.jsonl"))
    one, other = ({key for row in rows.read(file) for key in row} for file in files)
    assert one and other and not one & other
    margin = column(tmp_path / "out", "margin")
    assert margin[max(margin)] > 1
