"""Engines, one file a backend, with the same two verbs in each: `stream` and `generate`."""
