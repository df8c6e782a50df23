from dataclasses import replace

import numpy as np

from augmentlm.checks import Finding
from augmentlm.distill.collect.classify import by_embedding, by_teacher
from augmentlm.distill.collect.seeds import Seed
from scripted_cli import ScriptedPool
from scripted_refusals import RefusingEngine, filtered
from scripted_teacher import Script

SEEDS = [Seed(f"c-{n}/0", f"Plan day {n} of a trip.", "en", "mine") for n in range(3)]


def test_the_teacher_names_each_seed_and_given_labels_are_not_asked_for(teacher):
    script = Script(label="Planning.")
    given = Seed("c-9/0", "Add 2 and 2.", "en", "mine", category="math", how="given")
    found, rejects = by_teacher([*SEEDS, given], teacher(script))
    assert [(seed.category, seed.how) for seed in found] == [("planning", "teacher")] * 3 + [("math", "given")]
    assert rejects == [] and len(script.asked) == 3


def test_a_label_that_does_not_exist_is_a_reject_with_the_reply(teacher):
    found, rejects = by_teacher(SEEDS[:1], teacher(Script(label="travel")))
    assert found == [] and rejects[0].findings[0].evidence == "the reply was 'travel'"


def test_embeddings_find_the_category_whose_texts_lie_nearest(tmp_path):
    words = ("trip", "divide", "poem")

    def embed(texts):
        rows = np.array([[float(word in text.lower()) for word in words] + [0.1] for text in texts], dtype="float32")
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    folder = tmp_path / "expand"
    folder.mkdir()
    folder.joinpath("a.jsonl").write_text(
        "".join(
            f'{{"id": "{category}-1/{n}", "category": "{category}", "instruction": "{text} {n}"}}\n'
            for category, text in (("planning", "A trip"), ("math", "Divide"), ("poetry_and_lyrics", "A poem"))
            for n in range(40)
        )
    )
    found, _ = by_embedding(SEEDS, embed, tmp_path)
    assert {(seed.category, seed.how) for seed in found} == {("planning", "embedding")}


def test_embeddings_compare_within_a_language(tmp_path):
    def embed(texts):
        # Being Chinese weighs more than being about numbers, as it does for an English embedder.
        rows = np.array(
            [[3.0 * ("\u4e00" <= text[0] <= "\u9fff"), float("1" in text), 0.1] for text in texts], dtype="float32"
        )
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    folder = tmp_path / "expand"
    folder.mkdir()
    rows = [("translation_and_grammar", "译成英文"), ("math", "计算11加12"), ("translation_and_grammar", "改正语法")]
    folder.joinpath("a.jsonl").write_text(
        "".join(
            f'{{"id": "x-1/{n}", "category": "{category}", "instruction": "{text}"}}\n'
            for n, (category, text) in enumerate(rows)
        ),
        encoding="utf-8",
    )
    seed = Seed("c-1/0", "求21的平方", "zh", "mine")
    assert by_embedding([seed], embed, tmp_path)[0][0].category == "math"


def test_a_seed_that_the_teacher_takes_no_part_in_is_a_reject_with_its_words(teacher):
    engine = RefusingEngine(Script(), lambda request: "day 1" in request.messages[-1].content)
    found, (reject,) = by_teacher(SEEDS, replace(teacher(), pool=ScriptedPool(engine)))
    assert [seed.id for seed in found] == ["c-0/0", "c-2/0"] and reject.id == "c-1/0"
    assert reject.findings == (Finding("refused", str(filtered())),)
