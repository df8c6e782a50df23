"""A Qwen2 model a thousand times smaller than the real one, with the real chat form: what training code runs on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nBe helpful.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> Path:
    """A folder with a random Qwen2 (sizes multiples of 64, as NF4 on a CPU wants) and a byte tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("tiny-base")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: place for place, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", chat_template=TEMPLATE)
    fast.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=320,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        eos_token_id=fast.eos_token_id,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def tiny_data(tmp_path) -> Path:
    """Sixty short refinement, expansion and family rows."""
    data = tmp_path / "data"
    pairs = [{"instruction": f"Add {n} and {n}.", "response": str(2 * n)} for n in range(4)]
    rows = {
        "refine": [{"id": f"r-{n}", "raw": f"sum {n}", "refined": f"Add up the numbers to {n}."} for n in range(60)],
        "expand": [{"id": f"e-{n}/0", "instruction": f"Say {n}", "expansions": ["Say a", "Say b"]} for n in range(60)],
        "families": [{"id": f"f-{n}", "items": pairs} for n in range(20)],
    }
    for name, lines in rows.items():
        (data / name).mkdir(parents=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (data / name / "all.jsonl").write_text(text, encoding="utf-8")
    return data
