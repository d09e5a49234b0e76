"""What an audit found, as Markdown; it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import pandas as pd

from benchmark.audit.judge import Report
from benchmark.audit.numbers import Finding
from benchmark.tables.markdown import escape, grid


def render_audit(report: Report, tables: Sequence[str]) -> str:
    """Return findings, what the numbers imply, and what could not be judged."""
    n_impossible = sum(finding.level == "impossible" for finding in report.findings)
    n_suspicious = len(report.findings) - n_impossible
    parts = [
        "# Audit",
        f"Tables: {', '.join(map(escape, tables))}. Every number stands for all values that print like it, "
        "rounded or truncated; a finding breaks a rule under both. Metrics follow scikit-learn's conventions "
        "(coverage counts from 1, tied pairs are full errors in ranking loss and half in AUC, rows without "
        "labels count 0 in ranking loss and coverage and are skipped in example-AUC).",
        f"## Findings: {n_impossible} impossible, {n_suspicious} suspicious",
        "\n".join(_finding(finding) for finding in report.findings) or "None.",
    ]
    if len(report.inverted):
        parts += ["## What the numbers imply", INVERTED, *_inverted(report.inverted)]
    if report.notes:
        parts += ["## How digits look cut, what was known, and what cannot be judged"]
        parts += ["\n".join(f"- {escape(note)}" for note in report.notes)]
    return "\n\n".join(parts) + "\n"


INVERTED = (
    "Averages over runs, inverted; intervals cover the digits that are not printed, not the deviations over "
    "runs. `cardinality`: labels per test row, from Hamming loss, micro-F1 and micro-AUC of rows with hard "
    "scores. `predicted labels`: per test row, from Hamming loss, micro-F1 and the cardinality (known, or "
    "else the mean of those implied). `ranking loss + example-AUC`: 1 without ties, larger with ties."
)


def _finding(finding: Finding) -> str:
    where = "/".join(part for part in (finding.dataset, finding.method, finding.variant) if part)
    numbers = "; ".join(
        f"{found:.4g} against {limit:.4g} if {cut}" for cut, (found, limit) in finding.numbers.items()
    )
    detail = f" ({numbers})" if numbers else ""
    assumes = "" if finding.assumption == "none" else f" Assumes: {finding.assumption}."
    head = f"- **{finding.level}**, {finding.rule}, {escape(finding.table)}, {escape(where)}"
    return f"{head}: {escape(finding.statement)}{detail}.{assumes}"


def _inverted(inverted: pd.DataFrame) -> list[str]:
    columns = [*dict.fromkeys(inverted["quantity"])]
    rows = []
    for key, part in inverted.groupby(["table", "dataset", "method", "variant"], sort=False):
        cells = {
            line["quantity"]: _estimate(line["value"], line["low"], line["high"])
            for line in part.to_dict("records")
        }
        rows.append([*map(str, key), *(cells.get(column, "") for column in columns)])
    headers = ["table", "data set", "method", "variant", *columns]
    if all(not row[3] for row in rows):
        headers.pop(3)
        for row in rows:
            row.pop(3)
    return [grid(rows, headers)]


def _estimate(value: float, low: float, high: float) -> str:
    if isnan(value):  # several values fit
        return f"{low:.2f} to {high:.2f}"
    if f"{low:.2f}" == f"{high:.2f}":
        return f"{value:.3f}"
    return f"{value:.2f} ({low:.2f} to {high:.2f})"
