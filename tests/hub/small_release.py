"""A release small enough to look through, for the tests that publish."""

from __future__ import annotations

from augmentlm.hub import metadata
from augmentlm.hub.release import Release

CARD = metadata.write(
    {
        "license": "apache-2.0",
        "language": ["en", "zh"],
        "base_model": "Qwen/Qwen2.5-Coder-0.5B-Instruct",
        "base_model_relation": "adapter",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "datasets": ["augmentlm/augmentlm-data"],
        "tags": ["lora"],
    },
    "# A model\n\nTrained on [data](https://huggingface.co/datasets/augmentlm/augmentlm-data), src/augmentlm/other.\n",
)
FILES = {"README.md": CARD.encode(), "adapter_model.safetensors": bytes(range(256)) * 400, "sub/loss.csv": b"step\n"}
REPO = "ada/augmentlm-x"


def release(files=FILES, version="v1.0", **values):
    return Release("model", "augmentlm-x", files, version, **values)
