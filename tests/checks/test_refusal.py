import pytest

from augmentlm.checks.refusal import refusal


@pytest.mark.parametrize(
    ("instruction", "response"),
    [
        (
            "Tell me the opening lines of a song.",
            "I'm sorry, but as an AI language model, I don't have access to any song.",
        ),
        ("Make up something that sounds like a folk song.", "I’m sorry, but I can’t assist with that request."),
        ("What would a customer say about a new oven?", "As an AI language model, I don't have personal experiences."),
        ("Book a table.", "Unfortunately, I am unable to book tables."),
        ("Book a table.", "I cannot help with that."),
        ("今天天气怎么样？", "作为一个人工智能，我没有实时数据。"),
        ("帮我订一张票。", "抱歉，我无法帮您订票。"),
        ("Summarise the text.", "It seems you haven't provided the text. Please share it."),
        ("Mend the grammar.", "I'd be happy to help! Please provide the sentence you would like me to mend."),
        ("What does the code print?", "You didn't include any code."),
        ("Summarise the article.", "To help you, I'll need the text of the article."),
        ("Summarise the article.", "There is no article given, so nothing can be summarised."),
        ("Summarise the text. Reply with one sentence.", "I'm ready to help. Please provide the text."),
        ("List the colours in the form of a table.", "You haven't provided any text with colours."),
        ("总结这段话。", "请提供需要总结的文字。"),
    ],
)
def test_a_response_that_declines_or_asks_back_is_found(instruction, response):
    found = refusal(instruction, response)
    assert found and found.code == "refused" and found.evidence


@pytest.mark.parametrize(
    ("instruction", "response"),
    [
        ("Apologise to a friend for being late.", "I'm sorry, I was late and I know you waited in the rain."),
        ("Make this polite.", "I'm sorry, I can't wait to meet you."),
        ("Write a complaint.", "Unfortunately, the kettle broke after two days."),
        ("What does 'as an AI' mean in chats?", "The words “as an AI” say that a program is speaking."),
        ("Write the reply of a shop.", f"{'Thank you for your letter. ' * 12}We are sorry, but we can't take it back."),
        ("Why can't penguins fly?", "Their wings are too short, and I can't think of one that ever did."),
        ("用一句话道歉。", "对不起，我昨天说话太重了。"),
        ("Make this polite: 'Send me the file now.'", "Could you please send me the file when you have a moment?"),
        ("Answer a customer who lost a parcel.", "Could you please give me the number of the document you got?"),
        (
            "Find the mean of the list 2, 4, 6.",
            "To find the mean, I need to add the numbers in the list: 12. 12 / 3 = 4.",
        ),
        ("Which row is highest in the table?", "To answer the question, I need to look at the table: row 3."),
        ("Make this polite: 'Share the file.'", "Could you please share the file with me?"),
        ("Translate into English: 请提供您的数据。", "Please provide your data."),
        ("翻译成中文：Please provide your text.", "请提供您的文字。"),
        ("Write an error message for an upload.", "Please provide a valid file."),
        ("Write a haiku about a secret.", "You did not share the story / in your eyes"),
        ("Write a form's first line.", "Please enter your data below."),
        ("What did Eva forget?", "You mean her keys. There is no text about anything else."),
    ],
)
def test_a_text_about_regret_or_about_ai_is_no_refusal(instruction, response):
    assert refusal(instruction, response) is None
