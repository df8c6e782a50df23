import torch
from transformers import AutoModelForCausalLM

from augmentlm.distill import shortlist


def test_a_short_output_layer_scores_its_tokens_as_the_whole_one_did(tiny_base, monkeypatch):
    monkeypatch.setattr(shortlist, "COMMON", 10)
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    ids = torch.tensor([[5, 6, 7]])
    whole = model(input_ids=ids).logits
    places = shortlist.shorten_output(model, used=[200, 5, 31])
    short = model(input_ids=ids).logits
    assert short.shape[-1] == 12
    assert places[[5, 31, 200]].tolist() == [5, 10, 11] and places[199] == -100
    assert torch.allclose(short, whole[..., [*range(10), 31, 200]])


def test_the_embedding_of_a_model_that_shares_it_with_the_output_stays_whole(tiny_base):
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    assert model.config.tie_word_embeddings
    size = model.get_input_embeddings().weight.shape
    shortlist.shorten_output(model, used=[300])
    assert model.get_input_embeddings().weight.shape == size
