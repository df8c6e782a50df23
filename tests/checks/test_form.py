import pytest

from augmentlm.checks.form import cut_off, leak, loop, preamble, repeats


@pytest.mark.parametrize(
    "text",
    [
        "Sure, write a poem.",
        "Here is the refined prompt: Write a poem.",
        "**Refined Prompt:** Write a poem.",
        "Rewritten prompt:\nWrite a poem.",
        "当然，写一首诗。",
        "改写后的提示：写一首诗。",
        "I'm sorry, but I can't do that.",
    ],
)
def test_chatter_before_the_text_is_a_preamble(text):
    assert preamble(text).code == "preamble"


@pytest.mark.parametrize(
    "text",
    [
        "Write a poem.",
        "Here is a dull sentence: 'It rained.' Make it vivid.",
        "I can't sleep; tell me what to do.",
        "Refine my CV.",
        "Surely you can write a poem.",
        "好友聚会的邀请，请写得热情些。",
    ],
)
def test_a_text_that_begins_at_once_has_no_preamble(text):
    assert preamble(text) is None


def test_a_source_that_begins_so_itself_excuses_the_text():
    assert preamble("Prompt: a city at night", source="Prompt: a dog on a beach") is None


@pytest.mark.parametrize(
    "text",
    ["Reply with the rewritten prompt alone.", "Write a new instruction of the same type as the given one."],
)
def test_words_of_the_task_prompt_leak_only_when_the_user_did_not_write_them(text):
    assert leak(text, "write a poem").code == "prompt_leak"
    assert leak(text, f"what does '{text}' mean") is None


def test_the_token_limit_and_a_stop_are_told_apart():
    assert "limit" in cut_off("length").evidence
    assert "stopped" in cut_off("cancelled").evidence
    assert cut_off("stop") is None


def test_the_same_words_again_and_again_are_a_loop():
    assert loop("and then we go on " * 12).code == "loop"
    assert loop("一次又一次地说同样的话" * 9).code == "loop"
    assert loop("Write a short story with a beginning, a middle and an end.") is None
    assert loop("- - - - - - - - - - - - - - - -") is None


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example\nhttps://b.example\nhttps://c.example\nhttps://d.example",
        "| A | B | C | D | E | F |\n| --- | --- | --- | --- | --- | --- |\n| 1 | 2 | 3 | 4 | 5 | 6 |",
        "请解释“人工智能技术”的含义，并比较人工智能技术在医疗、人工智能技术在教育、人工智能技术在交通中的应用。",
        "1. 사과를 먹어요. 이 문장을 번역하세요.\n2. 학교에 가요. 이 문장을 번역하세요.\n"
        "3. 비가 와요. 이 문장을 번역하세요.\n4. 책을 읽어요. 이 문장을 번역하세요.",
        "周一：跳绳15分钟\n周二：跳绳15分钟\n周三：跳绳15分钟\n周四：跳绳15分钟",
    ],
)
def test_a_term_and_a_tables_rule_may_stand_there_often(text):
    assert loop(text) is None


@pytest.mark.parametrize("text", ["abc," * 60, "| foo " * 60 + "|", "สวัสดีครับ" * 40, "Sure:\n" + "haha" * 50])
def test_a_loop_without_words_is_one(text):
    assert loop(text).code == "loop"


def test_a_loop_below_a_wide_table_and_one_with_a_blank_in_chinese_are_seen():
    table = "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    assert loop(table + "and then we go on " * 5).code == "loop"
    found = loop("Python 很好：" + "一次又一次地说同样的话。" * 6)
    assert found.code == "loop" and "一次又一次地说同样的话" in found.evidence * 2


def test_a_response_whose_items_are_alike_repeats_itself():
    item = "The boy has a broken leg, and it hurts when he walks. Revelation: he walks slowly."
    assert repeats(f"1. {item} 2. {item} 3. {item}").code == "loop"
    assert repeats("猫怕狗，因为狗怕猫。" * 4) is not None
    assert (
        repeats("1. Tea with milk. 2. Cold water with a slice of lemon. 3. Hot chocolate. 4. Apple juice and ice.")
        is None
    )
    assert repeats("No, no, no, no.") is None
