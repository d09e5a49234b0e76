"""Every cell of the page's tables: ours, printed, the verdict and what it rests on; it knows no HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite, isnan, log10
from typing import Any

import pandas as pd

from benchmark.audit.numbers import Finding
from benchmark.contracts import Provenance
from benchmark.paper.text import MARKS, p_text
from benchmark.paper.verdicts import (
    BETTER,
    LEAKED,
    NOT_COMPARABLE,
    REBUILT,
    REPRODUCED,
    UNDECIDED,
    WORSE,
)
from benchmark.report.gather import Material
from benchmark.report.words import anchor, command, rerun
from benchmark.score.metrics import METRICS
from benchmark.tables import names
from benchmark.tables.cells import Averages, Footnotes
from benchmark.tables.layout import Cell

KINDS = {
    REPRODUCED: "reproduced",
    REBUILT: "reproduced",
    LEAKED: "reproduced",
    BETTER: "better",
    WORSE: "worse",
    UNDECIDED: "undecided",
    NOT_COMPARABLE: "incomparable",
}
"""Classes of verdicts, by which a cell is coloured."""
FAMILIES = {
    "AUC": ("macro_auc", "micro_auc", "example_auc"),
    "F1": ("macro_f1", "micro_f1", "example_f1"),
    "ranking": ("ranking_loss", "coverage"),
    "exactness": ("hamming_loss", "subset_accuracy"),
}
FAMILY = {metric: family for family, metrics in FAMILIES.items() for metric in metrics}
METRIC_IDS = tuple(metric.id for metric in METRICS)


@dataclass(frozen=True)
class Seed:
    """One dot."""

    seed: int
    value: str
    status: str
    digest: str


@dataclass(frozen=True)
class View:
    """One cell as the page shows it; texts are plain."""

    dataset: str
    method: str
    metric: str
    ours: str = ""
    bold: bool = False
    value: float | None = None
    """By which its column is sorted."""
    mark: str = ""
    """Of the provenance."""
    printed: str = ""
    printed_bold: bool = False
    verdict: str = ""
    sign: str = ""
    kind: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    seeds: tuple[Seed, ...] = ()
    claims: tuple[Mapping[str, Any], ...] = ()
    findings: tuple[str, ...] = ()
    rerun: str = ""
    trace: str = ""
    in_detail: bool = True
    """Whether its data set is one that is shown in detail."""

    @property
    def id(self) -> str:
        """The cell's anchor; Table III's repeated cells share it."""
        return anchor("cell", self.dataset, self.method, self.metric)

    @property
    def opens(self) -> bool:
        """Whether there is more to say of it than the table does."""
        return bool((self.seeds and self.in_detail) or self.findings)


@dataclass(frozen=True)
class TableView:
    """One data set's rows of a table."""

    number: str
    dataset: str
    title: str
    provenance: str
    caption: str
    rows: tuple[tuple[str, tuple[View, ...]], ...]
    """The paper's: method and cells in the order of `METRIC_IDS`."""
    below_rule: tuple[tuple[str, tuple[View, ...]], ...]
    notes: tuple[str, ...]

    @property
    def id(self) -> str:
        """Its anchor."""
        return anchor("table", self.number, self.dataset)


