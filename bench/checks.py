"""The novelty check among many rows: the index beside comparing with every row by the `rouge-score` package.

    python bench/checks.py [--rows 100000] [--compared 20000] [--sample 20]

Needs `pip install -e ".[bench]"`.
"""

from __future__ import annotations

import argparse
import itertools
import math
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass

from report import setting, table, write_section
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer
from texts import made_up

from augmentlm.checks.near_copies import Match, NearCopies
from augmentlm.checks.novelty import NEAR_COPY, tokens

ROUNDING = 1e-9
"""The package computes precision and recall first: two texts at exactly the threshold may come out above it."""


class OurWords(Tokenizer):
    """The package's own tokenizer drops Chinese; for English this one gives the same words."""

    def tokenize(self, text: str) -> list[str]:
        return tokens(text)


@dataclass(frozen=True)
class Mark:
    """How far: so many rows accepted of so many candidates, after so many seconds of the check."""

    rows: int
    candidates: int
    seconds: float


@dataclass(frozen=True)
class Compared:
    """The candidates that both ways judged; seconds are for all of them."""

    candidates: int
    near: int
    same: int
    ours: float
    theirs: float


def fill(copies: NearCopies, rows: int, wanted: Sequence[int]) -> tuple[list[Mark], list[str]]:
    """Accept what is new until there are so many rows, as a run does."""
    marks: list[Mark] = []
    accepted: list[str] = []
    seconds = 0.0
    for number, text in enumerate(made_up(), 1):
        started = time.perf_counter()
        if copies.find(text) is None:
            copies.add(text, str(len(accepted)))
            accepted.append(text)
        seconds += time.perf_counter() - started
        if len(accepted) in wanted and (not marks or marks[-1].rows < len(accepted)):
            marks.append(Mark(len(accepted), number, seconds))
        if len(accepted) == rows:
            return marks, accepted
    raise AssertionError("the texts never end")


def compare(copies: NearCopies, accepted: Sequence[str], sample: int) -> Compared:
    """Judge new candidates, half of them made from accepted rows, in both ways."""
    scorer = RougeScorer(["rougeL"], tokenizer=OurWords())
    candidates = list(itertools.islice(made_up(seed=2), sample // 2))
    step = len(accepted) // (sample - sample // 2)
    for number, text in enumerate(accepted[step // 2 :: step][: sample - sample // 2]):
        words = text.split(" ")
        candidates.append(" ".join(words[: max(1, len(words) * (number % 6 + 5) // 10)]))  # cut to 50–100 %
    near = same = 0
    ours = theirs = 0.0
    for candidate in candidates:
        started = time.perf_counter()
        found = copies.find(candidate)
        ours += time.perf_counter() - started
        started = time.perf_counter()
        scores = [scorer.score(row, candidate)["rougeL"].fmeasure for row in accepted]
        theirs += time.perf_counter() - started
        score = max(scores)
        expected = Match(score, str(scores.index(score))) if score > NEAR_COPY + ROUNDING else None
        near += found is not None
        same += (found is None) == (expected is None) and (
            found is None or expected is None or math.isclose(found.score, expected.score)
        )
    return Compared(len(candidates), near, same, ours, theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--compared", type=int, default=20_000, help="accepted rows that a candidate is compared with")
    parser.add_argument("--sample", type=int, default=20, help="candidates that are compared in both ways")
    options = parser.parse_args()
    few = NearCopies()
    _, accepted = fill(few, options.compared, ())
    both = compare(few, accepted, options.sample)
    del few, accepted

    sizes = sorted({options.rows // share for share in (20, 10, 5, 2, 1)})
    marks, _ = fill(NearCopies(), options.rows, sizes)
    first, last = next(mark for mark in marks if mark.rows == options.rows // 5), marks[-1]
    exponent = math.log(last.seconds / first.seconds) / math.log(last.rows / first.rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rows = [["accepted rows", "candidates", "the check took", "a candidate"]]
    rows += [
        [
            f"{mark.rows:,}",
            f"{mark.candidates:,}",
            f"{mark.seconds:.1f} s",
            f"{1000 * mark.seconds / mark.candidates:.2f} ms",
        ]
        for mark in marks
    ]
    smaller = f" --compared {options.compared} --sample {options.sample}"
    times = both.theirs / both.ours
    write_section(
        "checks",
        f"""## The novelty check

{table(rows)}

From {first.rows:,} to {last.rows:,} rows the time grew as n^{exponent:.2f} (aim: less than 1.3). Memory was
{peak / 1e9:.2f} GB at the peak (aim: less than 2), the texts and what made them included.

Among {options.compared:,} accepted rows a candidate takes {1000 * both.ours / both.candidates:.2f} ms; comparing it
with all of them by `rouge-score` takes {both.theirs / both.candidates:.1f} s: **{times:,.0f}×** (aim: at least 50),
measured on a sample of {both.candidates} candidates, of which {both.near} were near copies. Verdicts and scores were
the same for {both.same} of {both.candidates}.

The texts are made up from the words of the teaching data, English and Chinese, with a tenth of near copies among the
candidates. Exactly ROUGE-L 0.7 counts as not above it. `rouge-score` gets our tokenizer, because its own drops Chinese.

{setting("rouge-score", "rapidfuzz", "numpy")}

Repeat: `pip install -e ".[bench]" && python bench/checks.py --rows {options.rows}{smaller}`
""",
    )


if __name__ == "__main__":
    main()
