import importlib.util

import numpy as np
import pytest

from augmentlm.errors import MissingExtraError
from augmentlm.measures import embed
from augmentlm.measures.embed import MAX_TOKENS, SIZE, Embedder

TEXTS = ["a", "the cat sat on the mat", "the dog", "a cat and a dog " * 100, "the mat the cat sat on"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Random weights of the right sizes, with a pooler and position ids as in the published file; words as tokens."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("minilm")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "the", "cat", "dog", "sat", "on", "mat", "and"]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = BertConfig(hidden_size=SIZE, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    model = BertModel(config)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    tensors["embeddings.position_ids"] = torch.arange(512)[None]
    save_file(tensors, folder / "model.safetensors")
    return folder / "model.safetensors", folder / "tokenizer.json"


@pytest.fixture(scope="module")
def tiny(files) -> Embedder:
    return Embedder(*files)


def test_rows_are_unit_vectors_in_the_order_of_the_texts(tiny):
    rows = tiny(TEXTS)
    assert rows.shape == (len(TEXTS), SIZE) and rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert tiny(TEXTS[::-1])[::-1] == pytest.approx(rows, abs=1e-5)


def test_a_text_alone_and_in_a_batch_is_the_same_vector(tiny):
    # Padding to the longest text of a batch must not reach the mean.
    alone = np.concatenate([tiny([text]) for text in TEXTS])
    assert tiny(TEXTS) == pytest.approx(alone, abs=1e-5)


def test_what_lies_beyond_the_last_token_does_not_count(tiny):
    head = "a cat " * (MAX_TOKENS // 2)
    assert tiny([head + "dog"])[0] == pytest.approx(tiny([head + "mat sat"])[0], abs=1e-6)


def test_no_texts_are_no_rows(tiny):
    assert tiny([]).shape == (0, SIZE)


def test_without_torch_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(embed, "find_spec", lambda name: None if name == "torch" else importlib.util.find_spec(name))
    with pytest.raises(MissingExtraError, match=r"need torch.*\[gpu\]"):
        embed.embedder()


@pytest.mark.real
def test_the_real_embedder_brings_paraphrases_together():
    vectors = embed.embedder()(
        ["Write a poem about the sea.", "Compose some verse on the ocean.", "Fix the bug in this Python loop."]
    )
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > 0.6 > 0.3 > far
