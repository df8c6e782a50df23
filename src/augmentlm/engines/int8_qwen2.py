"""Qwen2 in int8 for many rows on a CPU: reads a folder of safetensors, with or without a LoRA merged in.

All tokens of a step, of whatever rows, go through the weights as one flat list, so nothing is padded. The attention
cache has a place for each row. Importing this module imports torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from augmentlm.engines import torch_model
from augmentlm.engines.int8 import Activations, Int8Linear, quantize
from augmentlm.engines.lora import LoraFolder
from augmentlm.errors import EngineError

CACHE_TYPE = torch.bfloat16
_FIRST_CAPACITY = 256
_LONG = 1.5
_AGAIN = "Remove the folder and download it again."


@dataclass(frozen=True)
class Config:
    """The sizes of a Qwen2. Raises `EngineError` when `config.json` is missing, damaged or of another kind."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    vocabulary: int
    epsilon: float
    theta: float
    context: int
    tied: bool

    @classmethod
    def read(cls, folder: Path) -> Config:
        try:
            values: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            rope = values.get("rope_parameters") or {}
            unusual = values["model_type"] != "qwen2" or values.get("use_sliding_window") or values.get("rope_scaling")
            if unusual or rope.get("rope_type", "default") != "default":
                raise EngineError(f"{folder} holds no plain Qwen2 model.", hint="Run it with transformers.")
            heads = values["num_attention_heads"]
            return cls(
                hidden=values["hidden_size"],
                layers=values["num_hidden_layers"],
                heads=heads,
                kv_heads=values["num_key_value_heads"],
                head_size=values.get("head_dim") or values["hidden_size"] // heads,
                intermediate=values["intermediate_size"],
                vocabulary=values["vocab_size"],
                epsilon=values["rms_norm_eps"],
                theta=rope.get("rope_theta") or values["rope_theta"],
                context=values["max_position_embeddings"],
                tied=values.get("tie_word_embeddings", False),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineError(f"The model in {folder} can't be read: {error!r}.", hint=_AGAIN) from error

    @property
    def bytes_of_token(self) -> int:
        """What one token takes in the attention cache: keys and values of every layer."""
        return self.layers * 2 * self.kv_heads * self.head_size * CACHE_TYPE.itemsize


class Cache:
    """Keys and values of `places` rows: for each layer (places, tokens, 2, kv heads, head size).

    It begins small and grows by doubling, up to `most` tokens of a row.
    """

    def __init__(self, config: Config, places: int, most: int) -> None:
        self._most = most
        shape = (places, min(_FIRST_CAPACITY, most), 2, config.kv_heads, config.head_size)
        self.layers = [torch.zeros(shape, dtype=CACHE_TYPE) for _ in range(config.layers)]

    def reserve(self, tokens: int) -> None:
        """Make room for rows of so many tokens."""
        capacity = self.layers[0].shape[1]
        if tokens <= capacity:
            return
        while capacity < tokens:
            capacity *= 2
        for number, old in enumerate(self.layers):  # one after the other: never twice the whole
            self.layers[number] = old.new_zeros(old.shape[0], min(capacity, self._most), *old.shape[2:])
            self.layers[number][:, : old.shape[1]] = old

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Take over the first tokens of another row."""
        for layer in self.layers:
            layer[target, :tokens] = layer[source, :tokens]


@dataclass(frozen=True)
class Piece:
    """Tokens of one row that are new: `ids` begin at `start` in the row at `place` of the cache."""

    place: int
    start: int
    ids: Sequence[int]

    @property
    def end(self) -> int:
        return self.start + len(self.ids)


@dataclass(frozen=True)
class _Layer:
    first_norm: torch.Tensor
    qkv: Int8Linear
    qkv_bias: torch.Tensor
    out: Int8Linear
    second_norm: torch.Tensor
    gate_up: Int8Linear
    down: Int8Linear


class Int8Qwen2:
    """The weights and the way through them. Raises `EngineError` for files that are missing, damaged or don't fit."""

    def __init__(self, folder: Path, adapter: Path | None = None, shared: Int8Qwen2 | None = None) -> None:
        """`shared` is the same model with another adapter or none, made last: layers that are as in the base are taken
        from it, and so are the embedding and the output layer, which no adapter changes."""
        self.config = config = Config.read(folder)
        try:
            lora = LoraFolder(adapter) if adapter else None
            with ExitStack() as opened:
                files = [opened.enter_context(safe_open(file, "pt")) for file in sorted(folder.glob("*.safetensors"))]
                where = {name: file for file in files for name in file.keys()}  # noqa: SIM118 (not a dict)

                def tensor(name: str) -> torch.Tensor:
                    if name not in where:
                        raise EngineError(f"The weights in {folder} lack {name}.", hint=_AGAIN)
                    return where[name].get_tensor(name)

                def weight(*modules: str) -> torch.Tensor:
                    parts = []
                    for module in modules:
                        part = tensor(f"{module}.weight").float()
                        parts.append(lora.merge(module, part) if lora else part)
                    return torch.cat(parts) if len(parts) > 1 else parts[0]

                names = [f"model.layers.{number}" for number in range(config.layers)]
                unchanged = {name for name in names if not lora or not lora.changes(name)}
                known = shared._bare if shared else {}
                taken = {name: layer for name, layer in known.items() if name in unchanged}
                layers = {name: taken.get(name) or self._layer(name, tensor, weight) for name in names}
                self._layers = list(layers.values())
                self._bare = known | {name: layers[name] for name in unchanged}  # as in the base
                self._norm = tensor("model.norm.weight").float()
                self._embedding = shared._embedding if shared else tensor("model.embed_tokens.weight")
                head = "model.embed_tokens" if config.tied else "lm_head"
                self._head = shared._head if shared else Int8Linear(tensor(f"{head}.weight"))
        except (OSError, RuntimeError, MemoryError, ValueError, SafetensorError) as error:
            if torch_model.is_out_of_memory(error):
                raise torch_model.out_of_memory("cpu") from error
            raise EngineError(f"The model in {folder} can't be loaded: {error}.", hint=_AGAIN) from error
        if lora and (left := lora.unused()):
            raise EngineError(f"The adapter in {adapter} doesn't fit the model: {left}.", hint="Get it again.")
        steps = torch.arange(0, config.head_size, 2, dtype=torch.float32) / config.head_size
        self._frequencies = config.theta**-steps

    def _layer(self, name: str, tensor: Any, weight: Any) -> _Layer:
        attention = [f"{name}.self_attn.{each}_proj" for each in "qkv"]
        order = _pairs(self.config)
        bias = torch.cat([tensor(f"{module}.bias") for module in attention]).float()
        return _Layer(
            first_norm=tensor(f"{name}.input_layernorm.weight").float(),
            qkv=Int8Linear(weight(*attention)[order]),
            qkv_bias=bias[order],
            out=Int8Linear(weight(f"{name}.self_attn.o_proj")),
            second_norm=tensor(f"{name}.post_attention_layernorm.weight").float(),
            gate_up=Int8Linear(weight(f"{name}.mlp.gate_proj", f"{name}.mlp.up_proj")),
            down=Int8Linear(weight(f"{name}.mlp.down_proj")),
        )

    def forward(self, pieces: Sequence[Piece], cache: Cache, wanted: Sequence[int]) -> torch.Tensor:
        """Logits after the last token of the pieces numbered `wanted`: (wanted, vocabulary), up to a positive factor
        of each line, which the second value (wanted, 1) holds."""
        config = self.config
        ids = torch.tensor([token for piece in pieces for token in piece.ids])
        positions = torch.tensor([at for piece in pieces for at in range(piece.start, piece.end)])
        angles = positions[:, None] * self._frequencies
        turns = torch.polar(torch.ones_like(angles), angles)[:, None]
        attend = _Attention(config, pieces, cache)
        hidden = torch.nn.functional.embedding(ids, self._embedding).float()
        for number, layer in enumerate(self._layers):
            normed = self._normed(hidden, layer.first_norm)
            qkv = torch.addcmul(layer.qkv_bias, layer.qkv(normed.values), normed.scale)
            mixed = quantize(attend(number, qkv, turns))
            hidden = hidden.addcmul_(layer.out(mixed.values), mixed.scale)
            normed = self._normed(hidden, layer.second_norm)
            gate, up = layer.gate_up(normed.values).split(config.intermediate, dim=-1)
            inner = torch.nn.functional.silu(gate * normed.scale).mul_(up)
            inner = quantize(inner, normed.scale)
            hidden = hidden.addcmul_(layer.down(inner.values), inner.scale)
        ends = torch.tensor([len(piece.ids) for piece in pieces]).cumsum(0) - 1
        last = self._normed(hidden[ends[torch.tensor(wanted, dtype=torch.long)]], self._norm)
        return self._head(last.values), last.scale

    def _normed(self, hidden: torch.Tensor, weight: torch.Tensor) -> Activations:
        """RMS norm and quantization in one: the norm's factor of a token belongs to the token's scale."""
        size = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True)
        factor = (size * size / hidden.shape[-1] + self.config.epsilon).rsqrt_()
        return quantize(hidden * weight, factor)


