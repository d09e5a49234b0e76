"""What was found over other real data sets, as the study of them wrote it; it judges nothing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.paper.claims import CANNOT
from benchmark.paper.ranks import RankTest
from benchmark.run.bench import Bench
from benchmark.untrusted import read_table, read_toml


@dataclass(frozen=True)
class Beyond:
    """Claims judged on each data set and over all of them, and methods ranked over these."""

    wanted: tuple[str, ...]
    """Data sets of the rules."""
    groups: tuple[str, ...]
    """Names of groups of them that are judged as one, the widest first."""
    titles: Mapping[str, str]
    """Of the data sets that were run."""
    claims: pd.DataFrame
    """As `check_claims` returns it, with the column `over`: a data set or a group."""
    ranks: pd.DataFrame
    pairs: pd.DataFrame

    @property
    def judged(self) -> tuple[str, ...]:
        """The data sets of which a claim could be judged."""
        found = set(self.claims.loc[self.claims["verdict"] != CANNOT, "over"])
        return tuple(name for name in self.wanted if name in found)

    def over_all(self) -> pd.DataFrame:
        """Return the claims over the widest group."""
        return self.claims[self.claims["over"] == self.groups[0]]

    def cells(self) -> Mapping[tuple[str, str], Mapping[Hashable, Any]]:
        """Return the row of each claim and scope."""
        return {(row["id"], row["over"]): row for row in self.claims.to_dict("records")}

    def rank_tests(self, rows: str) -> tuple[RankTest, ...]:
        """Return the tests of a group of methods over the widest group of data sets; none if there are none.

        Their chi square is not kept.
        """
        ranks = self.ranks[(self.ranks["rows"] == rows) & (self.ranks["over"] == self.groups[0])]
        pairs = self.pairs[(self.pairs["rows"] == rows) & (self.pairs["over"] == self.groups[0])]
        return tuple(
            _rank_test(str(metric), part, pairs[pairs["metric"] == metric])
            for metric, part in ranks.groupby("metric", sort=False)
        )


def _rank_test(metric: str, ranks: pd.DataFrame, pairs: pd.DataFrame) -> RankTest:
    means = ranks.set_index("method")["mean_rank"]
    p_values = pd.DataFrame(1.0, index=means.index, columns=means.index)
    for first, second, p_holm in zip(pairs["first"], pairs["second"], pairs["p_holm"], strict=True):
        p_values.loc[first, second] = p_values.loc[second, first] = p_holm
    first_row = ranks.iloc[0]
    return RankTest(
        metric=metric,
        n_datasets=int(first_row["n_datasets"]),
        ranks=means,
        chi_square=nan,
        p_value=float(first_row["friedman_p"]),
        critical_difference=float(first_row["critical_difference"]),
        pairwise=p_values,
    )


def counted(cell: Mapping[Hashable, Any]) -> tuple[str, ...]:
    """Return a claim's verdict, the cells with the better mean of all, and how many significantly so."""
    if not cell["cells"]:
        return (str(cell["verdict"]),)
    significant = f"+{cell['significantly_better']} −{cell['significantly_worse']}"
    return cell["verdict"], f"{cell['better']}/{cell['cells']}", significant


def read_beyond(folder: Path) -> Beyond | None:
    """Read the study's tables; None where it has written none.

    Raises
    ------
    ValueError
        If a file cannot be read.
    """
    if not (folder / "claims.csv").is_file():
        return None
    rules = read_toml(folder / "rules.toml")
    claims, ranks, pairs, datasets = (
        read_table(folder / f"{name}.csv", keep_default_na=False, na_values=[""])
        for name in ("claims", "ranks", "pairs", "datasets")
    )
    return Beyond(
        wanted=tuple(entry["id"] for entry in rules["datasets"]),
        groups=tuple(rules["over"]),
        titles=dict(zip(datasets["dataset"], datasets["title"], strict=True)),
        claims=claims,
        ranks=ranks,
        pairs=pairs,
    )


def beyond_beside(bench: Bench, reference: bool) -> Beyond | None:
    """Read the study beside a committed reference of the printed protocol; nothing beside other numbers."""
    return read_beyond(bench.results_dir / "beyond") if _stands_beside(bench, reference) else None


def learned_beside(bench: Bench, reference: bool) -> Sequence[tuple[str, str]]:
    """Read titles and texts of what was learned, `findings.csv`, beside such a reference; nothing else."""
    path = bench.results_dir / "findings.csv"
    if not (_stands_beside(bench, reference) and path.is_file()):
        return ()
    return tuple(read_table(path)[["title", "text"]].itertuples(index=False, name=None))


def _stands_beside(bench: Bench, reference: bool) -> bool:
    return reference and bench.profile.name == "paper"
