"""A Space with one tab, on the embedded family."""

from augmentlm.ui.space import serve

if __name__ == "__main__":
    serve(["expand"])
