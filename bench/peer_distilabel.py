"""distilabel's `TransformersLLM`, in an environment of its own: a job as JSON on standard input, the texts on output.

`bench/batch.py` starts it.
"""

import json
import resource
import sys
import time

from distilabel.models.llms import TransformersLLM

job = json.load(sys.stdin)
started = time.perf_counter()
llm = TransformersLLM(model=job["folder"], device="cpu", torch_dtype=job["dtype"])
llm.load()
load = time.perf_counter() - started


def generate(chats: list) -> list[str]:
    outputs = llm.generate_outputs(inputs=chats, repetition_penalty=1.0, **job["sampling"])
    return [output["generations"][0] for output in outputs]


generate(job["chats"][:1])
started = time.perf_counter()
texts = generate(job["chats"])
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"load": load, "seconds": seconds, "peak_bytes": peak, "texts": texts}))
