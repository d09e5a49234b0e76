"""`compare`: verdicts on the printed cells and on the claims, for all evidence as one; it touches no file.

A verdict is a result, not a fault: the exit code says whether all that was run could be judged (0), something
could not (1), or nothing (2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from benchmark.exit_codes import CANNOT, FINDING, OK
from benchmark.paper.claim import parse_claims
from benchmark.paper.claims import check_claims
from benchmark.paper.evidence import Evidence, as_one
from benchmark.paper.printed import Paper
from benchmark.paper.undecided import why_undecided
from benchmark.paper.verdicts import Totals, judge, totals
from benchmark.run.config import ConfigError
from benchmark.tables.json_rows import json_rows


@dataclass(frozen=True)
class Judgement:
    """The verdicts on the data sets of one part of the evidence, and the claims over all parts."""

    evidence: Evidence
    verdicts: pd.DataFrame
    totals: Totals
    claims: pd.DataFrame
    undecided: pd.DataFrame
    """As `why_undecided` returns it, of these verdicts."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What was there to be judged and could not be."""
        cells = self.verdicts[~self.verdicts["repeats"]]
        broken = cells[cells["reason"].str.startswith("cannot judge")]
        counts = broken[["dataset", "method", "reason"]].value_counts(sort=False).reset_index(name="n")
        lines = (
            f"{d}/{m}: {reason} ({n} printed cells)" for d, m, reason, n in counts.itertuples(index=False)
        )
        return (*self.evidence.messages, *lines)

    @property
    def exit_code(self) -> int:
        """As of all parts, of this one alone."""
        return exit_code_of([self])


def judge_all(parts: Sequence[Evidence], paper: Paper) -> list[Judgement]:
    """Judge the printed cells and the claims on all parts of the evidence as one.

    Holm's correction is over the cells of all of them, and a claim may be about several data sets.

    Parameters
    ----------
    parts : sequence of Evidence
        Each about data sets of its own.
    paper : Paper

    Returns
    -------
    list
        For each part the verdicts on its data sets, and all claims.

    Raises
    ------
    ConfigError
        If the paper has no table of any data set of a part.
    """
    for part in parts:
        if not paper.cells["dataset"].isin(part.datasets).any():
            raise ConfigError(f"cannot judge: the paper prints nothing of {', '.join(part.datasets)}")
    evidence = as_one(parts)
    chosen = paper.cells["dataset"].isin(evidence.datasets)
    verdicts = judge(paper.cells[chosen], paper.margins, evidence)
    claims = check_claims(parse_claims(paper.claims), paper.cells, evidence)
    undecided = why_undecided(verdicts)
    judgements = []
    for part in parts:
        own = verdicts[verdicts["dataset"].isin(part.datasets)]
        open_cells = undecided[undecided["dataset"].isin(part.datasets)]
        judgements.append(Judgement(part, own, totals(own), claims, open_cells))
    return judgements


def exit_code_of(judgements: Sequence[Judgement]) -> int:
    """Return 0 if all that can support a verdict has one, 1 if some lacks it, 2 if nothing has."""
    if not any(judgement.totals.tested for judgement in judgements):
        return CANNOT
    return FINDING if any(judgement.problems for judgement in judgements) else OK


def as_json(judgement: Judgement, folder: str) -> dict[str, Any]:
    """Return what programs read; a number that does not exist is null."""
    sums = asdict(judgement.totals)
    return {
        "source": judgement.evidence.source,
        "folder": folder,
        "exit_code": judgement.exit_code,
        "problems": list(judgement.problems),
        "totals": {key: None if value != value else value for key, value in sums.items()},
        "verdicts": json_rows(judgement.verdicts),
        "claims": json_rows(judgement.claims),
    }
