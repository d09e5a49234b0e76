"""`explain`: one cell's numbers beside where they come from and the paper's own; it touches no file."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import Any

from benchmark.paper.evidence import Evidence, rows_of_cell
from benchmark.paper.printed import Paper
from benchmark.run.config import ConfigError
from benchmark.tables.aggregate import exact_mean
from benchmark.tables.json_rows import json_rows

SEED_COLUMNS = ["seed", "value", "status", "config_hash", "score_digest", "data_hash"]


def explain(
    evidence: Evidence, dataset: str, method: str, metric: str, paper: Paper, origin: Mapping[str, Any]
) -> dict[str, Any]:
    """Join one cell's numbers with where they come from.

    Parameters
    ----------
    evidence : Evidence
    dataset, method, metric : str
    paper : Paper
    origin : mapping
        As `benchmark.paper.gather.origin_of` returns it.

    Raises
    ------
    ConfigError
        If the evidence holds nothing of the cell.
    """
    rows = evidence.cell(dataset, method, metric)
    _, reason = evidence.comparable(dataset, method, metric)
    if rows.empty:
        raise ConfigError(
            f"cannot explain {metric} of {method} on {dataset} from {evidence.source}: {reason}"
        )
    first = rows.iloc[0]
    mean, std, n = evidence.shown(dataset, method, metric)
    spec = next((spec for spec in evidence.methods if spec.id == method), None)
    return {
        "dataset": dataset,
        "method": method,
        "metric": metric,
        "source": evidence.source,
        "mean": None if isnan(mean) else mean,
        "std": None if isnan(std) else std,
        "n_seeds": n,
        "seeds_wanted": list(evidence.seeds),
        "problem": reason if reason.startswith("cannot judge") else "",
        "comparable": reason == "",
        "not_comparable_because": reason,
        "provenance": first["provenance"],
        "reading": {"threshold": first["threshold"], "scoring": first["scoring"], "preset": first["preset"]},
        "note": spec.note if spec else "",
        "equal_thresholds": _equal(evidence, dataset, method, metric),
        "seeds": json_rows(rows[SEED_COLUMNS]),
        "paper": _paper(paper, dataset, method, metric, mean),
        **origin,
    }


def _equal(evidence: Evidence, dataset: str, method: str, metric: str) -> dict[str, Any] | None:
    """Return the cell under equal thresholds."""
    rows = rows_of_cell(evidence.equal, dataset, method, metric)
    done = rows[rows["status"] == "done"]
    if done.empty or done["value"].isna().any():
        return None
    mean, std = exact_mean(done["value"]), float(done["value"].std())
    rule = done["threshold"].iloc[0]
    return {"threshold": rule, "mean": mean, "std": None if isnan(std) else std, "n": len(done)}


def _paper(paper: Paper, dataset: str, method: str, metric: str, mean: float) -> list[dict[str, Any]]:
    """Return the printed cells, with our distance from each and the margin of equivalence."""
    margins = paper.margins.set_index(["dataset", "metric"])["margin"].to_dict()
    return [
        {
            "table": cell["table"],
            "mean": cell["mean"],
            "std": cell["std"],
            "bold": bool(cell["bold"]),
            "ours_minus_paper": None if isnan(mean) else mean - cell["centre"],
            "margin": margins.get((dataset, metric)),
        }
        for cell in rows_of_cell(paper.cells, dataset, method, metric).to_dict("records")
    ]
