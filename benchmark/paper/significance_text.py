"""Comparisons of methods as text and as critical-difference diagrams; it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.inference import ALPHA
from benchmark.paper.significance import RankTest
from benchmark.paper.text import p_text
from benchmark.tables import markdown, names
from benchmark.tables.layout import Block, Cell, Row, Table

HARD_SENTENCE = (
    "Scored from 0/1 predictions, which costs AUC, ranking loss and coverage (name other rows with --methods "
    "to enter those)"
)


@dataclass(frozen=True)
class Entering:
    """Which rows of the tables are compared, and which are not."""

    methods: tuple[str, ...]
    further_rows: tuple[str, ...] = ()
    """Of methods that enter with another row."""
    reconstructed: tuple[str, ...] = ()
    """Of methods whose original could not be found."""
    hard: tuple[str, ...] = ()
    """Among `methods`, those scored from 0/1 predictions."""

    @property
    def text(self) -> str:
        """Say it in sentences."""
        parts = [f"One row per method enters: {', '.join(map(names.method_title, self.methods))}."]
        if self.further_rows:
            parts.append(f"Left out as further rows of one of them: {', '.join(self.further_rows)}.")
        if self.reconstructed:
            titles = ", ".join(map(names.method_title, self.reconstructed))
            parts.append(f"Left out as reconstructions of what could not be found: {titles}.")
        if self.hard:
            parts.append(f"{HARD_SENTENCE}: {', '.join(self.hard)}.")
        return " ".join([*parts, "Look-alike data never enter."])


def significance_text(
    source: str,
    entering: Entering,
    found: Sequence[RankTest] | tuple[pd.DataFrame, str],
    split_sizes: Mapping[str, tuple[int, int]],
) -> str:
    """Return the Markdown of what was found.

    Parameters
    ----------
    source : str
        What was judged, in words.
    entering : Entering
    found : sequence of RankTest, or (DataFrame, str)
        Rank tests, or paired tests and why there are no ranks.
    split_sizes : mapping
        By data set, training and test rows of each split.
    """
    ranks = [test for test in found if isinstance(test, RankTest)]
    lines = [
        f"# The methods against each other, from {source}",
        entering.text,
        *(part for part in found if isinstance(part, str)),
    ]
    lines += [_ranks(ranks), *map(_pairwise, ranks)] if ranks else []
    for part in found:
        if isinstance(part, pd.DataFrame):
            for name, group in part.groupby("dataset", sort=False):
                lines.append(_pairs(group, str(name), split_sizes.get(str(name))))
    return "\n\n".join(line.rstrip() for line in lines) + "\n"


def _ranks(tests: Sequence[RankTest]) -> str:
    methods = list(tests[0].ranks.index)
    rows = tuple(
        Row(
            names.METRIC_TITLES[test.metric],
            (
                *(Cell(f"{test.ranks[method]:.2f}") for method in methods),
                Cell(f"{test.chi_square:.2f}"),
                Cell(p_text(test.p_value)),
                Cell(f"{test.critical_difference:.2f}"),
            ),
        )
        for test in tests
    )
    columns = (*map(names.method_title, methods), "chi²", "p", "CD")
    caption = (
        f"Average ranks: 1 is best, over {tests[0].n_datasets} data sets; Friedman's test, corrected for "
        f"ties; Nemenyi's critical difference at {ALPHA}."
    )
    return markdown.render(Table("R", caption, (Block("metric", (), columns, rows),)))


def _pairwise(test: RankTest) -> str:
    methods = list(test.pairwise.columns)
    rows = tuple(
        Row(
            names.method_title(first),
            tuple(Cell("" if first == other else p_text(test.pairwise[other][first])) for other in methods),
        )
        for first in methods
    )
    title = names.METRIC_TITLES[test.metric]
    caption = f"{title}: p-values of Wilcoxon's signed-rank tests after Holm's correction."
    return markdown.render(
        Table("W", caption, (Block("methods", (), tuple(map(names.method_title, methods)), rows),))
    )


def _pairs(pairs: pd.DataFrame, dataset: str, sizes: tuple[int, int] | None) -> str:
    rows = []
    for test in pairs.to_dict("records"):
        significant = test["p_holm"] <= ALPHA
        title = f"{names.METRIC_TITLES[test['metric']]}: {names.method_title(test['first'])} − "
        texts = (
            f"{test['difference']:+.4f}",
            f"{test['low']:+.4f} to {test['high']:+.4f}",
            p_text(test["p_value"]),
            p_text(test["p_holm"]),
            str(test["n"]),
        )
        cells = (Cell(texts[0], bold=significant), *map(Cell, texts[1:]))
        rows.append(Row(title + names.method_title(test["second"]), cells))
    ratio = "1/9" if sizes is None else f"{sizes[1]}/{sizes[0]}"
    caption = (
        f"{names.dataset_title(dataset)}: differences of means over the shared splits, the corrected "
        f"resampled t-test of Nadeau and Bengio (n_test / n_train = {ratio}); Holm's correction over the "
        f"pairs of one metric; bold: significant at {ALPHA}."
    )
    columns = ("difference", "95 % interval", "p", "p Holm", "seeds")
    return markdown.render(Table("P", caption, (Block("pair", (), columns, tuple(rows)),)))


def diagram(test: RankTest, path: Path) -> None:
    """Draw the critical-difference diagram of one metric; bars join methods that no test tells apart."""
    import matplotlib
    import scikit_posthocs
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.4 * len(test.ranks) + 1.2))  # not pyplot: it would choose a display
    axes = figure.subplots()
    ranks = test.ranks.rename(names.method_title)
    pairwise = test.pairwise.rename(index=names.method_title, columns=names.method_title)
    scikit_posthocs.critical_difference_diagram(
        ranks,
        pairwise,
        alpha=ALPHA,
        ax=axes,
        label_fmt_left="{label} ({rank:.2f})",
        label_fmt_right="({rank:.2f}) {label}",
    )
    axes.set_title(f"{names.METRIC_TITLES[test.metric]}, {test.n_datasets} data sets")
    with matplotlib.rc_context({"svg.hashsalt": test.metric}):  # the same numbers give the same file
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
