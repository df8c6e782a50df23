"""What a collection came to: numbers before and after each stage and by task type, and why texts were left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augmentlm.distill.collect.labels import labels
from augmentlm.distill.collect.seeds import Reject, Seed
from augmentlm.distill.collect.teach import Candidate
from augmentlm.drafts import write_text

REPORT, READABLE = "report.json", "report.md"


@dataclass
class Report:
    """Filled in stage by stage."""

    settings: Mapping[str, Any]
    stages: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    by_task: dict[str, dict[str, int]] = field(default_factory=dict)
    marks: dict[str, dict[str, int]] = field(default_factory=dict)
    sets: dict[str, int] = field(default_factory=dict)

    def stage(self, name: str, before: int, after: int, rejects: Sequence[Reject] = ()) -> None:
        """Note what a stage took in and what it passed on."""
        self.rejects += rejects
        reasons = Counter(finding.code for reject in rejects for finding in reject.findings[:1])
        self.stages.append({"stage": name, "before": before, "after": after, "rejected": dict(reasons.most_common())})

    def work(self, name: str, candidates: Sequence[Candidate]) -> None:
        """Note a stage in which the teacher wrote: everything written, and what of it passed."""
        by_work: dict[str, list[Candidate]] = {}
        for candidate in candidates:
            by_work.setdefault(candidate.work, []).append(candidate)
        for work, found in by_work.items():
            rejects = [each.rejected(name) for each in found if each.findings]
            self.stage(f"{name}: {work}", len(found), len(found) - len(rejects), rejects)
            marks = Counter(str(each.score) for each in found if each.score is not None)
            if marks:
                self.marks[f"{name}: {work}"] = dict(sorted(marks.items()))
            for each in found:
                self.count(each.seed.category, f"{work}, written")
                if not each.findings:
                    self.count(each.seed.category, f"{work}, kept")

    def seeds(self, column: str, seeds: Sequence[Seed]) -> None:
        """Count seeds by task type under a column of that name."""
        for seed in seeds:
            self.count(seed.category, column)

    def count(self, category: str | None, column: str) -> None:
        row = self.by_task.setdefault(category or "unknown", {})
        row[column] = row.get(column, 0) + 1

    def as_json(self) -> dict[str, Any]:
        order = [*labels(), "unknown"]
        return {
            "settings": dict(self.settings),
            "stages": self.stages,
            "marks": self.marks,
            "by_task": {name: self.by_task[name] for name in order if name in self.by_task},
            "sets": self.sets,
        }

    def write(self, out: Path) -> dict[str, Any]:
        """`report.json` and, to be read, `report.md`."""
        values = self.as_json()
        write_text(out / REPORT, json.dumps(values, ensure_ascii=False, indent=2) + "\n")
        write_text(out / READABLE, readable(values))
        return values


def readable(report: Mapping[str, Any]) -> str:
    """The report as Markdown: settings, the funnel, the judge's marks, the task types, the sets."""
    parts = ["# Collection report", "", *(f"- {name}: {value}" for name, value in report["settings"].items()), ""]
    parts += ["## Stage by stage", "", "| stage | before | after | left out, and why |", "|---|---|---|---|"]
    for row in report["stages"]:
        why = ", ".join(f"{code} {count}" for code, count in row["rejected"].items())
        parts.append(f"| {row['stage']} | {row['before']} | {row['after']} | {why} |")
    if report["marks"]:
        parts += ["", "## The judge's marks", "", "| stage | 1 | 2 | 3 | 4 | 5 |", "|---|---|---|---|---|---|"]
        for name, marks in report["marks"].items():
            parts.append(f"| {name} | " + " | ".join(str(marks.get(str(mark), 0)) for mark in range(1, 6)) + " |")
    columns = list(dict.fromkeys(column for row in report["by_task"].values() for column in row))
    parts += ["", "## By task type", "", f"| task type | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in report["by_task"].items():
        parts.append(f"| {name} | " + " | ".join(str(row.get(column, 0)) for column in columns) + " |")
    parts += ["", "## Training sets", "", "| set | rows |", "|---|---|"]
    parts += [f"| `{name}/` | {count} |" for name, count in report["sets"].items()]
    return "\n".join(parts) + "\n"
