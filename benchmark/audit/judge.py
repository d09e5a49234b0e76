"""All rules over all rows, with digits cut either way; it knows the rules by name and no table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.audit.inversions import inverted
from benchmark.audit.notes import notes
from benchmark.audit.numbers import CUTS, Cut, Facts, Finding, Row, Seen, Violation, rows_of
from benchmark.audit.rules import (
    counts,
    deviations,
    marks,
    ranking,
    rows_without_labels,
    scored_from_predictions,
)

ROW_RULES: tuple[Callable[[Seen], Iterator[Violation]], ...] = (
    deviations.means_in_range,
    deviations.standard_deviations,
    deviations.negative_deviations,
    ranking.ranking_loss_and_auc,
    ranking.coverage_and_ranking_loss,
    ranking.coverage_and_auc,
    counts.subset_accuracy_and_hamming,
    counts.subset_accuracy_and_f1,
    counts.hamming_and_example_f1,
    counts.hamming_and_micro_f1,
)
Hits = dict[tuple[int, str, tuple[str, ...]], Violation]


@dataclass(frozen=True)
class Report:
    """What an audit says."""

    findings: tuple[Finding, ...]
    inverted: pd.DataFrame
    """See `inversions.inverted`."""
    notes: tuple[str, ...]
    """How digits look cut, and what could not be judged."""

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and dictionaries; what is undefined is None."""
        return {
            "findings": [_plain(finding) for finding in self.findings],
            "implied": self.inverted.astype(object).where(self.inverted.notna(), None).to_dict("records"),
            "notes": list(self.notes),
        }


def audit(frame: pd.DataFrame, facts: Mapping[str, Facts]) -> Report:
    """Check a table, or several that belong together.

    Parameters
    ----------
    frame : DataFrame
        Columns `numbers.COLUMNS`, one row per printed cell. Rows that share `table`, `dataset` and `n_runs`
        are taken to be tested on the same rows. `bold` may be missing (NA).
    facts : mapping
        What is known of each data set.

    Returns
    -------
    Report
        Findings in the order of the rows; empty if all numbers can be true.

    Raises
    ------
    ValueError
        If the frame is malformed, empty, or a data set has no facts.
    """
    if frame.empty:
        raise ValueError("there is no cell to audit; choose a table with at least one row")
    rows = rows_of(frame)
    if not any(row.means for row in rows):
        raise ValueError("no cell of the table holds a number, so there is nothing to audit")
    unknown = [row.dataset for row in rows if row.dataset not in facts]
    if unknown:
        raise ValueError(
            f"nothing is known of data set {unknown[0]!r}, not even its number of labels; register it or "
            f"correct the table (known: {', '.join(sorted(facts))})"
        )
    hits = {cut: _violations(rows, facts, cut) for cut in CUTS}
    first, second = (hits[cut] for cut in CUTS)
    shared = [key for key in first if key in second]
    findings = [_merge(rows[key[0]], first[key], second[key]) for key in sorted(shared, key=lambda k: k[0])]
    findings += [*marks.bold_marks(rows), *marks.two_tables(rows)]
    return Report(tuple(findings), inverted(rows, facts), notes(rows, facts))


def _violations(rows: Sequence[Row], facts: Mapping[str, Facts], cut: Cut) -> Hits:
    seen = [Seen(row, cut, facts[row.dataset]) for row in rows]
    hits: Hits = {}
    for i, one in enumerate(seen):
        for rule in ROW_RULES:
            _add(hits, i, rule(one))
        if one.row.scored_from_predictions:
            _add(hits, i, scored_from_predictions.densities(one))
    places = {id(one): i for i, one in enumerate(seen)}
    for together in _same_test_rows(seen):
        if together[0].facts.degenerate is None:
            for one, violation in rows_without_labels.contradictions(together):
                i = places[id(one)]
                if not any(key[0] == i and key[2] == violation.metrics for key in hits):
                    _add(hits, i, iter((violation,)))
        for one, violation in scored_from_predictions.disagreements(
            [one for one in together if one.row.scored_from_predictions]
        ):
            _add(hits, places[id(one)], iter((violation,)))
    return hits


def _add(hits: Hits, i: int, violations: Iterator[Violation]) -> None:
    for violation in violations:
        hits.setdefault((i, violation.rule, violation.metrics), violation)


def _same_test_rows(seen: Sequence[Seen]) -> list[list[Seen]]:
    groups: dict[tuple[str, str, int | None], list[Seen]] = {}
    for one in seen:
        groups.setdefault((one.row.table, one.row.dataset, one.row.n_runs), []).append(one)
    return list(groups.values())


def _merge(row: Row, rounded: Violation, truncated: Violation) -> Finding:
    pairs = zip(CUTS, (rounded, truncated), strict=True)
    return Finding(
        level=rounded.level,
        rule=rounded.rule,
        table=row.table,
        dataset=row.dataset,
        method=row.method,
        variant=row.variant,
        metrics=rounded.metrics,
        statement=rounded.statement,
        numbers={name: (float(v.found), float(v.limit)) for name, v in pairs if v.found == v.found},
        assumption=rounded.assumption,
    )


def _plain(finding: Finding) -> dict[str, Any]:
    content = {**vars(finding), "metrics": list(finding.metrics)}
    content["numbers"] = {
        cut: {"found": found, "limit": limit} for cut, (found, limit) in finding.numbers.items()
    }
    return content
