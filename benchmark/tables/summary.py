"""The best rows of each data set in a few lines, for the end of a run; it writes no file and knows no job."""

from __future__ import annotations

from tabulate import tabulate

from benchmark.contracts import Provenance
from benchmark.score.metrics import METRICS
from benchmark.tables import captions, names
from benchmark.tables.cells import Averages, Footnotes
from benchmark.tables.paper_tables import methods_of
from benchmark.tables.results import Results

SHOWN = ("macro_auc", "micro_f1", "ranking_loss", "hamming_loss")
ROWS, DATASETS = 3, 2
"""At most so many rows of so many data sets; look-alikes share one line, further data sets another."""


def best_rows(results: Results) -> list[str]:
    """Return for each data set how often each of the paper's methods is best, as bold print in the tables.

    Look-alikes are named as such and nothing of them is called best. ML2000 comes first.
    """
    frame = results.as_printed
    present = names.in_paper_order((names.TABLE3_DATASET, *names.TABLE2_DATASETS), frame["dataset"].unique())
    titles = {name: captions.marked_title(name, frame) for name in present if name in set(frame["dataset"])}
    synthetic = set(frame.loc[frame["provenance"] == Provenance.LOOK_ALIKE, "dataset"])
    real = [name for name in titles if name not in synthetic]
    averages = Averages(results, frame)
    lines = [line for name in real[:DATASETS] for line in _rows(results, averages, name, titles[name])]
    if len(real) > DATASETS:
        lines.append(f"{', '.join(titles[name] for name in real[DATASETS:])}: see the tables")
    if look_alikes := [title for name, title in titles.items() if name in synthetic]:
        lines.append(f"{', '.join(look_alikes)}: look-alike, not the real data; no row there is called best")
    return lines


def _rows(results: Results, averages: Averages, dataset: str, title: str) -> list[str]:
    run = set(results.as_printed.loc[results.as_printed["dataset"] == dataset, "method"])
    methods = [method for method in methods_of(results, names.TABLE2_METHODS)[0] if method in run]
    contenders = [method for method in methods if method not in averages.reconstructed]
    columns = {
        metric.id: averages.column(dataset, metric.id, methods, contenders, Footnotes()) for metric in METRICS
    }
    wins = {method: sum(column[method].bold for column in columns.values()) for method in methods}
    by_wins = sorted(methods, key=lambda method: -wins[method])
    place = by_wins.index("M3LA") if "M3LA" in by_wins else 0  # the paper's own method is always among them
    best = by_wins[:ROWS] if place < ROWS else [*by_wins[: ROWS - 1], "M3LA"]
    table = [
        (
            averages.title(method),
            f"{wins[method]} of {len(columns)}",
            *(columns[metric][method].text for metric in SHOWN),
        )
        for method in best
    ]
    headers = ("", "best in", *map(names.metric_heading, SHOWN))
    n_seeds = averages.n_expected[dataset]
    unranked = [averages.title(method) for method in methods if method not in contenders]
    without = f" ({', '.join(unranked)}: reconstructed, not ranked)" if unranked else ""
    heading = f"{title}, {n_seeds} seed{'s' if n_seeds > 1 else ''}, the paper's methods{without}:"
    rows = tabulate(table, headers, tablefmt="plain", disable_numparse=True).splitlines()
    return [heading, *(f"  {row.rstrip()}" for row in rows)]