class Cells:
    """Makes the views of all cells of a page, each once.

    Parameters
    ----------
    material : Material
    """

    def __init__(self, material: Material) -> None:
        self._material = material
        self._evidence = material.evidence
        self._averages = Averages(material.results, material.results.as_printed)
        self._in_detail = frozenset(material.in_detail)
        self._made: dict[tuple[str, str, str], View] = {}
        self._findings = _by_cell(material.audit.findings)

    @property
    def opened(self) -> tuple[View, ...]:
        """Those made so far that open."""
        return tuple(view for view in self._made.values() if view.opens)

    def table(self, number: str, dataset: str, paper_rows: Sequence[str], caption: str) -> TableView:
        """Make the rows of one data set; rows with neither our nor a printed number are left out."""
        listed = [spec.id for spec in self._material.results.methods]
        elsewhere = {"II": names.PAPER_METHODS, "III": frozenset(listed)}.get(number, frozenset())
        methods = names.in_paper_order(paper_rows, (name for name in listed if name not in elsewhere))
        ours = self._evidence.as_printed
        ran = set(ours.loc[ours["dataset"] == dataset, "method"])
        contenders = [name for name in paper_rows if name not in self._averages.reconstructed]
        notes = Footnotes()
        columns = {
            metric: self._averages.column(
                dataset, metric, [name for name in methods if name in ran], contenders, notes
            )
            for metric in METRIC_IDS
        }
        rows = {
            method: tuple(
                self._view(dataset, method, metric, columns[metric].get(method)) for metric in METRIC_IDS
            )
            for method in methods
        }
        shown = {name: cells for name, cells in rows.items() if any(c.seeds or c.printed for c in cells)}
        in_paper = {spec.id for spec in self._material.results.methods if spec.in_paper} | names.PAPER_METHODS
        provenance = self._evidence.provenance(dataset)
        return TableView(
            number=number,
            dataset=dataset,
            title=next((one.title for one in self._material.results.datasets if one.id == dataset), dataset),
            provenance=provenance,
            caption=caption,
            rows=tuple(item for item in shown.items() if item[0] in in_paper),
            below_rule=tuple(item for item in shown.items() if item[0] not in in_paper),
            notes=notes.lines(),
        )

    def _view(self, dataset: str, method: str, metric: str, cell: Cell | None) -> View:
        key = dataset, method, metric
        if key not in self._made:
            self._made[key] = self._make(*key, cell)
        # What is best of one table may not be of another.
        return replace(self._made[key], bold=bool(cell and cell.bold))

    def _make(self, dataset: str, method: str, metric: str, cell: Cell | None) -> View:
        key = dataset, method, metric
        rows = self._evidence.cell(*key)
        mean, _, _ = self._evidence.shown(*key)
        verdict = self._verdicts.get(key, {})
        name = verdict.get("verdict", "") if len(rows) else ""
        provenance = self._evidence.provenance(dataset)
        printed = self._printed.get(key)
        return View(
            *key,
            ours=cell.text if cell else "",
            value=mean if isfinite(mean) else None,
            mark=names.PROVENANCE_MARKS[Provenance(provenance)] if len(rows) else "",
            printed=_as_printed(printed) if printed else "",
            printed_bold=bool(printed and printed["bold"]),
            verdict=name,
            sign=MARKS.get(name, ""),
            kind=KINDS.get(name, ""),
            facts=self._facts(verdict, rows) if len(rows) else (),
            seeds=_seeds(rows),
            claims=self._claims_on(*key) if len(rows) else (),
            findings=self._findings.get(key, ()),
            rerun=rerun(dataset, method, self._evidence.seeds, self._material.results.profile),
            trace=self._trace(*key),
            in_detail=dataset in self._in_detail,
        )

    @cached_property
    def _verdicts(self) -> dict[tuple[str, str, str], dict[Any, Any]]:
        verdicts = self._material.verdicts
        if verdicts.empty:
            return {}
        return _by_key(verdicts)

    @cached_property
    def _ours(self) -> dict[str, str]:
        """The verdict on each claim by our own numbers."""
        claims = self._material.claims
        ours = claims[claims["side"] == "ours"]
        return dict(zip(ours["id"], ours["verdict"], strict=True))

    @cached_property
    def _printed(self) -> dict[tuple[str, str, str], dict[Any, Any]]:
        return _by_key(self._material.paper.cells)

    def _facts(self, verdict: Mapping[str, Any], rows: pd.DataFrame) -> tuple[tuple[str, str], ...]:
        """Return what the verdict rests on, and how the method was read."""
        first = rows.iloc[0]
        read = f"{first['scoring']} scores; thresholds: {names.rule_title(first['threshold'])}"
        facts = [("read with", read)]
        if not verdict:
            return tuple(facts)
        if reason := verdict["reason"]:
            return (*facts, ("not comparable", reason))
        p_values = (verdict["p_equivalence"], verdict["p_difference"], verdict["p_holm"])
        equivalence, difference, holm = map(p_text, p_values)
        facts += [
            ("ours − printed", f"{verdict['difference']:+.4f}"),
            ("90 % interval", f"{verdict['low']:+.4f} to {verdict['high']:+.4f}"),
            ("margin of equivalence", f"±{verdict['margin']:g}"),
            ("equivalence (two one-sided Welch tests)", f"p = {equivalence}"),
            ("difference (Welch)", f"p = {difference}, after Holm {holm}"),
            ("power if there were no difference", f"{verdict['power_at_zero']:.2f}"),
        ]
        needed = verdict["seeds_needed"]
        if needed:
            facts.append(("our seeds that would decide it", str(needed)))
        return tuple(facts)

    def _claims_on(self, dataset: str, method: str, metric: str) -> tuple[Mapping[str, Any], ...]:
        if self._material.claims.empty:
            return ()
        return tuple(
            {"id": anchor("claim", claim.id), "quote": claim.quote, "verdict": self._ours.get(claim.id, "")}
            for claim in self._material.statements.values()
            if dataset in claim.datasets
            and metric in claim.metrics
            and method in (*claim.methods, *claim.rivals)
        )

    def _trace(self, dataset: str, method: str, metric: str) -> str:
        reference = ("--reference",) if self._material.reference else ()
        profile = ("--profile", self._material.results.profile)
        return command("explain", method, dataset, metric, *profile, *reference)


def _seeds(rows: pd.DataFrame) -> tuple[Seed, ...]:
    columns = (rows[name] for name in ("seed", "value", "status", "score_digest"))
    return tuple(
        Seed(
            int(seed),
            "undefined" if isnan(value) else f"{value:.4f}",
            status,
            str(digest)[:12] if status == "done" else "",
        )
        for seed, value, status, digest in sorted(zip(*columns, strict=True), key=lambda row: row[0])
    )


def _by_key(cells: pd.DataFrame) -> dict[tuple[str, str, str], dict[Any, Any]]:
    """Return the rows of a frame of printed cells, each distinct one once."""
    rows = cells[~cells["repeats"]].to_dict("records")
    return {(row["dataset"], row["method"], row["metric"]): row for row in rows}


def _as_printed(cell: Mapping[str, Any]) -> str:
    """Return a printed cell with as many digits as the paper gives its mean."""
    return f"{cell['mean']:.{round(-log10(cell['unit']))}f}±{cell['std']:.3f}"


def _by_cell(findings: Iterable[Finding]) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """Return what the audit says of each printed cell."""
    found: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for finding in findings:
        text = f"{finding.level}: {finding.statement}"
        for metric in finding.metrics:
            key = (finding.dataset, finding.method, metric)
            found[key] = tuple(dict.fromkeys((*found.get(key, ()), text)))
    return found
