from pathlib import Path

import pytest

from augmentlm.checks.answered import answered
from augmentlm.distill.sets import read_rows

DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("write about dogs", "Write a 200-word article about dogs for new owners. Cover food, walks and sleep."),
        ("etymology of salary", "What is the origin of the word salary?"),
        ("weekend in rome", "I'm looking for a two-day plan for Rome. It is my first visit. My budget is small."),
        ("quicksort python", "A beginner wants to understand quicksort. Explain it with a short Python example."),
        ("fix: ```x=1```", "Fix this code and say what was wrong: ```x=1```"),
        ("写一首诗 月亮", "请写一首关于月亮的诗，不超过八行。"),
        ("月亮 诗", "以月亮为题，写四行诗。"),
        ("cant sleep", "I can't sleep; tell me what to do about it tonight."),
        # Useless, but no answers: a copy, a copy in quotes, a copy behind a label.
        ("egg substitute brownies vegan guest", "Egg substitute, brownies, vegan guest"),
        ("how do tides form", '"How do tides form?"'),
        ("moved abroad and lonely", 'Sure, here is a rewritten prompt:\n\n"Moved abroad and lonely"'),
    ],
)
def test_prompts_pass(prompt, text):
    assert answered(prompt, text) is None


@pytest.mark.parametrize(
    ("prompt", "text", "evidence"),
    [
        ("how do rainbows form", "Rainbows form when sunlight is bent inside drops of rain.", "asks for nothing"),
        ("slogan for recycling at school", '"Small Bins, Big Difference"', "asks for nothing"),
        ("poem about the sea", "The sea is grey,\nthe gulls are white,\nthe day is long.", "asks for nothing"),
        ("add two numbers in python", "Here is the code:\n```python\ndef add(a, b): return a + b\n```", "code"),
        ("email to landlord about heating", "Subject: Heating\n\nDear Mr Lee,\nplease repair it.", "letter"),
        ("summarise this", "Could you please provide the text you would like me to summarise?", "provide the text"),
        ("hack my ex", "I'm sorry, but I can't assist with that.", "sorry"),
        ("candle wax help", "Please provide the necessary details to help you with the prompt.", "the necessary"),
        ("slogan for school", "What slogan would you like to use for your school?", "would you like to"),
        ("how long do owls live?", "Owls live long, up to 20 years.", "asks for nothing"),
        ("写个提示词 面试官", "请提供面试岗位名称，以便我为您生成提示词。", "以便我"),
        ("彩虹怎么形成", "彩虹是阳光在水滴中折射和反射形成的。", "asks for nothing"),
        ("my printer", "", "asks for nothing"),
    ],
)
def test_answers_refusals_and_statements_are_found(prompt, text, evidence):
    finding = answered(prompt, text)
    assert finding and finding.code == "answered" and evidence in finding.evidence


@pytest.mark.parametrize(
    "text",
    [
        "The code should print 5, but it prints 23. What is wrong?\n\nint a = 2;\nint b = 3;\nSystem.out.println(a);",
        "My function prints None. Please mend it.\n\ndef double(n):\n    n * 2\n\nprint(double(5))",
        "给一家面包店想一句宣传语。",
        "为一家儿童书店取三个名字，要简单好记，附上含义。",
    ],
)
def test_a_request_before_its_code_or_in_everyday_chinese_is_no_answer(text):
    assert answered("Why does this loop never end?", text) is None


def test_the_docstring_says_how_good_it_is_on_held_out_rows():
    items = [item for row in read_rows(DATA / "families", "dev") for item in row["items"]]
    refined = [(row["raw"], row["refined"]) for row in read_rows(DATA / "refine", "dev")]
    copies = [(raw, raw) for raw, _ in refined]
    rich = [(item["raw"], item["refined"]) for item in items]
    expansions = [(row["instruction"], text) for row in read_rows(DATA / "expand", "dev") for text in row["expansions"]]
    responses = [(item["raw"], item["response"]) for item in items]

    def share(pairs):
        return sum(answered(prompt, text) is not None for prompt, text in pairs) / len(pairs)

    assert share(refined) == share(copies) == share(rich) == 0
    assert 0.02 < share(expansions) < 0.05
    assert 0.83 < share(responses) < 0.88
