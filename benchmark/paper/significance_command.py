"""`significance`: methods against each other over data sets, or why there are too few and what each says."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.exit_codes import CANNOT, FINDING, OK
from benchmark.paper.compare import records as rows_of
from benchmark.paper.evidence import Judged
from benchmark.paper.significance import (
    ENOUGH,
    RankTest,
    one_row_per_method,
    paired_tests,
    rank_test,
    usable_means,
)
from benchmark.paper.significance_text import Entering, diagram, significance_text
from benchmark.paper.sources import (
    Source,
    joined,
    read_records,
    source_of_records,
    sources_of_references,
)
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError
from benchmark.score.metrics import METRICS


@dataclass(frozen=True)
class Result:
    """What was found: rank tests from `ENOUGH` data sets on, else paired tests and the reason."""

    methods: tuple[str, ...]
    left_out: tuple[str, ...]
    """Further rows of methods that enter."""
    reconstructed: tuple[str, ...]
    """Rows that may not enter, as the original could not be found."""
    rank_tests: tuple[RankTest, ...]
    why_no_ranks: str
    pairs: pd.DataFrame
    problems: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0: all was compared; 1: something could not be; 2: nothing could."""
        if not self.rank_tests and self.pairs.empty:
            return CANNOT
        return FINDING if any("cannot judge" in text for text in self.problems) else OK


def run(args: argparse.Namespace, bench: Bench) -> int:
    """Compare the chosen methods on current records, or on the committed references."""
    if args.reference:
        sources = sources_of_references(bench)
        datasets = tuple(name for source in sources for name in source.datasets)
        # Written beside the folders of the data sets.
        source = Source(joined(sources), sources[0].folder.parent, datasets)
    else:
        source = source_of_records(read_records(bench), bench)
    # Every method had the same protocol, so a profile's limits forbid no comparison among them.
    source = replace(source, judged=replace(source.judged, limits={}))
    result = compare_methods(source.judged, bench)
    written = write(result, source.judged, source.folder)
    if args.json:
        print(json.dumps(as_json(result, source.judged), indent=1))
    else:
        print(text_of(result, source.judged))
        print(f"wrote {', '.join(path.name for path in written)} to {source.folder}")
    for problem in (*source.judged.warnings, *source.judged.messages, *result.problems):
        print(problem, file=sys.stderr)
    if result.exit_code == CANNOT:
        print("cannot judge: no two methods could be compared on real or rebuilt data", file=sys.stderr)
    return max(result.exit_code, FINDING) if source.judged.messages else result.exit_code


def compare_methods(judged: Judged, bench: Bench) -> Result:
    """Rank the methods over data sets, or test them in pairs on each.

    Raises
    ------
    ConfigError
        If fewer than two methods are left once each enters once.
    """
    present = set(judged.as_printed["method"])
    chosen = [name for name in bench.methods.ids if name in present or name in bench.methods.named]
    kept, left_out = one_row_per_method(tuple(bench.registry.methods.values()), chosen, bench.methods.named)
    lost = tuple(name for name in kept if name in judged.reconstructed)
    methods = tuple(name for name in kept if name not in lost)
    if len(methods) < 2:
        raise ConfigError(
            f"cannot judge: {', '.join(methods) or 'no method'} is all there is to compare"
            + (f" ({', '.join(lost)}: a reconstruction never enters)" if lost else "")
            + "; run or name two methods"
        )
    datasets = list(judged.as_printed["dataset"].unique())
    means = {metric.id: usable_means(judged, methods, datasets, metric.id) for metric in METRICS}
    enough = len(methods) >= 3 and all(len(frame) >= ENOUGH for frame, _ in means.values())
    if enough:
        ranked = [rank_test(frame, metric) for metric, (frame, _) in means.items()]
        pairs, problems = pd.DataFrame(), tuple(_reasons(means))
        return Result(methods, left_out, lost, tuple(ranked), "", pairs, problems)
    pairs, problems = paired_tests(judged, methods, datasets)
    least = min(len(frame) for frame, _ in means.values())
    why = (
        f"Ranks, Friedman's test and a critical-difference diagram need at least {ENOUGH} real or rebuilt "
        "data sets on which every method has finished every seed, and three methods; data sets here: "
        f"{least}, methods: {len(methods)}. Below that a rank says little (with five data sets Wilcoxon's "
        "test cannot reach 0.05), so methods are compared in pairs on each data set."
    )
    return Result(methods, left_out, lost, (), why, pairs, problems)


def _reasons(means: Mapping[str, tuple[pd.DataFrame, dict[str, str]]]) -> list[str]:
    reasons = [item for _, found in means.values() for item in found.items()]
    return list(dict.fromkeys(f"{name}: {why}" for name, why in reasons))


def text_of(result: Result, judged: Judged) -> str:
    """Return the Markdown of a result."""
    hard = [spec.id for spec in judged.methods if spec.scoring == "hard" and spec.id in result.methods]
    found = result.rank_tests or (result.pairs, result.why_no_ranks)
    entering = Entering(result.methods, result.left_out, result.reconstructed, tuple(hard))
    return significance_text(judged.source, entering, found, judged.split_sizes)


def write(result: Result, judged: Judged, folder: Path) -> list[Path]:
    """Write `significance.md`, `significance.csv`, and a diagram per metric where there are ranks."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = _frame(result)
    texts = {
        "significance.md": text_of(result, judged),
        "significance.csv": frame.to_csv(index=False, lineterminator="\n", float_format="%.6g"),
    }
    written = []
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
        written.append(folder / name)
    for test in result.rank_tests:
        path = folder / f"critical_difference_{test.metric}.svg"
        diagram(test, path)
        written.append(path)
    return written


def _frame(result: Result) -> pd.DataFrame:
    if not result.rank_tests:
        return result.pairs
    return pd.DataFrame(
        [
            {
                "metric": test.metric,
                "method": method,
                "mean_rank": rank,
                "n_datasets": test.n_datasets,
                "friedman_p": test.p_value,
                "critical_difference": test.critical_difference,
                **{f"p_holm_{other}": test.pairwise[other][method] for other in test.pairwise.columns},
            }
            for test in result.rank_tests
            for method, rank in zip(result.methods, test.ranks, strict=True)
        ]
    )


def as_json(result: Result, judged: Judged) -> dict[str, Any]:
    """Return what programs read."""
    return {
        "source": judged.source,
        "methods": list(result.methods),
        "left_out": list(result.left_out),
        "reconstructed": list(result.reconstructed),
        "ranks": rows_of(_frame(result)) if result.rank_tests else [],
        "why_no_ranks": result.why_no_ranks,
        "pairs": rows_of(result.pairs),
        "problems": list(result.problems),
        "exit_code": result.exit_code,
    }
