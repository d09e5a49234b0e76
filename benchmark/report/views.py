"""What the page shows beside cells and figures: counts, claims, open choices, runs; it knows no HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import pandas as pd

from benchmark.audit.numbers import Finding
from benchmark.contracts import Factor, MethodSpec, Provenance
from benchmark.paper.beyond import counted
from benchmark.paper.claim import Claim
from benchmark.paper.ranks import RankTest
from benchmark.paper.significance_text import pairs_text, too_few
from benchmark.paper.text import MARKS
from benchmark.report.cells import KINDS, METRIC_IDS, Cells, TableView
from benchmark.report.gather import Material
from benchmark.report.words import anchor, rerun
from benchmark.run.factors import OpenChoices
from benchmark.run.progress import duration
from benchmark.tables import captions, names
from benchmark.tables.resources import core_seconds


@dataclass(frozen=True)
class Count:
    """How many distinct cells have a verdict."""

    verdict: str
    sign: str
    kind: str
    n: int


@dataclass(frozen=True)
class ClaimView:
    """A sentence of the paper, what either side's numbers say of it, and the cells behind it."""

    claim: Claim
    sides: tuple[tuple[str, str, str, str], ...]
    """Whose numbers, verdict, what was counted, what was left out."""
    cells: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """Method on data set, and its metrics with the anchors of their cells."""

    @property
    def id(self) -> str:
        """Its anchor."""
        return anchor("claim", self.claim.id)


@dataclass(frozen=True)
class RankedView:
    """Some methods' average ranks over data sets."""

    rows: str
    """Which methods, in words."""
    methods: tuple[str, ...]
    metrics: tuple[tuple[RankTest, str, str], ...]
    """Each test, the pairs of methods further apart than the critical difference, and those told apart."""
    too_few: str
    """Why none can be told apart; empty where some can."""


@dataclass(frozen=True)
class BeyondView:
    """What was found over other real data sets."""

    headings: tuple[str, ...]
    """The data sets that could be judged, and all of them together."""
    n_wanted: int
    claims: tuple[tuple[Claim, tuple[tuple[str, ...], ...]], ...]
    """For each heading the verdict, and what was counted, in lines."""
    ranked: tuple[RankedView, ...]


@dataclass(frozen=True)
class Choice:
    """One answer to what a paper leaves open."""

    factor: Factor
    default: Any
    effect: str
    elsewhere: tuple[tuple[str, Any], ...]
    """Rows of the tables with another level."""


@dataclass(frozen=True)
class Choices:
    """All of them that an estimator declares."""

    estimator: str
    methods: tuple[MethodSpec, ...]
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class RowView:
    """One method on one data set: what made its numbers."""

    dataset: str
    method: str
    note: str
    jobs: str
    seconds: str
    mib: str
    settings: Mapping[str, Mapping[str, Any]]
    """By configuration hash."""
    digests: tuple[tuple[int, str], ...]
    data_hash: str
    rerun: str

    @property
    def id(self) -> str:
        """Its anchor."""
        return anchor("row", self.dataset, self.method)


def counts(material: Material) -> list[Count]:
    """Return the verdicts of the distinct printed cells, as `Totals` counts them."""
    if material.totals is None:
        return []
    return [Count(name, MARKS[name], KINDS[name], n) for name, n in material.totals.counts.items() if n]


def ran(material: Material) -> list[str]:
    """Say in words what ran, for how long, and on what."""
    resources = material.results.resources
    shown = material.evidence.as_printed
    jobs = shown[["dataset", "method", "seed"]].drop_duplicates()
    parts = [
        f"{_some(len(jobs), 'job')}: {_some(shown['method'].nunique(), 'method')} on "
        f"{_some(shown['dataset'].nunique(), 'data set')}, {_some(shown['seed'].nunique(), 'seed')}, "
        f"profile {material.results.profile}"
    ]
    if len(resources):
        parts.append(f"{duration(float(core_seconds(resources).sum()))} of one core")
    for one in material.results.ran_in():
        libraries = one.get("libraries", {})
        versions = ", ".join(f"{name} {libraries[name]}" for name in ("torch", "numpy") if name in libraries)
        where = " ".join(str(one.get(name, "")) for name in ("system", "machine", "cpu_capability"))
        parts.append(
            f"{one['jobs']} jobs on {one.get('device', '?')} ({where}), Python {one['python']}, {versions}"
        )
    return parts


