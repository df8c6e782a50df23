"""Rows of a data set, wherever they lie: JSONL, JSON, CSV, Parquet, a folder of Hugging Face `datasets`, the hub."""

from augmentlm.tables.extras import need
from augmentlm.tables.reading import SUFFIXES, Table, parse, read
from augmentlm.tables.writing import FILES, write

__all__ = ["FILES", "SUFFIXES", "Table", "need", "parse", "read", "write"]
