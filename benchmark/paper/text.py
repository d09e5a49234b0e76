"""Verdicts, claims and explanations in words and tables; it decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from typing import Any

import pandas as pd

from benchmark.contracts import Provenance
from benchmark.inference import ALPHA
from benchmark.paper.verdicts import (
    BETTER,
    LEAKED,
    NOT_COMPARABLE,
    REBUILT,
    REPRODUCED,
    UNDECIDED,
    WORSE,
    Totals,
)
from benchmark.tables import markdown, names
from benchmark.tables.layout import Block, Cell, Group, Row, Table
from benchmark.words import one_line

MARKS = {
    REPRODUCED: "=",
    REBUILT: "=†",
    LEAKED: "=¶",
    BETTER: "+",
    WORSE: "−",
    UNDECIDED: "?",
    NOT_COMPARABLE: "n/c",
}
MARKS_SENTENCE = (
    "Marks: = reproduced, =† reproduced on rebuilt features, + significantly better than printed, "
    "− significantly worse, ? undecided, n/c not comparable (reasons below)."
)
TEST_COLUMNS = (
    *("difference", "90 % interval", "margin", "p equivalence", "p difference", "p Holm"),
    *("power at 0", "seeds", "verdict", "seeds needed"),
)
TABLE3_COLUMNS = tuple(metric for block in names.TABLE2_BLOCKS for metric in block)


def verdicts_text(verdicts: pd.DataFrame, totals: Totals, source: str) -> str:
    """Return the Markdown of all verdicts: sums, Tables II and III side by side, and every tested cell."""
    parts = [f"# Verdicts: the printed cells against {source}", _summary(totals), _counts(totals)]
    for number, layout in (("II", _table2), ("III", _table3)):
        cells = verdicts[verdicts["table"] == number]
        if len(cells):
            parts.append(markdown.render(layout(cells)).rstrip())
    tested = verdicts[(verdicts["verdict"] != NOT_COMPARABLE) & ~verdicts["repeats"]]
    if len(tested):
        parts.append(markdown.render(_tests(tested)).rstrip())
    return "\n\n".join(parts) + "\n"


def _summary(totals: Totals) -> str:
    power = (
        ""
        if isnan(totals.power_median)
        else (
            " If there were no true difference, a cell would be called reproduced with a chance of "
            f"{totals.power_median:.2f} in the median and {totals.power_least:.2f} in the least powerful "
            "cell."
        )
    )
    return (
        f"{totals.printed} printed cells, {totals.distinct} of them distinct (a cell that Table III repeats "
        f"counts once), {totals.tested} comparable. Every method is read as the paper's row must have been "
        f"(reading: as printed). Reproduced: a Welch TOST at {ALPHA} finds the difference inside the margin "
        "of results/paper/margins.csv, also where it is significant; each cell is its own claim, so there "
        "is no correction for multiplicity. Better, worse: Welch's test, Holm's correction over the "
        "comparable cells. Printed means are shifted by half a unit of their last digit, since they look "
        f"truncated. By chance at most {totals.false_reproduced:.1f} cells are called reproduced although "
        f"their true difference lies on or beyond the margin.{power} Seeds needed takes the paper's ten "
        "repetitions as fixed: how many of ours would decide the cell with a chance of 0.8 if means and "
        "deviations stayed as they are; `none` where no number does."
    )


def _counts(totals: Totals) -> str:
    lines = [f"- {verdict}: {count}" for verdict, count in totals.counts.items()]
    lines += [f"    - {reason}: {count}" for reason, count in totals.reasons.items()]
    return "\n".join(lines)


def _table2(cells: pd.DataFrame) -> Table:
    datasets = [name for name in names.TABLE2_DATASETS if name in set(cells["dataset"])]
    found = _by_key(cells)
    blocks = tuple(
        Block(
            "methods",
            tuple(Group(_metric(metric), len(datasets)) for metric in metrics),
            tuple(_dataset(dataset, cells) for _ in metrics for dataset in datasets),
            _rows(names.TABLE2_METHODS, [(d, metric) for metric in metrics for d in datasets], found),
        )
        for metrics in names.TABLE2_BLOCKS
    )
    return Table("II", f"Table II, paper and ours: {_marks(cells)}", blocks)


def _table3(cells: pd.DataFrame) -> Table:
    keys = [(names.TABLE3_DATASET, metric) for metric in TABLE3_COLUMNS]
    columns = tuple(_metric(metric) for metric in TABLE3_COLUMNS)
    block = Block("methods", (), columns, _rows(names.TABLE3_METHODS, keys, _by_key(cells)))
    title = _dataset(names.TABLE3_DATASET, cells)
    return Table("III", f"Table III, paper and ours: {title}. {_marks(cells)}", (block,))


def _marks(cells: pd.DataFrame) -> str:
    """Explain the marks, that of leaked features where there are any."""
    if Provenance.LEAKED not in set(cells["provenance"]):
        return MARKS_SENTENCE
    mark, text = names.PROVENANCE_MARKS[Provenance.LEAKED], names.PROVENANCE_TEXTS[Provenance.LEAKED]
    return f"{MARKS_SENTENCE} {mark} {text}."


Key = tuple[str, str, str]


def _by_key(cells: pd.DataFrame) -> dict[Key, Mapping[Any, Any]]:
    return {(row["dataset"], row["method"], row["metric"]): row for row in cells.to_dict("records")}


def _rows(
    methods: Iterable[str], keys: Sequence[tuple[str, str]], found: Mapping[Key, Mapping[Any, Any]]
) -> tuple[Row, ...]:
    rows = []
    for method in methods:
        cells = [found[dataset, method, metric] for dataset, metric in keys]
        title = names.method_title(method)
        paper = tuple(Cell(f"{_number(c['mean'])}±{_number(c['std'])}", bold=bool(c["bold"])) for c in cells)
        rows += [Row(f"{title}, paper", paper), Row(f"{title}, ours", tuple(map(_ours, cells)))]
    return tuple(rows)


def _ours(cell: Mapping[Any, Any]) -> Cell:
    mark = MARKS[cell["verdict"]]
    if isnan(cell["ours_mean"]):
        return Cell(mark)
    deviation = "" if isnan(cell["ours_std"]) else f"±{_number(cell['ours_std'])}"
    text = f"{_number(cell['ours_mean'])}{deviation} {mark}"
    return Cell(text, grey=cell["provenance"] == Provenance.LOOK_ALIKE)


def _tests(tested: pd.DataFrame) -> Table:
    datasets = {name: _dataset(name, tested) for name in tested["dataset"].unique()}
    rows = []
    for cell in tested.to_dict("records"):
        titles = (datasets[cell["dataset"]], names.method_title(cell["method"]), _metric(cell["metric"]))
        texts = (
            f"{cell['difference']:+.4f}",
            f"{cell['low']:+.4f} to {cell['high']:+.4f}",
            f"{cell['margin']:.5f}",
            p_text(cell["p_equivalence"]),
            p_text(cell["p_difference"]),
            p_text(cell["p_holm"]),
            f"{cell['power_at_zero']:.2f}",
            str(cell["n_seeds"]),
            cell["verdict"],
            cell["seeds_needed"],
        )
        rows.append(Row(" ".join(titles), tuple(map(Cell, texts))))
    caption = (
        "Table V: The tests behind the verdicts. Differences are ours minus the centre of the printed "
        "interval."
    )
    return Table("V", caption, (Block("cell", (), TEST_COLUMNS, tuple(rows)),))


VERDICT_RULE = (
    "A claim is supported if its reading holds in the share of the cells that results/paper/claims.toml asks "
    "for, partly supported if in at least half, contradicted if the opposite is significant in at least "
    "half, else not supported."
)


def claims_text(claims: pd.DataFrame, source: str) -> str:
    """Return the Markdown of all claims: quote, reading, and what each side's numbers say."""
    parts = [
        f"# The paper's claims against its own numbers and against {source}",
        f"{VERDICT_RULE} On the paper's numbers: Welch's test on the printed means and "
        "deviations. On ours: paired by split with the Nadeau-Bengio correction (n_test / n_train = 1/9). "
        f"Significant: at {ALPHA} after Holm's correction over the cells of the claim on that side. "
        "Look-alike data and reconstructed methods support no claim.",
    ]
    for _, group in claims.groupby("id", sort=False):
        first = group.iloc[0]
        lines = [f"## {first['id']}", f"> {first['quote']} (section {first['section']})", first["reading"]]
        parts += [*lines, "\n".join(_finding(row) for row in group.to_dict("records"))]
    return "\n\n".join(parts) + "\n"


