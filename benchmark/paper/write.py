"""Writes what `compare` and `significance` found; it decides nothing."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.files import write_bytes, write_text
from benchmark.paper.compare import Judgement
from benchmark.paper.ranks import RankTest
from benchmark.paper.significance import Significance
from benchmark.paper.significance_text import significance_text
from benchmark.paper.text import claims_text, verdicts_text
from benchmark.paper.undecided_text import undecided_text
from benchmark.tables import names

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_judgement(judgement: Judgement, folder: Path) -> None:
    """Write `verdicts`, `claims` and `undecided` as Markdown and CSV."""
    source = judgement.evidence.source
    texts = {
        "verdicts.md": verdicts_text(judgement.verdicts, judgement.totals, source),
        "claims.md": claims_text(judgement.claims, source),
        # Six significant digits: the last bits of a p-value differ between machines.
        "verdicts.csv": judgement.verdicts.to_csv(index=False, lineterminator="\n", float_format="%.6g"),
        "claims.csv": judgement.claims.to_csv(index=False, lineterminator="\n"),
        "undecided.md": undecided_text(judgement.undecided, source),
        "undecided.csv": judgement.undecided.to_csv(index=False, lineterminator="\n", float_format="%.6g"),
    }
    _write(folder, texts)


def write_significance(found: Significance, folder: Path) -> list[str]:
    """Write `significance` as Markdown and CSV, and a diagram per metric where there are ranks.

    Returns
    -------
    list of str
        Names of the files.
    """
    texts = {
        "significance.md": significance_text(found),
        "significance.csv": found.frame.to_csv(index=False, lineterminator="\n", float_format="%.6g"),
    }
    _write(folder, texts)
    diagrams = {f"critical_difference_{test.metric}.svg": test for test in found.rank_tests}
    for name, test in diagrams.items():
        draw_ranks(test, folder / name)
    return [*texts, *diagrams]


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        write_text(folder / name, text)


def draw_ranks(test: RankTest, path: Path) -> None:
    """Write the critical-difference diagram of one metric as SVG."""
    import matplotlib

    figure = ranks_figure(test)
    drawn = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": test.metric}):  # the same numbers give the same file
        figure.savefig(drawn, format="svg", bbox_inches="tight", metadata={"Date": None})
    write_bytes(path, drawn.getvalue())


def ranks_figure(test: RankTest) -> Figure:
    """Draw the critical-difference diagram of one metric; bars join methods not `RankTest.apart`."""
    import scikit_posthocs  # slow to import, and only ranks are drawn
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.4 * len(test.ranks) + 1.2))  # not pyplot: it would choose a display
    axes = figure.subplots()
    ranks = test.ranks.rename(names.method_title)
    joined = (~test.apart).astype(float).rename(index=names.method_title, columns=names.method_title)
    drawn = scikit_posthocs.critical_difference_diagram(
        ranks,
        joined,
        ax=axes,
        label_fmt_left="{label} ({rank:.2f})",
        label_fmt_right="({rank:.2f}) {label}",
    )
    for (bar,) in drawn["crossbars"]:
        bar.set_xdata(sorted(bar.get_xdata()))  # it goes through a set of methods, in another order each time
    axes.set_title(f"{names.METRIC_TITLES[test.metric]}, {test.n_datasets} data sets")
    return figure
