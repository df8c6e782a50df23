"""A data set run on a scripted engine, as a process of its own: python tests/scripted_run.py DELAY run …"""

import hashlib
import random
import sys
from collections.abc import Sequence

import numpy as np

from augmentlm.cli import main
from augmentlm.engines.base import Request
from augmentlm.engines.scripted import ScriptedEngine
from scripted_cli import ScriptedPool

WORDS = (
    "river mountain kettle garden violin letter market winter engine mirror castle shadow bridge planet basket copper "
    "lantern meadow pepper ribbon saddle tunnel velvet walnut anchor barrel candle dragon feather guitar harbour "
    "island jacket kitten ladder magnet needle orchard pillow quarry"
).split()
VERBS = "Describe Compare Explain List Translate Summarise Classify Rewrite".split()


def dreamed(request: Request) -> str:
    """A text that depends on the request alone, its sampling seed included. One in eight repeats what was given."""
    asked = request.messages[-1].content
    digest = hashlib.sha256(f"{asked}|{request.sampling.seed}".encode()).hexdigest()
    dice = random.Random(digest)
    if dice.random() < 1 / 8:
        return asked.split("Instruction:\n")[-1]
    text = f"{dice.choice(VERBS)} {' and '.join(dice.sample(WORDS, 5))}"
    is_pair = "### Instruction" in asked
    return f"### Instruction\n\n{text}\n\n### Response\n\nGladly {digest[:6]}." if is_pair else text


def letters(texts: Sequence[str]) -> np.ndarray:
    """An embedding of a kind: how often each letter stands in a text, normalised."""
    counts = np.array([[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])
    return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype("float32")


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], pool=ScriptedPool(ScriptedEngine(dreamed, delay=float(sys.argv[1])))))
