import pytest
import torch

from augmentlm.distill.packing import Tokens, collate, encode_example, plan_rows, split_shared
from augmentlm.distill.sets import Example


def test_an_example_ends_every_completion_with_the_stop_token():
    example = Example("a", "hi", ("yes", "no"))
    tokens = encode_example(example, lambda text: [1, len(text)], lambda text: [ord(char) for char in text], 9)
    assert tokens == Tokens([1, 2], [[121, 101, 115, 9], [110, 111, 9]])
    assert len(tokens) == 9


def test_a_plan_holds_every_example_once_an_epoch_within_the_row():
    lengths = [5, 7, 3, 9, 2, 8, 11]
    rows = plan_rows(lengths, 10, epochs=3, seed=1)
    assert all(sum(lengths[index] for index in row) <= 10 for row in rows)
    # 11 does not fit a row and is left out.
    assert sorted(index for row in rows for index in row) == sorted([0, 1, 2, 3, 4, 5] * 3)


def test_a_plan_is_the_same_again_and_another_every_epoch_and_seed():
    lengths = list(range(1, 30))
    assert plan_rows(lengths, 60, 2, 7) == plan_rows(lengths, 60, 2, 7)
    assert plan_rows(lengths, 60, 1, 7) != plan_rows(lengths, 60, 1, 8)
    flat = [index for row in plan_rows(lengths, 60, 2, 7) for index in row]
    assert flat[:29] != flat[29:]


def test_half_an_epoch_is_the_first_half_of_its_rows():
    lengths = [4] * 40
    whole = plan_rows(lengths, 8, 2, 7)
    assert plan_rows(lengths, 8, 0.5, 7) == whole[:10]
    assert plan_rows(lengths, 8, 1.25, 7) == whole[:25]


def test_the_shared_beginning_leaves_every_prompt_a_token():
    examples = [Tokens([1, 2, 3, 4], [[9]]), Tokens([1, 2, 5], [[8]])]
    assert split_shared(examples) == ([1, 2], [Tokens([3, 4], [[9]]), Tokens([5], [[8]])])
    alike = [Tokens([1, 2], [[9]]), Tokens([1, 2], [[8]])]
    assert split_shared(alike) == ([1], [Tokens([2], [[9]]), Tokens([2], [[8]])])


def test_a_packed_row_has_the_loss_and_gradient_of_its_examples_one_by_one(tiny_base):
    """The mask is right: neither another example nor a sibling completion shows through."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_base, attn_implementation="sdpa", dtype=torch.float64)
    random = torch.Generator().manual_seed(3)

    def ids(count: int) -> list[int]:
        return torch.randint(0, 256, (count,), generator=random).tolist()

    beginning = ids(6)
    row = [
        Tokens([*beginning, *prompt], completions)
        for prompt, completions in (
            (ids(7), [ids(5)]),
            (ids(4), [ids(3), ids(6), ids(2)]),
            (ids(1), [ids(1), ids(4)]),
        )
    ]
    shared, rests = split_shared(row)
    assert shared == beginning
    packed = collate(shared, rests)
    assert packed["input_ids"].shape[1] == sum(map(len, row)) - 2 * len(beginning)
    logits = model(
        input_ids=packed["input_ids"],
        position_ids=packed["position_ids"],
        attention_mask=packed["attention_mask"],
        logits_to_keep=packed["positions"],
        use_cache=False,
    ).logits
    assert logits.shape[:2] == (1, 21)  # logits stand where there is a label, and nowhere else
    together = torch.nn.functional.cross_entropy(logits[0], packed["labels"], reduction="sum")
    together.backward()
    gradient = model.model.layers[0].self_attn.k_proj.weight.grad.clone()
    model.zero_grad()

    apart = 0.0
    for example in row:
        for completion in example.completions:
            whole = model(input_ids=torch.tensor([example.prompt + completion]), use_cache=False).logits[0]
            predicted = whole[len(example.prompt) - 1 : -1]
            loss = torch.nn.functional.cross_entropy(predicted, torch.tensor(completion), reduction="sum")
            loss.backward()
            apart += loss.item()
    assert together.item() == pytest.approx(apart, rel=1e-9)
    assert torch.allclose(gradient, model.model.layers[0].self_attn.k_proj.weight.grad, rtol=1e-4, atol=1e-8)
