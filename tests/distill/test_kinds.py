import json
import random
from pathlib import Path

import numpy as np
import pytest

from augmentlm.distill.kinds import TOLERANCE, Kinds
from augmentlm.distill.sets import family_of, read_rows, split_of

DATA = Path(__file__).parents[2] / "data"
CENTRES = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
KINDS = Kinds(CENTRES, ["trip-1", "trip-2", "poem-1"], ["trip", "trip", "poem"])


def test_a_text_is_of_the_family_it_lies_nearest_to():
    assert KINDS.same(np.array([[0.9, 0.1, 0.4], [0.2, 0.1, 0.9]]), ["trip-1", "trip-1"]) == [True, False]


def test_a_family_of_the_same_category_is_no_rival():
    assert KINDS.same(np.array([[0.3, 0.9, 0.2]]), ["trip-1"]) == [True]


def test_a_near_tie_counts_for_the_text():
    near, far = 0.5 - TOLERANCE / 2, 0.5 - TOLERANCE * 2
    assert KINDS.same(np.array([[near, 0.0, 0.5], [far, 0.0, 0.5]]), ["trip-1", "trip-1"]) == [True, False]


def test_the_families_come_from_the_held_out_rows(tiny_data):
    axes = {}

    def embed(texts):
        for text in texts:
            axes.setdefault(text, len(axes))
        return np.eye(60)[[axes[text] for text in texts]]

    path = tiny_data / "expand" / "all.jsonl"
    rows = [json.loads(line) | {"category": "sums"} for line in path.read_text(encoding="utf-8").splitlines()]
    lone, *others = [family_of(row["id"]) for row in rows if split_of(row["id"]) == "dev"]
    rows += [row | {"id": f"{family}/1"} for row in rows if (family := family_of(row["id"])) != lone]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    kinds = Kinds.of(tiny_data, embed)
    assert others and all(kinds.knows(name) for name in others)
    assert not kinds.knows(lone), "one instruction says little of a kind"
    assert not kinds.knows("elsewhere") and not kinds.knows(None)


@pytest.mark.real
def test_the_docstring_says_how_good_it_is_on_written_expansions():
    from augmentlm.measures.embed import embedder

    embed = embedder()
    kinds = Kinds.of(DATA, embed)
    dev = [row for row in read_rows(DATA / "expand", "dev") if kinds.knows(family_of(row["id"]))]
    rows = [(family_of(row["id"]), text) for row in dev for text in row["expansions"]]
    vectors = embed([text for _, text in rows])
    families = [family for family, _ in rows]
    assert np.mean(kinds.same(vectors, families)) > 0.97
    # Each text held against families of other categories, a few drawn for each.
    category = {family_of(row["id"]): row["category"] for row in dev}
    draw = random.Random(0)
    foreign = [draw.choice([name for name in category if category[name] != category[own]]) for own in families]
    assert np.mean(kinds.same(vectors, foreign)) < 0.03
