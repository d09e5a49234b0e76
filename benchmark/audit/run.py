"""All rules over all rows, under both readings of the digits; it knows the rules by name and no table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.audit import counts, deviations, hard, marks, ranking, share
from benchmark.audit.implied import implied, notes
from benchmark.audit.model import READINGS, Facts, Finding, Reading, Row, Seen, Violation, rows_of

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
    implied: pd.DataFrame
    """See `implied.implied`."""
    notes: tuple[str, ...]
    """How digits look cut, and what could not be judged."""

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and dictionaries; what is undefined is None."""
        return {
            "findings": [_plain(finding) for finding in self.findings],
            "implied": self.implied.astype(object).where(self.implied.notna(), None).to_dict("records"),
            "notes": list(self.notes),
        }


def audit(frame: pd.DataFrame, facts: Mapping[str, Facts]) -> Report:
    """Check a table, or several that belong together.

    Parameters
    ----------
    frame : DataFrame
        Columns `model.COLUMNS`, one row per printed cell. Rows that share `table`, `dataset` and `n_runs`
        are taken to be tested on the same rows. `hard` marks rows whose scores are 0/1 predictions; `bold`
        may be missing (NA).
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
    hits = {reading: _violations(rows, facts, reading) for reading in READINGS}
    first, second = (hits[reading] for reading in READINGS)
    shared = [key for key in first if key in second]
    findings = [_merge(rows[key[0]], first[key], second[key]) for key in sorted(shared, key=lambda k: k[0])]
    findings += [*marks.bold_marks(rows), *marks.two_tables(rows)]
    return Report(tuple(findings), implied(rows, facts), notes(rows, facts))


def _violations(rows: Sequence[Row], facts: Mapping[str, Facts], reading: Reading) -> Hits:
    seen = [Seen(row, reading, facts[row.dataset]) for row in rows]
    hits: Hits = {}
    for i, one in enumerate(seen):
        for rule in ROW_RULES:
            _add(hits, i, rule(one))
        if one.row.hard:
            _add(hits, i, hard.densities(one))
    places = {id(one): i for i, one in enumerate(seen)}
    for together in _same_test_rows(seen):
        if together[0].facts.degenerate is None:
            for one, violation in share.contradictions(together):
                i = places[id(one)]
                if not any(key[0] == i and key[2] == violation.metrics for key in hits):
                    _add(hits, i, iter((violation,)))
        for one, violation in hard.disagreements([one for one in together if one.row.hard]):
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
    pairs = zip(READINGS, (rounded, truncated), strict=True)
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
        reading: {"found": found, "limit": limit} for reading, (found, limit) in finding.numbers.items()
    }
    return content
