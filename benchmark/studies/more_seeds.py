"""`python -m benchmark.studies.more_seeds`: whether seeds 10 to 29 say of ML2000 what seeds 0 to 9 say.

The latter are the committed reference's, the former records of the same rows at the same protocol; jobs that
have no record any more stay as they were written before. It trains nothing: it prints the command that does.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pandas as pd
from scipy import stats

from benchmark.contracts import cache_directory
from benchmark.exit_codes import CANNOT, FINDING, OK
from benchmark.files import write_text
from benchmark.inference import ALPHA
from benchmark.paper.claims import CANNOT as CANNOT_JUDGE
from benchmark.paper.compare import Judgement, judge_all
from benchmark.paper.evidence import Evidence
from benchmark.paper.gather import gather_records, gather_references
from benchmark.paper.printed import read_paper
from benchmark.paper.significance import paired_tests
from benchmark.paper.verdicts import NOT_COMPARABLE
from benchmark.registry import Registry, discover, parse_seeds, seeds_flag
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError
from benchmark.run.flags import ROOT
from benchmark.score.metrics import METRICS
from benchmark.studies.beyond.measured import NOTHING, Measured
from benchmark.studies.beyond.sources import measured_of, read_measured
from benchmark.tables import markdown, names

DATASET, FIRST, MORE = "ml2000", "10", "10-29"
METHODS = tuple(dict.fromkeys((*names.TABLE2_METHODS, *names.TABLE3_METHODS)))
HERE = ROOT / "results" / "more_seeds"
OPENING = f"""# Do more seeds say the same?

