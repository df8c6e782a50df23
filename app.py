"""Open the app in the browser: `python app.py [--port N] [--host ADDRESS] [--mcp]`, the same as `augmentlm app`."""

import sys

from augmentlm.cli import main

if __name__ == "__main__":
    sys.exit(main(["app", *sys.argv[1:]]))
