"""The drift gate's outcome as Markdown, JUnit XML and JSON; it decides nothing and writes no file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from benchmark.drift.band import ALPHA
from benchmark.drift.judge import CANNOT_JUDGE, MOVED, NOT_IN_REFERENCE, SAME, TOLERANCE, WITHIN, Drift
from benchmark.tables.markdown import escape, grid
from benchmark.words import visible

HEADLINES = {
    0: "No drift: nothing moved away from the reference",
    1: "Drift: numbers moved away from the reference",
    2: "Cannot judge: nothing is known to have moved, but not everything could be judged",
}
MOST_ROWS = 50
"""Of moved cells in a text for people; JUnit, JSON and the exit code have them all."""


def drift_text(drift: Drift, name: str) -> str:
    """Return the outcome as Markdown: the decision, each method, and the cells that moved.

    Parameters
    ----------
    drift
        What was found.
    name
        What was judged, in words.
    """
    counts = drift.cells["verdict"].value_counts()
    told = ", ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in (MOVED, CANNOT_JUDGE, WITHIN, SAME))
    parts = [
        f"## {HEADLINES[drift.exit_code]} ({name})",
        f"{len(drift.cells)} cells: {told}. Bands: one decision over all cells with a false-alarm rate of at "
        f"most {ALPHA:.0%}; differences up to {TOLERANCE:g} (mean over seeds) are never called moved.",
        "\n".join(f"- {escape(text)}" for text in _exact_tier(drift)),
        grid(_pair_rows(drift.pairs), ("data set", "method", "verdict", "scores", "why", "explained by")),
    ]
    moved = drift.cells[drift.cells["verdict"] == MOVED]
    if len(moved):
        parts += ["### Cells that moved", _cells(moved)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _exact_tier(drift: Drift) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for dataset, why in drift.why_bits_may_differ.items():
        by_reason.setdefault(why, []).append(dataset)
    return [
        f"{', '.join(datasets)}: "
        + (
            f"scores need not agree bit by bit: {why}"
            if why
            else "scores must agree bit by bit, since everything recorded that decides bits agrees"
        )
        for why, datasets in by_reason.items()
    ]


def _pair_rows(pairs: pd.DataFrame) -> list[tuple[str, ...]]:
    columns = ["dataset", "method", "verdict", "scores", "reason", "cause"]
    return [tuple(map(str, row)) for row in pairs[columns].itertuples(index=False)]


def _cells(cells: pd.DataFrame) -> str:
    ordered = cells.assign(size=cells["difference"].abs()).sort_values("size", ascending=False)
    rows = [
        (
            *(cell["dataset"], cell["method"], cell["metric"], f"{cell['threshold']}, {cell['scoring']}"),
            *(_number(cell["reference"]), _number(cell["current"]), _number(cell["difference"], "+")),
            *(_number(cell["shift"], "+"), _number(cell["noise"]), _number(cell["p_value"]), cell["tier"]),
        )
        for cell in ordered.head(MOST_ROWS).to_dict("records")
    ]
    headers = (
        *("data set", "method", "metric", "read by", "reference", "current", "difference"),
        *("shift from refits", "its noise", "p", "tier"),
    )
    more = f"\n\nand {len(cells) - MOST_ROWS} more" if len(cells) > MOST_ROWS else ""
    return grid(rows, headers) + more


def _number(value: float, sign: str = "") -> str:
    return "" if value != value else f"{value:{sign}.4g}"


def junit(drift: Drift, name: str) -> str:
    """Return the outcome as JUnit XML: a test case per cell, and one per method for its scores.

    What moved is a failure, what cannot be judged an error; digests that were not compared and what is not in
    the reference are skipped.
    """
    suite = ElementTree.Element("testsuite", name=visible(f"drift, {name}"))
    for pair in drift.pairs.to_dict("records"):
        case = _case(suite, pair, "scores")
        of_pair = (drift.cells["dataset"] == pair["dataset"]) & (drift.cells["method"] == pair["method"])
        own = drift.cells[of_pair]
        text = f"{pair['reason']}. Explained by: {pair['cause']}" if pair["cause"] else pair["reason"]
        if pair["verdict"] == NOT_IN_REFERENCE:
            _outcome(case, "skipped", f"{NOT_IN_REFERENCE}: {pair['reason']}", text)
        elif pair["verdict"] == MOVED and not (own["verdict"] == MOVED).any():
            _outcome(case, "failure", pair["reason"], text)
        elif own.empty:
            _outcome(case, "error", pair["reason"], text)
        elif why := drift.why_bits_may_differ[pair["dataset"]]:
            ElementTree.SubElement(case, "skipped", message=visible(f"not compared bit by bit: {why}"))
        for cell in own.to_dict("records"):
            _cell_case(suite, cell, pair["cause"])
    kinds = {"tests": "testcase", "failures": "testcase/failure", "errors": "testcase/error"}
    for attribute, path in {**kinds, "skipped": "testcase/skipped"}.items():
        suite.set(attribute, str(len(suite.findall(path))))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _cell_case(suite: ElementTree.Element, cell: Mapping[Any, Any], cause: str) -> None:
    case = _case(suite, cell, f"{cell['metric']} ({cell['threshold']}, {cell['scoring']})")
    difference = _number(cell["difference"], "+")
    text = (
        f"reference {_number(cell['reference'])}, current {_number(cell['current'])}, difference "
        f"{difference}, p {_number(cell['p_value']) or 'none'}; explained by: {cause}"
    )
    if cell["verdict"] == MOVED:
        _outcome(case, "failure", f"moved by {difference}: {cell['reason']}", text)
    elif cell["verdict"] == CANNOT_JUDGE:
        _outcome(case, "error", f"cannot judge: {cell['reason']}", text)


def _case(suite: ElementTree.Element, of: Mapping[Any, Any], name: str) -> ElementTree.Element:
    classname = visible(f"{of['dataset']}.{of['method']}")
    return ElementTree.SubElement(suite, "testcase", classname=classname, name=visible(name))


def _outcome(case: ElementTree.Element, kind: str, message: str, text: str) -> None:
    ElementTree.SubElement(case, kind, message=visible(message)).text = visible(text)


def as_json(drift: Drift) -> dict[str, Any]:
    """Return what programs read; a number that does not exist is null."""
    return {
        "exit_code": drift.exit_code,
        "exact": dict(drift.why_bits_may_differ),
        "pairs": json.loads(drift.pairs.to_json(orient="records")),
        "cells": json.loads(drift.cells.to_json(orient="records", double_precision=15)),
    }


def accepted_text(drift: Drift, dataset: str, reason: str, date: str) -> str:
    """Return what `accepted.md` keeps of one acceptance: date, reason, and which numbers had moved."""
    pairs = drift.pairs[drift.pairs["dataset"] == dataset]
    cells = drift.cells[(drift.cells["dataset"] == dataset) & (drift.cells["verdict"] == MOVED)]
    changed = pairs[pairs["verdict"] != SAME]
    parts = [f"## {date}", "\n".join(f"> {line}" for line in visible(reason).splitlines())]
    if changed.empty:
        parts.append("No number had changed.")
    else:
        headers = ("data set", "method", "verdict", "scores", "why", "explained by")
        parts.append(grid(_pair_rows(changed), headers))
    if len(cells):
        parts.append(_cells(cells))
    return "\n\n".join(parts) + "\n\n"
