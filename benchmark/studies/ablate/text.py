"""What each open choice moves, as tables and text; it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import pandas as pd

from benchmark.score.metrics import METRICS
from benchmark.studies.ablate.effects import Findings
from benchmark.studies.ablate.paired import AFTER_TRAINING, BASELINE, CONFIGURATION, SPREAD
from benchmark.tables import latex, markdown, names
from benchmark.tables.layout import Block, Cell, Row, Table

MISSING = "–"
BOLD = "Bold: the 95 % interval leaves out 0, and has a width (a few equal differences give it none)."
NOTES = {
    AFTER_TRAINING: "recomputed from the baseline's stored scores, without training. Another convention "
    "counts the same outcome otherwise (coverage from 0, say), which is neither better nor worse.",
    SPREAD: "ddof = 0 in place of 1 changes the deviation that is printed, and no mean; it has no "
    "interval, and its sign is that of the change.",
}
"""By kind of the factors in a ranking."""
NEAREST_SHOWN = 5
HOW = (
    "Effects are differences from the baseline, paired by seed, divided by the standard deviation that the "
    "paper prints for this row; positive is better. Intervals: 95 %, by the corrected resampled t-test of "
    "Nadeau and Bengio (n_test / n_train = {n_test}/{n_train}). Nothing is corrected for the number of "
    "levels and metrics, and the strongest of many effects is overestimated, the more so the wider its "
    "interval."
)


@dataclass(frozen=True)
class Conditions:
    """Under which a stage was run, in words and numbers."""

    method: str
    preset: str
    dataset: str
    features: str
    """Where the features come from, and what a caption must say of them."""
    protocol: str
    """The profile's description."""
    epochs: int
    n_seeds: int
    threshold: str
    n_train: int
    n_test: int
    """Rows of each split."""

    @property
    def title(self) -> str:
        """Name the stage above a figure."""
        return (
            f"{names.method_title(self.method)} on {names.dataset_title(self.dataset)}: strongest effect per "
            f"factor with its 95 % interval, {self.epochs} epochs, {self.n_seeds} seeds"
        )

    @property
    def sentence(self) -> str:
        """Describe the stage for a caption."""
        epochs = f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        return (
            f"{names.method_title(self.method)} (preset {self.preset}) on "
            f"{names.dataset_title(self.dataset)} ({self.features}), {epochs}, {self.n_seeds} paired seeds, "
            f"thresholds: {names.rule_title(self.threshold)}; {self.protocol}."
        )


def page(stages: Sequence[tuple[Conditions, Findings]]) -> str:
    """Return the Markdown of the screening and, if it was run, of the final stage."""
    conditions = stages[0][0]
    method, dataset = names.method_title(conditions.method), names.dataset_title(conditions.dataset)
    parts = [
        f"# What {method} on {dataset} depends on",
        HOW.format(n_train=conditions.n_train, n_test=conditions.n_test),
    ]
    for number, (conditions, findings) in enumerate(stages):
        parts += [
            f"## {'Factors together' if number else 'One change at a time'}",
            *(markdown.render(table).rstrip() for table in _tables(conditions, findings, number)),
            *_without(findings.effects),
            _nearest(findings.distances, sum(len(before.distances) for _, before in stages[:number])),
        ]
    return "\n\n".join(parts) + "\n"


def latex_tables(stages: Sequence[tuple[Conditions, Findings]]) -> dict[str, str]:
    """Return the LaTeX of each table by the name of its file."""
    return {
        f"ablate_{table.number.lower()}.tex": latex.render(table)
        for number, (conditions, findings) in enumerate(stages)
        for table in _tables(conditions, findings, number)
    }


def _tables(conditions: Conditions, findings: Findings, number: int = 0) -> list[Table]:
    """Lay out one stage: the ranking, every effect and, of factors together, the contrasts."""
    letter = "B" if number else "A"
    tables = [_ranking(conditions, findings.ranking, f"{letter}1"), _effects(findings.effects, f"{letter}2")]
    if len(findings.contrasts):
        tables.append(_contrasts(findings.contrasts, f"{letter}3"))
    return tables


def _ranking(conditions: Conditions, ranking: pd.DataFrame, number: str) -> Table:
    columns = ("rank", "acts", "level", "metric", "effect", "95 % interval", "pairs", "levels without effect")
    caption = (
        f"Table {number}: Factors by their largest absolute effect over levels and metrics, in printed "
        f"standard deviations. {conditions.sentence} A level without effect has fewer than two pairs of "
        "finished seeds."
    )
    rows = tuple(_ranking_row(row) for row in ranking.to_dict("records"))
    kinds = set(ranking["kind"])
    notes = tuple(f"{kind}: {text}" for kind, text in NOTES.items() if kind in kinds)
    return Table(number, caption, (Block("factor", (), columns, rows),), notes)


