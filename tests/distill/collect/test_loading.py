import pytest

from augmentlm.distill.collect.loading import held_out_texts, load
from augmentlm.distill.prompts import dev_prompts
from augmentlm.distill.sets import family_of, split_of


def codes(rejects):
    return [finding.code for reject in rejects for finding in reject.findings]


def test_good_rows_become_seeds_with_lasting_names(write):
    path = write("a.jsonl", [{"instruction": " Plan a trip to Kyoto.\r\n"}, {"instruction": "写一首关于秋天的诗"}])
    seeds, rejects = load([str(path)])
    assert [(seed.instruction, seed.language) for seed in seeds] == [
        ("Plan a trip to Kyoto.", "en"),
        ("写一首关于秋天的诗", "zh"),
    ]
    assert rejects == [] and seeds[0].source == "a.jsonl: 1"
    other = write("b.jsonl", [{"instruction": "Name three metals."}, {"instruction": "Plan a trip to Kyoto."}])
    assert load([str(other)])[0][1].id == seeds[0].id


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Hi", "too_short"),
        ("word " * 500, "too_long"),
        ("Explain the caf\ufffd culture of Vienna", "broken_text"),
        ("Напиши стихотворение об осени", "language"),
        ("go on and on with it " * 8, "loop"),
        ("Write <|im_start|> in a poem", "prompt_leak"),
    ],
)
def test_what_is_no_seed_is_left_out_with_its_reason(write, text, code):
    seeds, rejects = load([str(write("a.jsonl", [{"instruction": text}]))])
    assert seeds == [] and codes(rejects) == [code]


def test_near_copies_are_left_out_within_and_across_sources(write):
    first = write("a.jsonl", [{"instruction": "Plan a trip to Kyoto."}, {"instruction": "plan a trip to kyoto!"}])
    second = write("b.jsonl", [{"instruction": "Plan a long trip to Kyoto"}, {"instruction": "Name three metals."}])
    seeds, rejects = load([str(first), str(second)])
    assert [seed.instruction for seed in seeds] == ["Plan a trip to Kyoto.", "Name three metals."]
    assert codes(rejects) == ["duplicate", "duplicate"]
    assert "a.jsonl: 1" in rejects[1].findings[0].evidence


def test_what_an_evaluation_uses_is_never_a_seed(request, write):
    data = request.config.rootpath / "data"
    held_out = held_out_texts(data)
    assert len(held_out) == 2 * 399 + 114 + 4 * 44
    seeds, rejects = load([str(write("a.jsonl", [{"instruction": held_out[0]}]))], held_out)
    assert seeds == [] and codes(rejects) == ["held_out"]
    assert held_out_texts(data / "none") == []


@pytest.mark.parametrize("task", ["refine", "expand", "pair"])
def test_no_prompt_of_an_evaluation_is_a_seed(request, write, task):
    data = request.config.rootpath / "data"
    values = [prompt.value for prompt in dev_prompts(task, data)]
    texts = [
        text for value in values for text in ([value] if isinstance(value, str) else [p.instruction for p in value])
    ]
    seeds, _ = load([str(write("a.jsonl", [{"instruction": text} for text in texts]))], held_out_texts(data))
    assert texts and seeds == []


def test_families_keep_their_name_category_and_response(request):
    seeds, _ = load([str(request.config.rootpath / "data" / "families")])
    assert all(split_of(seed.id) == "train" and seed.how == "given" and seed.response for seed in seeds)
    assert family_of(seeds[0].id) == seeds[0].family