def _some(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def tables(material: Material, cells: Cells) -> list[TableView]:
    """Return Table II by data set, Table III, and a table of each data set that is not the paper's."""
    results, shown = material.results, material.evidence.as_printed
    n_expected = {str(name): part["seed"].nunique() for name, part in shown.groupby("dataset")}
    caption = captions.join(
        captions.seeds_sentence(n_expected, tuple(n_expected)),
        captions.profile_sentence(results),
        captions.threshold_sentence(shown),
        captions.scoring_sentence(shown),
        captions.BOLD_SENTENCE,
    )
    made = [cells.table("II", name, names.TABLE2_METHODS, caption) for name in names.TABLE2_DATASETS]
    made.append(cells.table("III", names.TABLE3_DATASET, names.TABLE3_METHODS, caption))
    own = [one.id for one in results.datasets if not one.in_paper and one.id in n_expected]
    made += [cells.table("D", name, names.TABLE2_METHODS, caption) for name in own]
    # Those that have evidence come first, those that only the paper has numbers of last.
    return sorted(made, key=lambda one: (one.dataset not in material.in_detail, not one.provenance))


def claims(material: Material, cells: Cells) -> list[ClaimView]:
    """Return the paper's claims with the cells of ours that each rests on."""
    if material.claims.empty:
        return []
    anchors = {(view.dataset, view.method, view.metric): view.id for view in cells.opened}
    views = []
    for claim in material.statements.values():
        found = material.claims[material.claims["id"] == claim.id].fillna("").to_dict("records")
        sides = tuple((row["side"], row["verdict"], row["numbers"], row["reason"]) for row in found)
        behind = []
        for dataset in claim.datasets:
            for method in dict.fromkeys((*claim.methods, *claim.rivals)):
                cited = tuple(
                    (metric, anchors[dataset, method, metric])
                    for metric in METRIC_IDS
                    if metric in claim.metrics and (dataset, method, metric) in anchors
                )
                if cited:
                    where = f"{names.method_title(method)} on {names.dataset_title(dataset)}"
                    behind.append((where, cited))
        views.append(ClaimView(claim, sides, tuple(behind)))
    return views


def beyond(material: Material) -> BeyondView | None:
    """Return claims by data set, and ranks over all; None where nothing could be judged."""
    found = material.beyond
    if found is None or not found.judged:
        return None
    cells, scopes = found.cells(), (*found.judged, found.groups[0])
    judged = tuple(
        (material.statements[name], tuple(counted(cells[name, scope]) for scope in scopes))
        for name in dict.fromkeys(found.claims["id"])
    )
    tests = {rows: found.rank_tests(rows) for rows in dict.fromkeys(found.ranks["rows"])}
    ranked = (_ranked(rows, of_rows) for rows, of_rows in tests.items() if of_rows)
    together = found.groups[0] if len(found.judged) == len(found.wanted) else "all so far"
    headings = (*(found.titles[name] for name in found.judged), together)
    return BeyondView(headings, len(found.wanted), judged, tuple(ranked))


def _ranked(rows: str, tests: Sequence[RankTest]) -> RankedView:
    apart = ((test, pairs_text(test.far_apart()), pairs_text(test.told_apart())) for test in tests)
    return RankedView(rows, tuple(tests[0].ranks.index), tuple(apart), too_few(tests[0]))


def findings(material: Material) -> list[tuple[Finding, str]]:
    """Return each finding of the audit once, with the tables that print its numbers."""
    tables: dict[tuple[str, ...], list[Finding]] = {}
    for one in material.audit.findings:
        tables.setdefault((one.level, one.dataset, one.method, one.statement), []).append(one)
    return [(same[0], " and ".join(one.table for one in same)) for same in tables.values()]


def marked(material: Material) -> list[tuple[str, str]]:
    """Return the marks that stand beside our numbers, and what each means."""
    evidence = material.evidence
    found = [Provenance(evidence.provenance(dataset)) for dataset in material.datasets]
    marks = [(names.PROVENANCE_MARKS[one], str(one)) for one in dict.fromkeys(found)]
    if evidence.reconstructed:
        marks.append((names.RECONSTRUCTED_MARK, "reconstructed method"))
    return [(mark, text) for mark, text in marks if mark]


def choices(material: Material) -> list[Choices]:
    """Return what each estimator declares to be open, with the measured effects of single changes."""
    effects = _strongest_effects(material.ranking)
    return [
        Choices(
            found.estimator, found.methods, tuple(_choice(factor, found, effects) for factor in found.factors)
        )
        for found in material.choices
    ]


def _choice(factor: Factor, found: OpenChoices, effects: Mapping[str, str]) -> Choice:
    default = found.defaults[factor.name]
    elsewhere = tuple(
        (spec.id, spec.options[factor.name])
        for spec in found.methods
        if spec.options.get(factor.name, default) != default
    )
    effect = effects.get(factor.name, "") if found.estimator == "M3LA" else ""
    return Choice(factor, default, effect, elsewhere)


def _strongest_effects(ranking: pd.DataFrame) -> dict[str, str]:
    """Return by factor its strongest effect, in printed standard deviations."""
    if ranking.empty:
        return {}
    return {
        str(
            row["factor"]
        ): f"{row['effect']:+.1f} printed deviations of {names.METRIC_TITLES[row['metric']]} "
        f"with {row['level']} ({row['effect_low']:+.1f} to {row['effect_high']:+.1f})"
        for row in ranking.to_dict("records")
        if not isnan(row["effect"])
    }


def rows(material: Material) -> list[RowView]:
    """Return every method on every data set with numbers: its note, settings and digests."""
    shown, specs = material.evidence.as_printed, {spec.id: spec for spec in material.results.methods}
    views = []
    for (dataset, method), part in shown.groupby(["dataset", "method"], sort=False):
        seeds = part.drop_duplicates("seed").sort_values("seed")
        done = seeds[seeds["status"] == "done"]
        jobs = material.results.resources
        if len(jobs):
            jobs = jobs[(jobs["dataset"] == dataset) & (jobs["method"] == method)]
        hashes = dict.fromkeys(seeds["config_hash"])
        known = material.settings.get(str(method), {})
        views.append(
            RowView(
                dataset=str(dataset),
                method=str(method),
                note=specs[str(method)].note if method in specs else "",
                jobs=f"{len(done)} of {len(seeds)}",
                seconds=duration(float(core_seconds(jobs).mean())) if len(jobs) else "",
                mib=f"{jobs['peak_mib'].max():.0f}" if "peak_mib" in jobs and len(jobs) else "",
                settings={name: known[name] for name in hashes if name in known},
                digests=tuple(zip(done["seed"].astype(int), done["score_digest"].astype(str), strict=True)),
                data_hash=", ".join(dict.fromkeys(seeds["data_hash"].astype(str))),
                rerun=rerun(str(dataset), str(method), material.evidence.seeds, material.results.profile),
            )
        )
    return views