def _finding(row: Mapping[Any, Any]) -> str:
    whose = {"paper": "The paper's numbers", "ours": "Ours"}[row["side"]]
    details = [text for text in (row["scope"], row["numbers"], row["reason"]) if text]
    return f"- {whose}: **{row['verdict']}**. " + ". ".join(details) + "."


def explanation_text(found: Mapping[str, Any]) -> str:
    """Return what `benchmark.paper.explain.explain` found, line by line."""
    lines = [f"{found['metric']} of {found['method']} on {found['dataset']}, from {found['source']}"]
    lines.append(f"ours: {_mean_and_std(found['mean'], found['std'])} over {found['n_seeds']} seeds")
    if found["not_comparable_because"]:
        lines.append(f"not comparable with the paper: {found['not_comparable_because']}")
    lines += [_paper_line(cell) for cell in found["paper"]] or ["paper: prints no such cell"]
    read_with = ", ".join(f"{key} {value}" for key, value in found["reading"].items())
    lines += [f"features: {found['provenance']}", f"read with: {read_with}"]
    if equal := found["equal_thresholds"]:
        lines.append(
            f"with equal thresholds ({equal['threshold']}): {_mean_and_std(equal['mean'], equal['std'])}"
        )
    lines += [f"note: {one_line(found['note'])}"] if found["note"] else []
    lines.append("seeds:")
    for row in found["seeds"]:
        value = "undefined" if row["value"] is None else f"{row['value']:.6f}"
        place = found["folders"].get(row["seed"], "no record here")
        lines.append(f"  {row['seed']}: {value} {row['status']}, scores {row['score_digest'][:12]}, {place}")
    for title, key in (("data", "data_hash"), ("versions (config hash)", "config_hash")):
        lines.append(f"{title}: {', '.join(dict.fromkeys(row[key] for row in found['seeds']))}")
    if not found["settings"]:
        lines.append("settings: not kept by this reference; write it again with: python run_all.py reference")
    for config_hash, settings in found["settings"].items():
        lines += [f"settings of {config_hash}:", _indented(settings)]
    lines += [f"environment of {e.get('jobs', '?')} jobs:\n{_indented(e)}" for e in found["environments"]]
    return "\n".join(lines)


