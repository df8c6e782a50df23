import pytest

from augmentlm.distill.collect.labels import labels, read_label, shares
from augmentlm.distill.sets import read_rows
from augmentlm.errors import InputError


def test_the_labels_are_the_categories_of_the_teaching_data(request):
    data = request.config.rootpath / "data" / "families"
    assert set(labels()) == {row["category"] for row in read_rows(data)}


def test_shares_add_up_to_one_and_a_file_may_change_them(tmp_path):
    assert sum(shares().values()) == pytest.approx(1)
    path = tmp_path / "shares.toml"
    path.write_text("math = 3\nadvice = 1\n")
    found = shares(path)
    assert (found["math"], found["advice"], found["planning"]) == (0.75, 0.25, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("maths = 1", "no task type called 'maths'"),
        ("math = -1", "no weight"),
        ('math = "much"', "no weight"),
        ("math = 0", "no weight"),
        ("math", "TOML"),
    ],
)
def test_shares_that_make_no_sense_are_refused(tmp_path, text, words):
    path = tmp_path / "shares.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        shares(path)


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("math", "math"),
        (" **Code debugging**", "code_debugging"),
        ("open-qa.", "open_qa"),
        ("science_explanation: it asks why", "science_explanation"),
        ("mathematics", None),
        ("It is math", None),
        ("", None),
    ],
)
def test_a_label_is_read_from_the_start_of_a_reply(reply, label):
    assert read_label(reply) == label
