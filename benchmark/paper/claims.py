"""The paper's claims against its own numbers and against ours; it touches no file and knows no claim."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from benchmark.contracts import Provenance
from benchmark.inference import ALPHA, Comparison, holm, without_rounding
from benchmark.paper.claim import Claim
from benchmark.paper.comparisons import CannotJudgeError, OurSide, PaperSide, Side
from benchmark.paper.evidence import Evidence
from benchmark.score.metrics import DIRECTIONS

SUPPORTED, PARTLY, NOT_SUPPORTED = "supported", "partly supported", "not supported"
CONTRADICTED, CANNOT = "contradicted", "cannot judge"


@dataclass(frozen=True)
class Outcome:
    """One cell of a claim: favourable is positive, whichever way the metric points."""

    label: str
    dataset: str
    gain: float
    comparison: Comparison | None = None


@dataclass(frozen=True)
class Finding:
    """What one side's numbers say of one claim."""

    id: str
    side: str
    verdict: str
    scope: str
    """Data sets that entered, and their provenance."""
    cells: int = 0
    better: int = 0
    """Cells with the better mean."""
    significantly_better: int = 0
    significantly_worse: int = 0
    numbers: str = ""
    reason: str = ""
    """Why it cannot be judged, or what was left out."""


def check_claims(claims: Sequence[Claim], printed: pd.DataFrame, evidence: Evidence | None) -> pd.DataFrame:
    """Give each claim a verdict on each side that can say something of it.

    A claim is supported if its criterion holds in at least `need` of the cells, partly supported if in at
    least half, contradicted if the opposite is significant in at least half, else not supported. Tests are
    unpaired (Welch) on the paper's printed means and deviations, and paired over our shared splits with the
    Nadeau-Bengio correction on our numbers; Holm's correction is over the cells of one claim on one side.

    Parameters
    ----------
    claims : sequence of Claim
    printed : DataFrame
        As `benchmark.paper.printed.read_cells` returns it.
    evidence : Evidence or None
        None judges the paper's side alone.

    Returns
    -------
    DataFrame
        `section`, `quote` and `reading` of the claim, and the columns of `Finding`.
    """
    rows = []
    for claim in claims:
        sides: list[Side] = [PaperSide(printed)] if "paper" in claim.sides else []
        if evidence is not None and "ours" in claim.sides:
            sides.append(OurSide(evidence))
        rows += [
            {"section": claim.section, "quote": claim.quote, "reading": claim.reading}
            | asdict(_finding(claim, side, evidence))
            for side in sides
        ]
    columns = ["id", "section", "quote", "reading", "side", "verdict", "scope", "cells", "better"]
    columns += ["significantly_better", "significantly_worse", "numbers", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _finding(claim: Claim, side: Side, evidence: Evidence | None) -> Finding:
    datasets, dropped = side.datasets(claim.datasets)
    methods, lost = side.methods(claim.methods)
    rivals, lost_rivals = side.methods(claim.rivals)
    notes = [*dropped, *lost, *lost_rivals]
    outcomes: list[Outcome] = []
    if datasets and methods and (rivals or not claim.rivals):
        usable = replace(claim, methods=methods, rivals=rivals)
        try:
            outcomes = list(_CHECKS[claim.check](usable, side, datasets))
        except CannotJudgeError as error:
            notes.append(str(error))
    if not outcomes:
        return Finding(claim.id, side.name, CANNOT, "", reason="; ".join(notes))
    scope = _scope(datasets, evidence if side.name == "ours" else None)
    return _count(claim, side, outcomes, scope, "; ".join(notes))


def _count(claim: Claim, side: Side, outcomes: Sequence[Outcome], scope: str, notes: str) -> Finding:
    tests = [outcome.comparison for outcome in outcomes]
    adjusted = holm([test.p_value for test in tests if test is not None])
    p_values = iter(adjusted.tolist())
    significant = [test is not None and next(p_values) <= ALPHA for test in tests]
    gains = without_rounding([outcome.gain for outcome in outcomes])
    better = (gains >= 0 if claim.criterion == "mean" else gains > 0).tolist()
    wins = [o.label for o, s, gain in zip(outcomes, significant, gains, strict=True) if s and gain > 0]
    losses = [o.label for o, s, gain in zip(outcomes, significant, gains, strict=True) if s and gain < 0]
    alone = sum(
        gain > 0 and test is not None and test.p_value <= ALPHA
        for gain, test in zip(gains, tests, strict=True)
    )
    holds = sum(better) if claim.criterion == "mean" else len(wins)
    numbers = f"{_what(claim)} in {sum(better)} of {len(outcomes)} cells"
    if any(test is not None for test in tests):
        numbers += (
            f"; significantly better in {_listed(wins)}, before Holm's correction in {alone}; "
            f"significantly worse in {_listed(losses)}"
        )
    if claim.instead_of:
        numbers += "; " + _gap_closed(claim, side, sorted({o.dataset for o in outcomes}))
    return Finding(
        id=claim.id,
        side=side.name,
        verdict=_verdict(claim.need, holds / len(outcomes), len(losses) / len(outcomes)),
        scope=scope,
        cells=len(outcomes),
        better=sum(better),
        significantly_better=len(wins),
        significantly_worse=len(losses),
        numbers=numbers,
        reason=notes,
    )


def _verdict(need: float, holds: float, opposite: float) -> str:
    if holds >= need:
        return SUPPORTED
    if opposite >= 0.5:
        return CONTRADICTED
    return PARTLY if holds >= 0.5 else NOT_SUPPORTED


def _what(claim: Claim) -> str:
    if claim.check == "lowest":
        return "lowest"
    return f"better with {claim.rules[0]}" if claim.rules else "better mean"


def _listed(labels: list[str]) -> str:
    return f"{len(labels)}" + (f" ({', '.join(labels)})" if 0 < len(labels) <= 10 else "")


def _scope(datasets: Sequence[str], evidence: Evidence | None) -> str:
    if evidence is None:
        return ", ".join(datasets)
    features: dict[str, str] = {Provenance.REBUILT: "our", Provenance.LEAKED: "leaked"}
    whose = {name: features.get(evidence.provenance(name)) for name in datasets}
    return ", ".join(f"{name} (on {kind} features)" if kind else name for name, kind in whose.items())


def _gap_closed(claim: Claim, side: Side, datasets: Sequence[str]) -> str:
    """Say how much of the distance from a paper's row to the method its stand-in covers.

    Of metrics in which the method is ahead of the row: elsewhere there is nothing to close.
    """
    texts = []
    for stand_in, row in claim.instead_of.items():
        closed = []
        for dataset in datasets:
            for metric in claim.metrics:
                sign = 1 if DIRECTIONS[metric] == "up" else -1
                try:
                    top, low, stands_in = (
                        sign * side.mean(dataset, name, metric) for name in (claim.methods[0], row, stand_in)
                    )
                except CannotJudgeError:
                    continue
                if without_rounding(top - low) > 0:
                    closed.append((stands_in - low) / (top - low))
        if closed:
            texts.append(
                f"{stand_in} in place of {row} closes {np.median(closed):.0%} of the gap to "
                f"{claim.methods[0]} (median over {len(closed)} metrics)"
            )
    return "; ".join(texts) or "share of the gap closed: cannot judge"


def _differences(claim: Claim, side: Side, datasets: Sequence[str]) -> Iterator[Outcome]:
    for dataset in datasets:
        for metric in claim.metrics:
            sign = 1 if DIRECTIONS[metric] == "up" else -1
            for method in claim.methods:
                for rival in _rivals(claim, side, dataset, metric):
                    comparison = side.compare(dataset, method, rival, metric)
                    label = _label(metric, dataset if len(datasets) > 1 else "", method, rival, claim)
                    yield Outcome(label, dataset, sign * comparison.difference, comparison)


def _rivals(claim: Claim, side: Side, dataset: str, metric: str) -> tuple[str, ...]:
    if claim.versus == "each":
        return claim.rivals
    sign = 1 if DIRECTIONS[metric] == "up" else -1
    means = without_rounding([sign * side.mean(dataset, rival, metric) for rival in claim.rivals])
    return (claim.rivals[int(means.argmax())],)


def _label(metric: str, dataset: str, method: str, rival: str, claim: Claim) -> str:
    parts = [metric, f"on {dataset}" if dataset else "", method if len(claim.methods) > 1 else ""]
    if len(claim.rivals) > 1:
        parts.append(f"against {rival}")
    return " ".join(filter(None, parts))


def _lowest(claim: Claim, side: Side, datasets: Sequence[str]) -> Iterator[Outcome]:
    others = [dataset for dataset in datasets if dataset != claim.target]
    if claim.target not in datasets or not others:
        raise CannotJudgeError(f"needs comparable numbers of {claim.target} and of another data set")
    for metric in claim.metrics:
        for method in claim.methods:
            least = min(side.mean(dataset, method, metric) for dataset in others)
            label = f"{metric} of {method}"
            yield Outcome(label, claim.target, least - side.mean(claim.target, method, metric))


def _rules(claim: Claim, side: Side, datasets: Sequence[str]) -> Iterator[Outcome]:
    if not isinstance(side, OurSide):
        raise CannotJudgeError("the paper prints one rule only")
    for dataset in datasets:
        for metric in claim.metrics:
            comparison = side.compare_rules(dataset, claim.methods[0], metric, claim.rules)
            sign = 1 if DIRECTIONS[metric] == "up" else -1
            yield Outcome(metric, dataset, sign * comparison.difference, comparison)


def _steps(claim: Claim, side: Side, datasets: Sequence[str]) -> Iterator[Outcome]:
    if not isinstance(side, OurSide):
        raise CannotJudgeError("the paper prints no steps")
    for dataset in datasets:
        for metric in claim.metrics:
            comparison = side.compare_steps(dataset, claim.methods[0], metric)
            sign = 1 if DIRECTIONS[metric] == "up" else -1
            yield Outcome(metric, dataset, sign * comparison.difference, comparison)


Check = Callable[[Claim, Side, Sequence[str]], Iterator[Outcome]]
_CHECKS: dict[str, Check] = {"difference": _differences, "lowest": _lowest, "rules": _rules, "steps": _steps}