def _paper_line(cell: Mapping[str, Any]) -> str:
    bold = ", bold" if cell["bold"] else ""
    distance = (
        "" if cell["ours_minus_paper"] is None else f"; ours is {cell['ours_minus_paper']:+.4f} from it"
    )
    printed = _mean_and_std(cell["mean"], cell["std"])
    return f"paper, Table {cell['table']}: {printed}{bold}{distance}, margin {cell['margin']}"


def _mean_and_std(mean: float | None, std: float | None) -> str:
    if mean is None:
        return "no mean"
    return f"{mean:.3f}" + ("" if std is None else f"±{std:.3f}")


def _indented(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, indent=1, sort_keys=True, default=str)
    return "\n".join(f"  {line}" for line in text.splitlines())


def _metric(metric: str) -> str:
    return names.METRIC_TITLES[metric]


def _dataset(dataset: str, cells: pd.DataFrame) -> str:
    found = cells.loc[(cells["dataset"] == dataset) & (cells["provenance"] != ""), "provenance"]
    return names.dataset_title(dataset) + (
        names.PROVENANCE_MARKS[Provenance(found.iloc[0])] if len(found) else ""
    )


def _number(value: float) -> str:
    return f"{value:.3f}"


def p_text(value: float) -> str:
    """Print a p-value to four decimals."""
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"
