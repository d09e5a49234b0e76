"""What `run_all.py ablate` writes and prints of its stages; it judges nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.studies.ablate.effects import Findings
from benchmark.studies.ablate.figure import draw_ranking
from benchmark.studies.ablate.text import Setting, sensitivity_tables, sensitivity_text
from benchmark.tables.json_rows import json_rows

FRAMES = ("values", "effects", "ranking", "distances", "contrasts")
KEPT_FILE = "measured.csv"


@dataclass
class Outcome:
    """One stage, run and judged."""

    name: str
    setting: Setting
    values: pd.DataFrame
    findings: Findings
    kept: pd.DataFrame
    """Finished jobs, as `benchmark.studies.ablate.measured` keeps them."""
    problems: list[str] = field(default_factory=list)

    def frame(self, name: str) -> pd.DataFrame:
        """Return one of `FRAMES`."""
        found: pd.DataFrame = self.values if name == "values" else getattr(self.findings, name)
        return found


def write_outcome(outcomes: Sequence[Outcome], folder: Path, kept_before: pd.DataFrame) -> list[Path]:
    """Write `ablate.md`, a CSV of each frame, LaTeX, figures and `KEPT_FILE`; files of an earlier outcome go.

    Finished jobs of stages that are not among the outcomes are taken over from `kept_before`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stages = [(outcome.setting, outcome.findings) for outcome in outcomes]
    texts = {"ablate.md": sensitivity_text(stages), **sensitivity_tables(stages)}
    for name in FRAMES:
        frames = [
            outcome.frame(name).assign(stage=outcome.name) for outcome in outcomes if len(outcome.frame(name))
        ]
        if frames:
            whole = pd.concat(frames, ignore_index=True)
            columns = ["stage", *(column for column in whole.columns if column != "stage")]
            texts[f"{name}.csv"] = whole[columns].to_csv(
                index=False, lineterminator="\n", float_format="%.6g"
            )
    others = kept_before[~kept_before["stage"].isin([outcome.name for outcome in outcomes])]
    parts = [part for part in (*(outcome.kept for outcome in outcomes), others) if len(part)]
    written = [write_kept(pd.concat(parts, ignore_index=True) if parts else kept_before, folder)]
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
        written.append(folder / name)
    for outcome in outcomes:
        path = folder / f"ablate_{outcome.name}.svg"
        draw_ranking(outcome.findings.ranking, outcome.findings.effects, outcome.setting.title, path)
        written.append(path)
    for old in (*(folder / f"{name}.csv" for name in FRAMES), *folder.glob("ablate_*")):
        if old not in written:
            old.unlink(missing_ok=True)
    return written


def write_kept(kept: pd.DataFrame, folder: Path) -> Path:
    """Write finished jobs to `KEPT_FILE`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / KEPT_FILE
    kept.to_csv(path, index=False, lineterminator="\n")
    return path


def print_outcome(outcomes: Sequence[Outcome], code: int, written: Sequence[Path], *, as_json: bool) -> None:
    """Print the outcome for people or for programs; problems go to stderr."""
    problems = [text for outcome in outcomes for text in outcome.problems]
    if as_json:
        print(json.dumps({**as_document(outcomes), "problems": problems, "exit_code": code}, indent=1))
    else:
        print(sensitivity_text([(outcome.setting, outcome.findings) for outcome in outcomes]))
        print(f"wrote {', '.join(path.name for path in written)} to {written[0].parent}")
    for text in problems:
        print(text, file=sys.stderr)


def as_document(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return what programs read."""
    return {
        "stages": [
            {
                "name": outcome.name,
                **asdict(outcome.setting),
                "configurations_tried": len(outcome.findings.distances),
                **{name: json_rows(outcome.frame(name)) for name in FRAMES if name != "values"},
            }
            for outcome in outcomes
        ]
    }
