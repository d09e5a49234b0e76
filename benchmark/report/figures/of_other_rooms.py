"""Figures that other rooms draw for files of their own: effects of open choices, ranks of methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from benchmark.paper.ranks import RankTest
from benchmark.paper.significance_text import too_few
from benchmark.paper.write import ranks_figure
from benchmark.report.figures.drawn import BEYOND, CHOICES, RANKS, Drawn, name_of
from benchmark.report.figures.words import counted, joined, method_title
from benchmark.report.gather import Material
from benchmark.tables import names
from benchmark.tables.effects_figure import effects_figure


def effects_of_choices(material: Material) -> Iterator[Drawn]:
    """Draw the strongest effect of each open choice, where the study of them is there."""
    if material.ranking.empty:
        return
    title = "Strongest effect of each open choice"
    seeds = counted(int(material.ranking["n_seeds"].max()), "seed")
    with matplotlib.rc_context({"text.parse_math": True}):  # they escape what is not meant as such
        figure = _within(effects_figure(material.ranking, material.effects, title))
    yield Drawn(
        name="choices",
        group=CHOICES,
        title=title,
        caption=f"Each line is one change to what the paper leaves open, over {seeds}: the metric that it "
        "moves most, with a 95 % interval, in printed standard deviations; hollow: other levels of the same "
        "choice. Left is worse than our default, right is better.",
        alt=_effects_in_words(material.ranking),
        figure=figure,
    )


def _effects_in_words(ranking: pd.DataFrame) -> str:
    of_what = counted(len(ranking), "open choice")
    rows = [row for row in ranking.to_dict("records") if isfinite(row["effect"])]
    if not rows:
        return f"{of_what}, none with a measured effect."
    strongest = joined(
        f"{row['factor']} = {row['level']} ({names.METRIC_TITLES[row['metric']]} {row['effect']:+.1f})"
        for row in sorted(rows, key=lambda row: -abs(row["effect"]))[:3]
    ).replace("-", "−")
    beyond = sum(row["effect_low"] > 1 or row["effect_high"] < -1 for row in rows)
    return (
        f"{of_what}; strongest effects, in printed standard deviations: {strongest}. The whole interval lies "
        f"beyond one deviation for {beyond} of them."
    )


def critical_differences(material: Material) -> Iterator[Drawn]:
    """Draw the ranks of methods by metric, where there are enough data sets to compare them."""
    if material.significance:
        yield from _diagrams(material, material.significance.rank_tests, RANKS, "ranks")


def critical_differences_beyond(material: Material) -> Iterator[Drawn]:
    """Draw the same of one row of each method of the paper over other real data sets."""
    if material.beyond:
        for rows in material.beyond.ranks["rows"].head(1):
            yield from _diagrams(material, material.beyond.rank_tests(rows), BEYOND, "beyond")


def _diagrams(material: Material, tests: Sequence[RankTest], group: str, prefix: str) -> Iterator[Drawn]:
    for test in tests:
        with matplotlib.rc_context({"text.parse_math": True}):
            figure = _within(ranks_figure(test))
        ranks = test.ranks.sort_values()
        title = f"{names.METRIC_TITLES[test.metric]}: mean ranks over {test.n_datasets} data sets"
        best, worst = (f"{method_title(material, ranks.index[at])} ({ranks.iloc[at]:.2f})" for at in (0, -1))
        yield Drawn(
            name=name_of(prefix, test.metric),
            group=group,
            title=title,
            caption=f"Mean rank, 1 is best; a bar joins methods that {_joined(test)}. Friedman's test: "
            f"p = {test.p_value:.2g}.",
            alt=f"{title}: best {best}, worst {worst} of {len(ranks)} methods.",
            figure=figure,
        )


def _joined(test: RankTest) -> str:
    distance = f"Nemenyi's critical difference of {test.critical_difference:.2f}"
    why = too_few(test)
    if why:
        return f"lie within {distance} (for Wilcoxon's tests {why})"
    return f"Wilcoxon's tests of pairs, after Holm's correction, do not tell apart ({distance})"


def _within(figure: Figure) -> Figure:
    """Make room within a figure for what its room writes beside the axes."""
    figure.tight_layout(pad=0.5)
    return figure
