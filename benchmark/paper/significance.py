"""`significance`: our methods against each other, by ranks over data sets where there are enough of them.

Else by paired tests on each data set. It touches no file and knows no method.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import pandas as pd

from benchmark.contracts import MethodSpec
from benchmark.exit_codes import CANNOT, FINDING, OK
from benchmark.inference import holm
from benchmark.paper.comparisons import CannotJudgeError, OurSide
from benchmark.paper.evidence import Evidence
from benchmark.paper.ranks import ENOUGH, RankTest, rank_test
from benchmark.registry import Selection
from benchmark.run.config import ConfigError
from benchmark.score.metrics import METRICS
from benchmark.tables.json_rows import json_rows

PAIR_COLUMNS = ("dataset", "metric", "first", "second", "difference", "low", "high", "p_value", "p_holm", "n")


@dataclass(frozen=True)
class Significance:
    """What was found: rank tests from `ENOUGH` data sets on, else paired tests and the reason."""

    evidence: Evidence
    methods: tuple[str, ...]
    """Rows that are compared, one of each method."""
    further_rows: tuple[str, ...] = ()
    """Of methods that enter with another row."""
    reconstructed: tuple[str, ...] = ()
    """Rows that may not enter, as the original could not be found."""
    rank_tests: tuple[RankTest, ...] = ()
    why_no_ranks: str = ""
    pairs: pd.DataFrame = field(default_factory=pd.DataFrame)
    problems: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    """How the protocol of all methods alike was not the printed one."""

    @property
    def scored_from_predictions(self) -> tuple[str, ...]:
        """Those of `methods` whose scores are 0/1 predictions."""
        return tuple(
            spec.id for spec in self.evidence.methods if spec.scoring == "hard" and spec.id in self.methods
        )

    @property
    def frame(self) -> pd.DataFrame:
        """The tests as one table: of ranks, or of pairs; each row says whose features it rests on."""
        of = self.evidence.provenance
        if not self.rank_tests:
            return self.pairs.assign(provenance=[of(name) for name in self.pairs.get("dataset", ())])
        provenances = {of(name) for name in self.evidence.as_printed["dataset"]}
        return pd.DataFrame(
            [
                {
                    "metric": test.metric,
                    "method": method,
                    "mean_rank": rank,
                    "n_datasets": test.n_datasets,
                    "friedman_p": test.p_value,
                    "critical_difference": test.critical_difference,
                    "provenance": ", ".join(sorted(provenances)),
                    **{f"p_holm_{other}": test.pairwise[other][method] for other in test.pairwise.columns},
                }
                for test in self.rank_tests
                for method, rank in zip(self.methods, test.ranks, strict=True)
            ]
        )

    @property
    def exit_code(self) -> int:
        """0: all was compared; 1: something could not be; 2: nothing could."""
        if not self.rank_tests and self.pairs.empty:
            return CANNOT
        return FINDING if any("cannot judge" in text for text in self.problems) else OK


def compare_methods(evidence: Evidence, asked: Selection) -> Significance:
    """Rank the methods over data sets, or test them in pairs on each.

    Raises
    ------
    ConfigError
        If fewer than two methods are left once each enters once.
    """
    # Every method had the same protocol, so a profile's limits forbid no comparison among them.
    limits = tuple(dict.fromkeys(evidence.limits.values()))
    evidence = replace(evidence, limits={})
    present = set(evidence.as_printed["method"])
    chosen = [name for name in asked.ids if name in present or name in asked.named]
    rows, further_rows = one_row_per_method(evidence.methods, chosen, asked.named)
    lost = tuple(name for name in rows if name in evidence.reconstructed)
    methods = tuple(name for name in rows if name not in lost)
    if len(methods) < 2:
        raise ConfigError(
            f"cannot judge: {', '.join(methods) or 'no method'} is all there is to compare"
            + (f" ({', '.join(lost)}: a reconstruction never enters)" if lost else "")
            + "; run or name two methods"
        )
    found = Significance(evidence, methods, further_rows, lost, limits=limits)
    datasets = list(evidence.as_printed["dataset"].unique())
    means = {metric.id: usable_means(evidence, methods, datasets, metric.id) for metric in METRICS}
    least = min(len(frame) for frame, _ in means.values())
    if len(methods) >= 3 and least >= ENOUGH:
        ranked = tuple(rank_test(frame, metric) for metric, (frame, _) in means.items())
        return replace(found, rank_tests=ranked, problems=_reasons(means))
    pairs, problems = paired_tests(evidence, methods, datasets)
    return replace(found, why_no_ranks=_why_no_ranks(least, len(methods)), pairs=pairs, problems=problems)


def _why_no_ranks(n_datasets: int, n_methods: int) -> str:
    return (
        f"Ranks, Friedman's test and a critical-difference diagram need at least {ENOUGH} real or rebuilt "
        "data sets on which every method has finished every seed, and three methods; data sets here: "
        f"{n_datasets}, methods: {n_methods}. Below that a rank says little (with five data sets Wilcoxon's "
        "test cannot reach 0.05), so methods are compared in pairs on each data set."
    )


def _reasons(means: Mapping[str, tuple[pd.DataFrame, dict[str, str]]]) -> tuple[str, ...]:
    reasons = [item for _, found in means.values() for item in found.items()]
    return tuple(dict.fromkeys(f"{name}: {why}" for name, why in reasons))


def one_row_per_method(
    methods: Sequence[MethodSpec], chosen: Sequence[str], named: Iterable[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keep one row of each method, so that no method enters a ranking twice.

    Rows made with the same estimator are one method: the row that was named outright stays, else the first
    of the paper's rows, else the first.

    Returns
    -------
    entering, left_out
        Ids in the order of `methods`.

    Raises
    ------
    ValueError
        If two rows of one method were named.
    """
    families: dict[type, list[MethodSpec]] = {}
    for spec in methods:
        if spec.id in chosen:
            families.setdefault(spec.estimator, []).append(spec)
    entering = []
    for rows in families.values():
        asked = [spec.id for spec in rows if spec.id in set(named)]
        if len(asked) > 1:
            raise ValueError(
                f"{' and '.join(asked)} are rows of one method, and one row per method enters; name one "
                "of them"
            )
        first = next((spec.id for spec in rows if spec.in_paper), rows[0].id)
        entering.append(asked[0] if asked else first)
    order = [spec.id for spec in methods if spec.id in chosen]
    return tuple(name for name in order if name in entering), tuple(
        name for name in order if name not in entering
    )


