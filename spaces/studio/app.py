"""A Space with all tabs. On ZeroGPU the 7B checkpoints are loaded at the start, before the page is served."""

from augmentlm.hardware import on_zerogpu
from augmentlm.ui.space import STUDIO, serve

PUBLISHED = ("qwen2-7b-instruct-refine", "qwen2-7b-instruct-exp", "qwen2-7b-instruct-response-exp")

if __name__ == "__main__":
    if on_zerogpu():
        from augmentlm.engines import zerogpu

        zerogpu.preload(PUBLISHED)
        serve(pool=zerogpu.zero_pool(STUDIO), keep_examples=True)
    else:
        serve()