ML2000, the paper's rows at its protocol: seeds 0 to 9, the committed reference, and seeds {MORE}. Each are
judged alone, in the same way. Made by `python -m benchmark.studies.more_seeds` of records and, where
there are none any more, of the tables here: `verdicts.csv`, `order.csv` and `claims.csv` hold what is said,
`jobs.csv`, `per_seed.csv` and `steps.csv` the seeds."""


def compare_verdicts(first: Judgement, more: Judgement) -> pd.DataFrame:
    """Return each distinct printed cell that can be compared: verdict and our mean by either seeds."""
    keys = ["dataset", "method", "metric"]
    columns = ["mean", "std", "ours_mean", "verdict"]
    frames = [
        found.verdicts[~found.verdicts["repeats"] & (found.verdicts["verdict"] != NOT_COMPARABLE)]
        for found in (first, more)
    ]
    both = frames[0][keys + columns].merge(
        frames[1][[*keys, "ours_mean", "verdict"]], on=keys, suffixes=("_first", "_more")
    )
    return both.rename(columns={"mean": "printed_mean", "std": "printed_std"})


def compare_orders(first: Evidence, more: Evidence) -> pd.DataFrame:
    """Return by metric how the methods' order by the mean differs between the seeds.

    Returns
    -------
    DataFrame
        `kendall_tau`; `best_first` and `best_more`; `swapped`: pairs of methods in another order;
        `swapped_significant`: those of them that the paired test tells apart in either seeds.
    """
    apart = _told_apart(first) | _told_apart(more)
    rows = []
    for metric in METRICS:
        means = pd.DataFrame({"first": _means(first, metric.id), "more": _means(more, metric.id)})
        if metric.direction == "down":
            means = -means
        swapped = [
            (metric.id, frozenset(pair))
            for pair in combinations(means.index, 2)
            if (means.loc[pair[0]] - means.loc[pair[1]]).prod(skipna=False) < 0
        ]
        rows.append(
            {
                "metric": metric.id,
                "kendall_tau": stats.kendalltau(means["first"], means["more"]).statistic,
                "best_first": means["first"].idxmax(),
                "best_more": means["more"].idxmax(),
                "swapped": len(swapped),
                "swapped_significant": len(apart.intersection(swapped)),
            }
        )
    return pd.DataFrame(rows)


def _means(evidence: Evidence, metric: str) -> pd.Series:
    shown = evidence.as_printed
    return shown[shown["metric"] == metric].groupby("method")["value"].mean().reindex(METHODS)


def _told_apart(evidence: Evidence) -> set[tuple[str, frozenset[str]]]:
    """Return metric and methods of each pair that the paired test tells apart."""
    pairs, _ = paired_tests(evidence, METHODS, [DATASET])
    found = pairs.loc[pairs["p_holm"] <= ALPHA, ["metric", "first", "second"]]
    return {(metric, frozenset(pair)) for metric, *pair in found.itertuples(index=False, name=None)}


def compare_claims(first: Judgement, more: Judgement) -> pd.DataFrame:
    """Return the verdict by either seeds on each claim that one of them can judge."""
    keys, columns = ["id", "quote"], ["verdict", "better", "cells"]
    ours = [found.claims[found.claims["side"] == "ours"][keys + columns] for found in (first, more)]
    both = ours[0].merge(ours[1], on=keys, suffixes=("_first", "_more"))
    judged = (both["verdict_first"] != CANNOT_JUDGE) | (both["verdict_more"] != CANNOT_JUDGE)
    return both[judged]


def text(verdicts: pd.DataFrame, orders: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Return the Markdown of what was found."""
    same = verdicts["verdict_first"] == verdicts["verdict_more"]
    counted = pd.crosstab(verdicts["verdict_first"], verdicts["verdict_more"])
    table = [(name, *row) for name, row in zip(counted.index, counted.to_numpy(), strict=True)]
    moved = verdicts[~same]
    cells = [
        (
            names.method_title(row["method"]),
            names.METRIC_TITLES[row["metric"]],
            f"{row['printed_mean']}±{row['printed_std']}",
            f"{row['ours_mean_first']:.3f}: {row['verdict_first']}",
            f"{row['ours_mean_more']:.3f}: {row['verdict_more']}",
        )
        for row in moved.to_dict("records")
    ]
    changed = claims[claims["verdict_first"] != claims["verdict_more"]]
    order_rows = [
        (
            names.METRIC_TITLES[row["metric"]],
            f"{row['kendall_tau']:.2f}",
            names.method_title(row["best_first"]),
            names.method_title(row["best_more"]),
            row["swapped"],
            row["swapped_significant"],
        )
        for row in orders.to_dict("records")
    ]
    n_pairs = len(METHODS) * (len(METHODS) - 1) // 2
    parts = [
        OPENING,
        f"{same.sum()} of {len(verdicts)} comparable printed cells have the same verdict. By seeds 0 to 9 "
        "(rows) and by the others (columns):",
        markdown.grid(table, ("", *counted.columns)),
        "Cells whose verdict differs:" if cells else "",
        markdown.grid(cells, ("method", "metric", "printed", "seeds 0 to 9", "the others")) if cells else "",
        f"Of {len(METHODS)} methods there are {n_pairs} pairs in each metric. Swapped: those in another "
        "order by the mean; significant: of these, those that the corrected resampled t-test tells apart in "
        "either seeds after Holm's correction over the pairs.",
        markdown.grid(
            order_rows, ("metric", "Kendall's tau", "best, 0 to 9", "best, others", "swapped", "significant")
        ),
        f"{len(claims) - len(changed)} of {len(claims)} claims have the same verdict"
        + "".join(f"; {row.id}: {row.verdict_first}, then {row.verdict_more}" for row in changed.itertuples())
        + ".",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


@dataclass(frozen=True)
class More:
    """The jobs of the other seeds, and what keeps them from being judged."""

    measured: Measured
    lacking: int
    outdated: int
    command: str
    """What makes those."""
    messages: tuple[str, ...]


def gather_more(registry: Registry, results: Path, out: Path) -> More:
    """Read the records of the other seeds and, of jobs without, the tables that were written before."""
    seeds = parse_seeds(MORE)
    bench = _bench(registry, MORE, results)
    found = [gather_records(bench)] if bench.recorded_pairs() else []
    fresh = measured_of(found[0]) if found else NOTHING
    measured = fresh.over(read_measured(out)).chosen({DATASET: seeds}, METHODS)
    outdated = measured.outdated(bench)
    to_run = seeds if outdated else measured.unfinished(METHODS, seeds) or seeds
    words = ["--datasets", DATASET, "--methods", ",".join(METHODS), "--seeds", seeds_flag(to_run)]
    words += [] if results == ROOT / "results" else ["--results", str(results)]
    return More(
        measured,
        measured.lacking(len(METHODS) * len(seeds)),
        outdated,
        shlex.join(["python", "run_all.py", *words]),
        tuple(message for one in found for message in one.evidence.messages),
    )


def unfinished(more: More) -> str:
    """Return the Markdown that says so."""
    n_jobs = len(METHODS) * len(parse_seeds(MORE))
    return f"{OPENING}\n\n**Unfinished: {more.lacking} of {n_jobs} jobs lack. Nothing is judged.**\n"


def _bench(registry: Registry, seeds: str, results: Path) -> Bench:
    return Bench.of(
        registry,
        profile="paper",
        methods=",".join(METHODS),
        datasets=DATASET,
        seeds=seeds,
        data_dir=cache_directory() / "data",
        results_dir=results,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables, or say what has to be run first."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.more_seeds", description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="default: results")
    parser.add_argument("--out", type=Path, default=HERE, help="default: results/more_seeds")
    args = parser.parse_args(arguments)
    registry = discover()
    try:
        more = gather_more(registry, args.results, args.out)
        judged = {"more_seeds.md": unfinished(more)} if more.lacking else _judged(registry, more.measured)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return CANNOT
    files = more.measured.files() | judged if len(more.measured.jobs) else {}
    for name, content in files.items():
        write_text(args.out / name, content)
    if files:
        print(f"wrote {', '.join(files)} to {args.out}")
    for message in more.messages:
        print(message, file=sys.stderr)
    if more.lacking or more.outdated:
        print(
            f"{more.lacking} jobs lack, {more.outdated} are of another version; to run them: {more.command}",
            file=sys.stderr,
        )
    return FINDING if more.lacking or more.outdated or more.messages else OK


def _judged(registry: Registry, measured: Measured) -> dict[str, str]:
    """Return the text of each file on what either seeds say."""
    (first,) = gather_references(_bench(registry, FIRST, ROOT / "results"))
    more = measured.evidence(first.evidence.methods, {DATASET: parse_seeds(MORE)}, f"records of seeds {MORE}")
    judged = [judge_all([evidence], read_paper())[0] for evidence in (first.evidence, more)]
    frames = {
        "verdicts.csv": compare_verdicts(*judged),
        "order.csv": compare_orders(first.evidence, more),
        "claims.csv": compare_claims(*judged),
    }
    texts = {
        name: frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")
        for name, frame in frames.items()
    }
    return texts | {"more_seeds.md": text(*frames.values())}


if __name__ == "__main__":
    raise SystemExit(main())
