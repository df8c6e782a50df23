"""What people call their columns, read into examples and written again."""

import pytest

from augmentlm import schemas, tables
from augmentlm.errors import InputError
from augmentlm.examples import Example
from augmentlm.schemas import Read
from augmentlm.tables import Table
from augmentlm.tasks import Message


def read(*rows: dict, columns: dict[str, str] | None = None) -> Read:
    return schemas.read(Table(tuple((f"Row {number}", row) for number, row in enumerate(rows, 1))), columns)


TURNS = (Message("system", "Be brief"), Message("user", "Hi"), Message("assistant", "Hello"))


@pytest.mark.parametrize(
    ("row", "name", "example"),
    [
        ({"instruction": "Name a bird"}, "instruction", Example("Name a bird")),
        ({"Prompt": " Name a bird "}, "instruction", Example("Name a bird")),
        (
            {"instruction": "Add", "input": "1 + 1", "output": "2"},
            "alpaca",
            Example("Add\n\n1 + 1", "2"),
        ),
        ({"instruction": "Add", "response": "2", "category": "maths"}, "pairs", Example("Add", "2", kind="maths")),
        ({"prompt": "Add", "completion": "2"}, "prompt", Example("Add", "2")),
        ({"question": "1 + 1?", "answer": "2"}, "question", Example("1 + 1?", "2")),
        (
            {"instruction": "Add", "instances": [{"input": "1", "output": "2"}]},
            "self-instruct",
            Example("Add\n\n1", "2"),
        ),
        (
            {
                "messages": [
                    {"role": "system", "content": "Be brief"},
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": "Hello"},
                    {"role": "user", "content": "Bye"},
                    {"role": "assistant", "content": "See you"},
                ]
            },
            "messages",
            Example("Bye", "See you", TURNS),
        ),
        (
            {
                "prompt": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}],
                "completion": [{"role": "assistant", "content": "Hello"}],
            },
            "messages",
            Example("Hi", "Hello", TURNS[:1]),
        ),
        ({"prompt": [{"role": "user", "content": "Hi"}]}, "messages", Example("Hi")),
        (
            {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
            "sharegpt",
            Example("Hi", "Hello"),
        ),
    ],
)
def test_a_schema_is_recognised_by_its_columns(row, name, example) -> None:
    found = read(row)
    assert found == Read(name, (example,), ())


@pytest.mark.parametrize("name", ["messages", "sharegpt"])
def test_turns_survive_being_written_and_read(name) -> None:
    example = Example("Bye", "See you", TURNS)
    assert read(schemas.write(example, name)).examples == (example,)


@pytest.mark.parametrize("name", schemas.WRITES)
def test_every_schema_writes_what_it_reads(name) -> None:
    for example in (Example("Add 1 and 1", "2"), Example("Add 1 and 1")):
        assert read(schemas.write(example, name)).examples == (example,)


def test_turns_are_written_out_where_there_is_one_text_for_them() -> None:
    row = schemas.write(Example("Bye", "See you", TURNS), "prompt")
    assert row == {
        "prompt": "System: Be brief\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Bye",
        "completion": "See you",
    }


def test_own_columns_are_mapped() -> None:
    row = {"query": "Add", "reply": "2", "output": "something else"}
    assert read(row, columns={"instruction": "query", "response": "reply"}).examples == (Example("Add", "2"),)
    assert read({"talk": [{"role": "user", "content": "Hi"}]}, columns={"messages": "talk"}).examples == (
        Example("Hi"),
    )


def test_unknown_columns_are_named() -> None:
    with pytest.raises(
        InputError, match=r"there are query, reply. Say which column is which \(--map .* in a terminal\)"
    ):
        read({"query": "Add", "reply": "2"})
    with pytest.raises(InputError, match="No row has a column 'nope'"):
        read({"query": "Add"}, columns={"instruction": "nope"})
    with pytest.raises(InputError, match="no column 'colour' to map to"):
        read({"query": "Add"}, columns={"colour": "query"})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"instruction": "  "}, "Row 2 has an empty instruction."),
        ({"instruction": 7}, "Row 2 holds no text in its instruction."),
        ({"instruction": "half \ud800"}, "Row 2 has half a character in its instruction."),
        ({"other": "x"}, "Row 2 has no instruction."),
        ({"instruction": "x" * 30_000}, "Row 2 has 30,000 characters, and 24,000 fit a model's window."),
        ({"messages": []}, "Row 2 has no turn of a user to work on."),
        ({"messages": "hello"}, "Row 2 has messages that are not a list."),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "Row 2 has a turn without a known role."),
        ({"prompt": [], "completion": "x"}, "Row 2 has a prompt of turns and a completion that is none."),
        ({"instruction": "x", "instances": []}, "Row 2 has no instance."),
    ],
)
def test_a_row_that_cannot_be_used_is_told_and_the_rest_goes_on(row, said) -> None:
    found = read({"instruction": "Name a bird"}, row, {"instruction": "Name a fish"})
    assert found.problems == (said,)
    assert len(found.examples) == 2


def test_control_characters_are_taken_out_of_texts() -> None:
    [example] = schemas.read(tables.parse('{"instruction": "Name\\u0000 a bird"}')).examples
    assert example == Example("Name a bird")


def test_the_kept_form_of_an_example_reads_back() -> None:
    example = Example("Bye", "See you", TURNS, "chat")
    assert Example.from_json(example.as_json()) == example
    assert (example.opening, example.first_answer, example.system) == ("Hi", "Hello", TURNS[:1])
    assert Example("Hi").first_answer == ""


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "a", "output": "OLD", "better": "NEW"},
        {"prompt": "a", "completion": "OLD", "better": "NEW"},
        {"question": "a", "answer": "OLD", "better": "NEW"},
        {"instruction": "a", "instances": [{"input": "", "output": "OLD"}], "better": "NEW"},
        {"instruction": "a", "messages": [{"role": "user", "content": "OLD"}], "better": "NEW"},
        {"instruction": "a", "output": "OLD", "answer": "NEW"},
        {"prompt": "a", "completion": "OLD", "answer": "NEW"},
        {"question": "a", "answer": "OLD", "output": "NEW"},
    ],
)
def test_a_mapped_response_counts_whatever_else_is_there(row) -> None:
    (column,) = [name for name, cell in row.items() if cell == "NEW"]
    [example] = schemas.read(Table((("Row 1", row),)), {"response": column}).examples
    assert (example.instruction, example.response) == ("a", "NEW")


def test_a_response_mapped_to_its_usual_column_leaves_the_schema_as_it_is() -> None:
    table = Table((("Row 1", {"instruction": "a", "input": "b", "output": "c"}),))
    found = schemas.read(table, {"response": "output"})
    assert found.schema == "alpaca" and found.examples[0].response == "c"
