"""`app`: serve the page until Ctrl-C."""

from __future__ import annotations

import argparse

from augmentlm.ui.launch import launch


def run(options: argparse.Namespace) -> int:
    launch(options.host, options.port, mcp=options.mcp)
    return 0