def usable_means(
    evidence: Evidence, methods: Sequence[str], datasets: Sequence[str], metric: str
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return means (data sets, methods) of the data sets that every method can be judged on.

    Returns
    -------
    means, reasons
        For a data set that is left out, why.
    """
    rows, reasons = {}, {}
    for dataset in datasets:
        means = {}
        for method in methods:
            values, reason = evidence.comparable(dataset, method, metric)
            if reason:
                reasons[dataset] = reason if reason == "look-alike data" else f"{method}: {reason}"
                break
            means[method] = values.mean()
        else:
            rows[dataset] = means
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(methods)), reasons


def paired_tests(
    evidence: Evidence, methods: Sequence[str], datasets: Sequence[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Compare each pair of methods on each data set over the shared splits.

    The corrected resampled t-test; Holm's correction over the pairs of one data set and metric.

    Returns
    -------
    tests, problems
        Columns `PAIR_COLUMNS`; `difference` is the first's mean minus the second's, `low` and `high` its
        95 % interval. And why data sets or pairs are missing.
    """
    side = OurSide(evidence)
    usable, notes = side.datasets(datasets)
    problems = list(notes)
    frames = []
    for dataset in usable:
        for metric in METRICS:
            rows = []
            for first, second in combinations(methods, 2):
                try:
                    rows.append(_pair(evidence, side, dataset, metric.id, first, second))
                except CannotJudgeError as error:
                    problems.append(str(error))
            frame = pd.DataFrame(rows, columns=[name for name in PAIR_COLUMNS if name != "p_holm"])
            frames.append(frame.assign(p_holm=holm(frame["p_value"].tolist())))
    tests = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(PAIR_COLUMNS))
    return tests[list(PAIR_COLUMNS)], tuple(dict.fromkeys(problems))


def _pair(
    evidence: Evidence, side: OurSide, dataset: str, metric: str, first: str, second: str
) -> tuple[object, ...]:
    test = side.compare(dataset, first, second, metric)
    n = len(evidence.cell(dataset, first, metric))
    return (dataset, metric, first, second, test.difference, *test.interval(), test.p_value, n)


def as_json(found: Significance) -> dict[str, Any]:
    """Return what programs read."""
    return {
        "source": found.evidence.source,
        "methods": list(found.methods),
        "left_out": list(found.further_rows),
        "reconstructed": list(found.reconstructed),
        "ranks": json_rows(found.frame) if found.rank_tests else [],
        "why_no_ranks": found.why_no_ranks,
        "pairs": json_rows(found.pairs),
        "problems": list(found.problems),
        "exit_code": found.exit_code,
    }
