"""The committed tables that findings are made of, and what a finding is; it finds nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.run.config import load_profile
from benchmark.studies.beyond.rules import Rules, read_rules

FINDINGS = "benchmark/studies/findings.py"


class OutdatedError(RuntimeError):
    """A sentence that the tables do not bear out."""


def borne_out(is_so: object, sentence: str) -> None:
    """Refuse a sentence that is not so.

    Raises
    ------
    OutdatedError
        Naming it.
    """
    if not is_so:
        raise OutdatedError(f"no longer so: {sentence!r}; write what the tables say now into {FINDINGS}")


@dataclass(frozen=True)
class Sentence:
    """What was found, and where its numbers come from: files, each with the command that makes it."""

    title: str
    text: str
    sources: Sequence[tuple[str, str]]

    def markdown(self) -> str:
        """Return the sentence with its sources."""
        files: dict[str, list[str]] = {}
        for file, command in self.sources:
            files.setdefault(command, []).append(f"[{file}](../{file})")
        sources = "; ".join(f"{', '.join(links)}, `{command}`" for command, links in files.items())
        return f"**{self.title}** {self.text} ({sources})"


class Tables:
    """The committed tables, each read once."""

    def __init__(self, results: Path) -> None:
        self.results = results

    def read(self, name: str) -> pd.DataFrame:
        """Read a table below `results/`."""
        return pd.read_csv(self.results / name, keep_default_na=False, na_values=[""])

    @cached_property
    def rules(self) -> Rules:
        """What is looked at beyond ML2000."""
        return read_rules(self.results / "beyond" / "rules.toml")

    @cached_property
    def titles(self) -> dict[str, str]:
        """Data sets as tables print them, by id."""
        found = self.read("beyond/datasets.csv")
        return dict(zip(found["dataset"], found["title"], strict=True))

    @cached_property
    def means(self) -> Any:
        """Means by data set, method and metric: of the data sets that are whole."""
        found = self.read("beyond/metrics.csv")
        n_seeds = found["dataset"].map({name: int(seeds) for name, seeds in self.rules.seeds.items()})
        lacking = set(found["dataset"][found["n_seeds"] != n_seeds])
        lacking |= {
            name for name, rows in found.groupby("dataset") if set(rows["method"]) != set(self.rules.methods)
        }
        return found[~found["dataset"].isin(lacking)].set_index(["dataset", "method", "metric"])["mean"]

    @property
    def sets(self) -> list[str]:
        """The data sets that are whole, in the order of the rules."""
        return [name for name in self.rules.seeds if name in self.means.index.get_level_values("dataset")]

    @cached_property
    def beyond(self) -> Any:
        """The claims on each data set that is whole, by claim and data set."""
        found = self.read("beyond/claims.csv")
        return found[found["over"].isin(self.sets)].set_index(["id", "over"]).sort_index()

    @cached_property
    def claims(self) -> Any:
        """The claims on ML2000's reference (`ours`) and on the printed numbers (`paper`)."""
        return self.read("reference/paper/ml2000/claims.csv").set_index(["side", "id"])

    @cached_property
    def capped(self) -> list[str]:
        """Those of the data sets that are whole on which the profile trains fewer epochs than printed."""
        profile = load_profile("beyond")
        return [name for name in self.sets if profile.limits_for(name).epochs]

    def epochs(self, method: str) -> tuple[int, int]:
        """Return a method's fewest and most epochs on these data sets, as its jobs were set."""
        jobs = self.read("beyond/jobs.csv")
        own = jobs[(jobs["method"] == method) & jobs["dataset"].isin(self.sets)]
        text = (self.results / "beyond" / "settings.json").read_text(encoding="utf-8")
        settings = json.loads(text)
        found = [settings[name]["options"]["epochs"] for name in own["config_hash"].unique()]
        return min(found), max(found)

    def counts(self, claim: str) -> Any:
        """Return the cells of a claim over all data sets that are whole."""
        found = self.read("beyond/claims.csv")
        widest = next(iter(self.rules.over))
        (row,) = found[(found["id"] == claim) & (found["over"] == widest)].itertuples()
        return row

    def said(self, claim: str) -> str:
        """Say those counts in words, and what differs where each data set is corrected for by itself."""
        n, by_set = self.counts(claim), self.beyond.loc[claim]
        text = (
            f"better mean in {n.better} of {n.cells} cells of {len(self.sets)} data sets, significantly "
            f"better in {n.significantly_better}, significantly worse in {n.significantly_worse}"
        )
        alone = [int(by_set[f"significantly_{how}"].sum()) for how in ("better", "worse")]
        if alone == [n.significantly_better, n.significantly_worse]:
            return text
        return f"{text} (corrected by data set {alone[0]} and {alone[1]})"

    def on_ml2000(self, claim: str) -> str:
        """Say what a claim's cells of ML2000 give."""
        n = self.claims.loc["ours", claim]
        return (
            f"on ML2000's reference better in {n.better:.0f} of {n.cells:.0f}, significantly in "
            f"{n.significantly_better:.0f}"
        )

    def printed(self, claim: str) -> str:
        """Say what the same cells give as printed."""
        n = self.claims.loc["paper", claim]
        return (
            f"as printed better in {n.better:.0f} of {n.cells:.0f}, significantly in "
            f"{n.significantly_better:.0f}"
        )
