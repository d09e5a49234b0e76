"""What `run_all.py ablate` writes and prints of its stages; it judges nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.files import write_text
from benchmark.studies.ablate.effects import Findings
from benchmark.studies.ablate.figure import draw_ranking
from benchmark.studies.ablate.measured import write_measured
from benchmark.studies.ablate.text import Conditions, latex_tables, page
from benchmark.tables.json_rows import json_rows

FRAMES = ("values", "effects", "ranking", "distances", "contrasts")


@dataclass
class JudgedStage:
    """One stage, run and judged."""

    name: str
    conditions: Conditions
    values: pd.DataFrame
    findings: Findings
    measured: pd.DataFrame
    """Its finished jobs, as `benchmark.studies.ablate.measured` keeps them."""
    problems: list[str] = field(default_factory=list)

    def frame(self, name: str) -> pd.DataFrame:
        """Return one of `FRAMES`."""
        found: pd.DataFrame = self.values if name == "values" else getattr(self.findings, name)
        return found


def write_report(stages: Sequence[JudgedStage], folder: Path, measured: pd.DataFrame) -> list[Path]:
    """Write `ablate.md`, a CSV of each frame, LaTeX, figures and finished jobs; earlier files go.

    Finished jobs of stages that are not among `stages` are taken over from `measured`.
    """
    others = measured[~measured["stage"].isin([stage.name for stage in stages])]
    parts = [part for part in (*(stage.measured for stage in stages), others) if len(part)]
    written = [write_measured(pd.concat(parts, ignore_index=True) if parts else measured, folder)]
    for name, text in texts_of(stages).items():
        write_text(folder / name, text)
        written.append(folder / name)
    for stage in stages:
        path = folder / f"ablate_{stage.name}.svg"
        draw_ranking(stage.findings.ranking, stage.findings.effects, stage.conditions.title, path)
        written.append(path)
    for old in (*(folder / f"{name}.csv" for name in FRAMES), *folder.glob("ablate_*")):
        if old not in written:
            old.unlink(missing_ok=True)
    return written


def texts_of(stages: Sequence[JudgedStage]) -> dict[str, str]:
    """Return page, LaTeX and frames by the names of their files."""
    pairs = [(stage.conditions, stage.findings) for stage in stages]
    texts = {"ablate.md": page(pairs), **latex_tables(pairs)}
    for name in FRAMES:
        frames = [stage.frame(name).assign(stage=stage.name) for stage in stages if len(stage.frame(name))]
        if frames:
            whole = pd.concat(frames, ignore_index=True)
            columns = ["stage", *(column for column in whole.columns if column != "stage")]
            texts[f"{name}.csv"] = whole[columns].to_csv(
                index=False, lineterminator="\n", float_format="%.6g"
            )
    return texts


def print_report(stages: Sequence[JudgedStage], code: int, written: Sequence[Path], *, as_json: bool) -> None:
    """Print the outcome for people or for programs; problems go to stderr."""
    problems = [text for stage in stages for text in stage.problems]
    if as_json:
        print(json.dumps({**_document(stages), "problems": problems, "exit_code": code}, indent=1))
    else:
        print(page([(stage.conditions, stage.findings) for stage in stages]))
        print(f"wrote {', '.join(path.name for path in written)} to {written[0].parent}")
    for text in problems:
        print(text, file=sys.stderr)


def _document(stages: Sequence[JudgedStage]) -> dict[str, Any]:
    """Return what programs read."""
    return {
        "stages": [
            {
                "name": stage.name,
                **asdict(stage.conditions),
                "configurations_tried": len(stage.findings.distances),
                **{name: json_rows(stage.frame(name)) for name in FRAMES if name != "values"},
            }
            for stage in stages
        ]
    }
