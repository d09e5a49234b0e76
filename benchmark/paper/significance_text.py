"""Our methods against each other, in words and tables; it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from benchmark.inference import ALPHA
from benchmark.paper.ranks import RankTest
from benchmark.paper.significance import Significance
from benchmark.paper.text import p_text
from benchmark.tables import markdown, names
from benchmark.tables.layout import Block, Cell, Row, Table

PREDICTIONS_SENTENCE = (
    "Scored from 0/1 predictions, which costs AUC, ranking loss and coverage (name other rows with --methods "
    "to enter those)"
)


def significance_text(found: Significance) -> str:
    """Return the Markdown of what was found: ranks, or why there are none and the tests of pairs."""
    evidence, ranks = found.evidence, found.rank_tests
    lines = [f"# The methods against each other, from {evidence.source}", _entering(found)]
    if ranks:
        lines += [ranks_text(ranks), apart_text(ranks), *map(_pairwise, ranks)]
    else:
        lines.append(found.why_no_ranks)
        groups = found.pairs.groupby("dataset", sort=False)
        lines += [_pairs(group, str(name), evidence.split_sizes.get(str(name))) for name, group in groups]
    return "\n\n".join(line.rstrip() for line in lines) + "\n"


def _entering(found: Significance) -> str:
    """Say which rows of the tables are compared, and which are not."""
    parts = [f"One row per method enters: {', '.join(map(names.method_title, found.methods))}."]
    if found.further_rows:
        parts.append(f"Left out as further rows of one of them: {', '.join(found.further_rows)}.")
    if found.reconstructed:
        titles = ", ".join(map(names.method_title, found.reconstructed))
        parts.append(f"Left out as reconstructions of what could not be found: {titles}.")
    if found.scored_from_predictions:
        parts.append(f"{PREDICTIONS_SENTENCE}: {', '.join(found.scored_from_predictions)}.")
    if found.limits:
        parts.append(f"No statement about a method follows: {'; '.join(found.limits)}.")
    return " ".join([*parts, "Look-alike data never enter."])


def ranks_text(tests: Sequence[RankTest]) -> str:
    """Return the average ranks of each metric, with Friedman's test and the critical difference."""
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


def apart_text(tests: Sequence[RankTest]) -> str:
    """Return which methods lie further apart than the critical difference, and which Wilcoxon tells apart."""
    far = f"Further apart than the critical difference, where Friedman's test finds a difference at {ALPHA}"
    told = f"Told apart by Wilcoxon's signed-rank test at {ALPHA} after Holm's correction"
    parts = [_by_metric(far, {test.metric: pairs_text(test.far_apart()) for test in tests})]
    why = too_few(tests[0])
    if why:
        parts.append(f"{told}: none, as {why}.")
    else:
        parts.append(_by_metric(told, {test.metric: pairs_text(test.told_apart()) for test in tests}))
    return "\n\n".join(parts)


def too_few(test: RankTest) -> str:
    """Say that Wilcoxon's test cannot tell any pair of methods apart; nothing where it can."""
    if test.least_p <= ALPHA:
        return ""
    return (
        f"{test.n_datasets} data sets are too few: after Holm's correction over {test.n_pairs} pairs no "
        f"p-value can be below about {test.least_p:.2g}; it would take {test.enough_datasets}"
    )


def pairs_text(pairs: Sequence[tuple[str, str, float]]) -> str:
    """Name pairs, the better method first: those behind one better method together."""
    worse: dict[str, list[str]] = {}
    for better, behind, _ in pairs:
        worse.setdefault(names.method_title(better), []).append(names.method_title(behind))
    return "; ".join(f"{better} before {', '.join(behind)}" for better, behind in worse.items())


def _by_metric(head: str, texts: Mapping[str, str]) -> str:
    lines = [f"- {names.METRIC_TITLES[metric]}: {text}" for metric, text in texts.items() if text]
    return "\n".join([f"{head}:", "", *lines]) if lines else f"{head}: none."


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