class _Attention:
    """Who looks at what in one step: rows with one new token together, the others one by one."""

    def __init__(self, config: Config, pieces: Sequence[Piece], cache: Cache) -> None:
        self._config = config
        self._cache = cache
        self._places = torch.tensor([piece.place for piece in pieces for _ in piece.ids])
        self._positions = torch.tensor([at for piece in pieces for at in range(piece.start, piece.end)])
        most = _long(pieces)
        together: list[tuple[int, Piece]] = []
        self._alone: list[tuple[slice, Piece, torch.Tensor]] = []
        offset = 0
        for piece in pieces:
            end = offset + len(piece.ids)
            if len(piece.ids) == 1 and piece.end <= most:
                together.append((offset, piece))
            else:
                mask = torch.ones(len(piece.ids), piece.end, dtype=torch.bool).tril(piece.start)
                self._alone.append((slice(offset, end), piece, mask))
            offset = end
        self._together = _Together(together) if together else None

    def __call__(self, number: int, qkv: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
        """The mixed values (N, hidden) of layer `number`; the new keys and values are put in the cache."""
        config, cached = self._config, self._cache.layers[number]
        count, size = len(qkv), config.head_size
        turned = (config.heads + config.kv_heads) * size
        pairs = torch.view_as_complex(qkv[:, :turned].reshape(count, -1, size // 2, 2)) * turns
        qk = torch.view_as_real(pairs).reshape(count, -1, size)
        values = qkv[:, turned:].reshape(count, config.kv_heads, size)
        cached[self._places, self._positions] = torch.stack([qk[:, config.heads :], values], dim=1).to(CACHE_TYPE)
        # Query heads that share a key head are looked up together, as if they were tokens.
        queries = qk[:, : config.heads].to(CACHE_TYPE).reshape(count, config.kv_heads, -1, size)
        mixed = torch.empty_like(queries)
        attention = torch.nn.functional.scaled_dot_product_attention
        if group := self._together:
            asked = queries.new_zeros(group.places.stop - group.places.start, *queries.shape[1:])
            asked[group.lines_there] = queries[group.lines]
            keys, values = cached[group.places, : group.tokens].transpose(1, 3).unbind(2)
            mixed[group.lines] = attention(asked, keys, values, attn_mask=group.mask)[group.lines_there]
        for lines, piece, mask in self._alone:
            keys, values = cached[piece.place, None, : piece.end].transpose(1, 3).unbind(2)
            asked = queries[lines].flatten(1, 2).transpose(0, 1)[None]
            found = attention(asked, keys, values, attn_mask=mask, enable_gqa=True)
            mixed[lines] = found[0].transpose(0, 1).reshape(mixed[lines].shape)
        return mixed.reshape(count, -1).float()


class _Together:
    """Rows with one new token each. The stretch of the cache they lie in is read as it is, without a copy."""

    def __init__(self, rows: Sequence[tuple[int, Piece]]) -> None:
        places = torch.tensor([piece.place for _, piece in rows])
        self.lines = torch.tensor([offset for offset, _ in rows])
        self.places = slice(int(places.min()), int(places.max()) + 1)
        self.lines_there = places - self.places.start
        self.tokens = max(piece.end for _, piece in rows)
        ends = torch.ones(self.places.stop - self.places.start, dtype=torch.long)
        ends[self.lines_there] = torch.tensor([piece.end for _, piece in rows])
        self.mask = torch.zeros(len(ends), 1, 1, self.tokens, dtype=CACHE_TYPE)
        self.mask.masked_fill_(torch.arange(self.tokens) >= ends[:, None, None, None], -math.inf)


def _long(pieces: Sequence[Piece]) -> float:
    """How many tokens a row may have to be worked on with the others: one long row would make all of them as long."""
    ends = sorted(piece.end for piece in pieces)
    return _LONG * ends[len(ends) * 7 // 8]


def _pairs(config: Config) -> torch.Tensor:
    """The order of the outputs of q, k and v in which the two numbers that RoPE turns stand side by side in a head.

    Turning them is then one complex product; keys and queries change alike, so their products stay as they are.
    """
    size = config.head_size
    inside = torch.arange(size).view(2, size // 2).T.flatten()
    heads = torch.arange(config.heads + config.kv_heads)[:, None] * size
    turned = (heads + inside).flatten()
    return torch.cat([turned, torch.arange(len(turned), len(turned) + config.kv_heads * size)])