def _ranking_row(row: Mapping[Any, Any]) -> Row:
    measured = not isnan(row["effect"])
    texts = (
        f"{row['rank']:.0f}" if measured else MISSING,
        row["kind"],
        row["level"] or MISSING,
        names.METRIC_TITLES.get(row["metric"], MISSING),
        _signed(row["effect"]),
        _interval(row["effect_low"], row["effect_high"]),
        f"{row['n_pairs']}/{row['n_seeds']}" if measured else MISSING,
        f"{row['n_without']} of {row['n_levels']}",
    )
    return Row(row["factor"], tuple(map(Cell, texts)))


def _effects(found: pd.DataFrame, number: str) -> Table:
    rows = [
        _effect_row(f"{factor} = {level}", part)
        for (_, factor, level), part in found.groupby(CONFIGURATION, sort=False)
    ]
    caption = (
        f"Table {number}: Every effect, in printed standard deviations, positive is better. {BOLD} "
        f"{MISSING}: no pair of finished seeds, or undefined."
    )
    return Table(number, caption, (Block("factor = level", (), (*_metrics(), "pairs"), tuple(rows)),))


def _contrasts(found: pd.DataFrame, number: str) -> Table:
    rows = [_effect_row(str(term), part) for term, part in found.groupby("term", sort=False)]
    caption = (
        f"Table {number}: Main effects and interactions of all combinations, in printed standard deviations, "
        "positive is better. Main effect: of a factor's change, averaged over the others'; interaction of "
        "two: half of what one's change does to the other's effect. A seed counts if all combinations "
        f"finished on it. {BOLD}"
    )
    return Table(number, caption, (Block("term", (), (*_metrics(), "seeds"), tuple(rows)),))


def _effect_row(title: str, part: pd.DataFrame) -> Row:
    """Print the effects on every metric, and how many pairs of seeds they rest on."""
    rows = part.to_dict("records")
    pairs = sorted({f"{row['n_pairs']}/{row['n_seeds']}" for row in rows})
    return Row(title, (*map(_effect_cell, rows), Cell(", ".join(pairs))))


def _without(found: pd.DataFrame) -> list[str]:
    """List the configurations that lack a pair, each with its reason."""
    lines = []
    for _, part in found.groupby(CONFIGURATION, sort=False):
        lacking = part[part["n_pairs"] < part["n_seeds"]]
        if lacking.empty:
            continue
        first = min(lacking.to_dict("records"), key=lambda row: row["n_pairs"])
        some = "" if len(lacking) == len(part) else f" ({', '.join(map(_metric, lacking['metric']))})"
        lines.append(
            f"- {first['factor']} = {first['level']}{some}: {first['n_seeds'] - first['n_pairs']} of "
            f"{first['n_seeds']} seeds without a result; {first['reason'] or 'no reason recorded'}"
        )
    return ["Refused, failed or undefined:\n\n" + "\n".join(lines)] if lines else []


def _nearest(distances: pd.DataFrame, tried_before: int) -> str:
    """Name the configurations whose means are nearest to the printed ones, and how many were tried."""
    known = distances[distances["distance"].notna()]
    tried = f"{len(distances)} configurations tried here"
    if tried_before:
        tried += f" after {tried_before} before"
    if len(known) < len(distances):
        tried += f", {len(distances) - len(known)} of them without a distance"
    heading = "### Nearest to the paper"
    if known.empty:
        return f"{heading}\n\nNo configuration finished all seeds and metrics ({tried})."
    text = (
        f"{heading}\n\nOf {tried}, by the root mean square over the metrics of (our mean - printed mean) / "
        "printed deviation. A description only: with so many tried, some configuration is near by chance, "
        "and no default follows from it."
    )
    lines = [
        f"{place}. {_configuration(row)}: {row['distance']:.2f}, farthest in {_metric(row['farthest'])} "
        f"({_signed(row['farthest_by'])})"
        for place, row in enumerate(known.to_dict("records"), start=1)
        if place <= NEAREST_SHOWN or row["kind"] == BASELINE
    ]
    return text + "\n\n" + "\n".join(lines)


def _configuration(row: Mapping[Any, Any]) -> str:
    return "baseline" if row["kind"] == BASELINE else f"{row['factor']} = {row['level']}"


def _effect_cell(row: Mapping[Any, Any]) -> Cell:
    clear = (row["effect_low"] > 0 or row["effect_high"] < 0) and row["effect_low"] < row["effect_high"]
    return Cell(_signed(row["effect"]), bold=clear)


def _interval(low: float, high: float) -> str:
    """Print an interval, or a dash where there is none."""
    return MISSING if isnan(low) else f"{_signed(low)} to {_signed(high)}"


def _signed(value: float) -> str:
    if isnan(value):
        return MISSING
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text


def _metric(metric: str) -> str:
    return names.METRIC_TITLES[metric]


def _metrics() -> tuple[str, ...]:
    return tuple(_metric(metric.id) for metric in METRICS)
