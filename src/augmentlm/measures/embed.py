"""Sentence embeddings with all-MiniLM-L6-v2: what a text is about, as a vector of 384 numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from augmentlm import catalog
from augmentlm.errors import MissingExtraError
from augmentlm.weights import Progress, fetch

if TYPE_CHECKING:
    import numpy as np

Embed = Callable[[Sequence[str]], "np.ndarray"]
"""From texts to an array of float32, one normalised row a text."""

MODEL = "all-minilm-l6-v2"
MAX_TOKENS = 256
"""What the model was trained on; the rest of a longer text is left out."""
SIZE = 384
_BATCH_TOKENS = 4096
"""Tokens of one forward pass, padding included."""


class Embedder:
    """Mean-pooled, normalised embeddings: the dot product of two rows is their cosine similarity.

    The model knows English; Chinese it reads character by character and tells apart only roughly.
    """

    def __init__(self, weights: Path, tokenizer: Path) -> None:
        from safetensors.torch import load_file
        from tokenizers import Tokenizer
        from transformers import BertConfig, BertModel

        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        config = BertConfig(hidden_size=SIZE, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
        self._model = BertModel(config, add_pooling_layer=False).eval()
        tensors = {name: tensor for name, tensor in load_file(weights).items() if not name.startswith("pooler.")}
        tensors.pop("embeddings.position_ids", None)
        self._model.load_state_dict(tensors)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """An array of float32, one row of 384 a text."""
        import numpy as np
        import torch

        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        rows = np.zeros((len(encoded), SIZE), dtype=np.float32)
        # Texts of like length together: little padding.
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
        with torch.inference_mode():
            while order:
                longest = len(encoded[order[-1]])
                batch = [order.pop() for _ in range(min(len(order), max(1, _BATCH_TOKENS // longest)))]
                ids = torch.zeros(len(batch), longest, dtype=torch.long)
                mask = torch.zeros(len(batch), longest)
                for place, index in enumerate(batch):
                    ids[place, : len(encoded[index])] = torch.tensor(encoded[index])
                    mask[place, : len(encoded[index])] = 1
                hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
                mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
                rows[batch] = torch.nn.functional.normalize(mean).numpy()
        return rows


def embedder(progress: Progress | None = None) -> Embedder:
    """The embedder of the catalog, its weights fetched if they are not here yet.

    Raises `MissingExtraError` where torch or transformers is not installed, and `WeightsError` as `fetch` does.
    """
    missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"Sentence embeddings need {' and '.join(missing)}, not installed here.",
            hint='Run `pip install -e ".[gpu]"`.',
        )
    entry = catalog.model(MODEL)
    return Embedder(fetch(entry.artifact, progress=progress), fetch(entry.parts[0], progress=progress))
