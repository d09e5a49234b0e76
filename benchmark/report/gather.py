"""Gathers what the page shows, of records or of committed references; it lays nothing out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.audit.gather import facts_of, one_frame, paper_tables
from benchmark.audit.judge import Report as Audit
from benchmark.audit.judge import audit
from benchmark.contracts import Dataset, Provenance
from benchmark.paper.beyond import Beyond, beyond_beside, learned_beside
from benchmark.paper.claim import Claim, parse_claims
from benchmark.paper.compare import judge_all
from benchmark.paper.evidence import Evidence, as_one
from benchmark.paper.gather import Gathered, gather_records, gather_references
from benchmark.paper.printed import Paper, read_paper
from benchmark.paper.significance import Significance, compare_methods
from benchmark.paper.verdicts import Totals, totals
from benchmark.registry import Selection
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError
from benchmark.run.factors import OpenChoices, collect_factors
from benchmark.tables.accepted import read_references
from benchmark.tables.reference import (
    distinct_settings,
    read_settings,
)
from benchmark.tables.results import Results

ABLATION = Path(__file__).resolve().parents[2] / "results" / "ablate"
"""What the study of the open choices found, by `run_all.py ablate`."""


@dataclass(frozen=True)
class Material:
    """All that the page is made of."""

    reference: bool
    """Whether the numbers are committed references, not records."""
    source: str
    """Where they are from, in words."""
    results: Results
    evidence: Evidence
    paper: Paper
    verdicts: pd.DataFrame
    """As `benchmark.paper.verdicts.judge` returns it; empty where no data set is the paper's."""
    totals: Totals | None
    claims: pd.DataFrame
    """As `benchmark.paper.claims.check_claims` returns it."""
    statements: Mapping[str, Claim]
    """The claims themselves, by id."""
    significance: Significance | None
    why_no_significance: str
    audit: Audit
    """Of the paper's own tables."""
    choices: tuple[OpenChoices, ...]
    """What papers leave open, by estimator."""
    effects: pd.DataFrame
    """Of single changes to M3LA, `results/ablate/effects.csv`, those of its stage `screening`."""
    ranking: pd.DataFrame
    settings: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """By method and configuration hash."""
    datasets: Mapping[str, Dataset]
    """Data sets with numbers, loaded."""
    beyond: Beyond | None
    """What was found over other real data sets; only beside a reference of the printed protocol."""
    learned: Sequence[tuple[str, str]]
    """Titles and texts of what was learned; as `beyond`."""
    problems: tuple[str, ...]
    """What was there and could not be used."""

    @property
    def in_detail(self) -> tuple[str, ...]:
        """The data sets whose numbers have figures and open: no look-alike, unless there is nothing else."""
        present = self.results.as_printed[["dataset", "provenance"]].drop_duplicates()
        real = present[present["provenance"] != Provenance.LOOK_ALIKE]
        return tuple((real if len(real) else present)["dataset"].unique())


def gather(bench: Bench, reference: bool, *, everything: bool = False) -> Material:
    """Read the current records of the chosen data sets and methods, or the committed references.

    With `everything` also records of the paper's that were not chosen, as the tables of a run do.

    Raises
    ------
    ConfigError
        If there is nothing to show, or a reference cannot be used.
    """
    if everything:
        bench = _with_all_recorded(bench)
    parts = gather_references(bench) if reference else [gather_records(bench)]
    evidence, paper = as_one([part.evidence for part in parts]), read_paper()
    verdicts, claims = _judged(evidence, paper)
    significance, why = _compared(evidence, bench)
    present = list(dict.fromkeys(evidence.as_printed["dataset"]))
    return Material(
        reference=reference,
        source=evidence.source,
        results=parts[0].results or read_references(bench),
        evidence=evidence,
        paper=paper,
        verdicts=verdicts,
        totals=totals(verdicts) if len(verdicts) else None,
        claims=claims,
        statements={claim.id: claim for claim in parse_claims(paper.claims)},
        significance=significance,
        why_no_significance=why,
        audit=_audited_paper(bench),
        choices=collect_factors(bench.registry.methods.values()),
        effects=_screening("effects.csv"),
        ranking=_screening("ranking.csv"),
        settings=_settings(parts),
        datasets={name: bench.registry.datasets[name].load(bench.data_dir) for name in present},
        beyond=beyond_beside(bench, reference),
        learned=learned_beside(bench, reference),
        problems=evidence.messages,
    )


def _with_all_recorded(bench: Bench) -> Bench:
    """Choose all methods, and beside the chosen data sets those of the paper of which there are records."""
    recorded = (dataset for dataset, _ in bench.recorded_pairs(everything=True))
    datasets = tuple(dict.fromkeys((*bench.datasets.ids, *recorded)))
    return replace(
        bench,
        datasets=Selection(datasets, bench.datasets.named),
        methods=Selection(tuple(bench.registry.methods)),
    )


def _judged(evidence: Evidence, paper: Paper) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return verdicts and claims; none where the paper prints nothing of these data sets."""
    if not paper.cells["dataset"].isin(evidence.datasets).any():
        return pd.DataFrame(), pd.DataFrame()
    (judgement,) = judge_all([evidence], paper)
    return judgement.verdicts, judgement.claims


def _compared(evidence: Evidence, bench: Bench) -> tuple[Significance | None, str]:
    """Compare the methods with each other, or say why that cannot be."""
    try:
        found = compare_methods(evidence, bench.methods)
    except ConfigError as error:
        return None, str(error).removeprefix("cannot judge: ")
    return found, found.why_no_ranks


def _audited_paper(bench: Bench) -> Audit:
    """Audit the paper's tables, as far as their data sets are registered."""
    hard = [spec.id for spec in bench.registry.methods.values() if spec.scoring == "hard"]
    known = [
        replace(table, frame=table.frame[table.frame["dataset"].isin(bench.registry.datasets)])
        for table in paper_tables(hard)
    ]
    tables = [table for table in known if len(table.frame)]
    if not tables:
        return Audit((), pd.DataFrame(), ())
    return audit(one_frame(tables), facts_of(tables, bench.registry, bench.data_dir))


def _settings(parts: Sequence[Gathered]) -> dict[str, dict[str, Mapping[str, Any]]]:
    if parts[0].records is not None:
        return distinct_settings(parts[0].records)
    settings: dict[str, dict[str, Mapping[str, Any]]] = {}
    for part in parts:
        for method, by_hash in read_settings(part.folder).items():
            settings.setdefault(method, {}).update(by_hash)
    return settings


def _screening(name: str) -> pd.DataFrame:
    """Return what the study found of single changes; empty where it is not there."""
    if not (ABLATION / name).is_file():
        return pd.DataFrame()
    frame = pd.read_csv(ABLATION / name, keep_default_na=True)
    return frame[frame["stage"] == "screening"].drop(columns="stage").reset_index(drop=True)
