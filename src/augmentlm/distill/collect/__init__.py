"""Collecting training data: seeds go in, a teacher works on them, what passes comes out as the three training sets.

The stages, a file each: `loading`, `classify`, `balance`, `grow`, `teach`, `assess` and `judge`, `output`; `run` puts
them in order. Every stage leaves a JSONL file to look at. What the teacher said is kept apart, by what it was asked, so
a run that was stopped, or is run again with other limits, asks only what is new.
"""
