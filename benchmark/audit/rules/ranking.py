"""Ranking loss, example-AUC and coverage against each other, row by row; it must not look at predictions.

For one test row with k of q labels, 0 < k < q, let r be its ranking loss (ties are full errors), a its AUC
(ties half) and c its coverage (one-based, ties at their worst). Then

    1 - a <= r <= 2 (1 - a)                    r + a = 1 + half the share of tied pairs
    c >= 1 + (q - 1) r                         equality for k = 1; more labels only push it up
    c <= 1 + (q - 1) r + (k - 1) max(1, (q - 1) / 2)

A row without labels has r = c = 0 and a row with all labels r = 0, c = q; AUC skips both. All of it is linear
in r, a and c, so it holds for means over rows and over runs, given the share of the skipped rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.audit.numbers import TOLERANCE, Interval, Key, Seen, Violation


def ranking_loss_and_auc(seen: Seen) -> Iterator[Violation]:
    """Ranking loss lies between (1 - D)(1 - AUC) and twice that; D is the share of skipped rows."""
    skipped = seen.facts.degenerate
    if skipped is None or not seen.has("ranking_loss", "example_auc"):
        return
    loss, auc = seen.mean("ranking_loss"), seen.mean("example_auc")
    printed = [seen.row.means[m] for m in ("ranking_loss", "example_auc")]
    text = f"ranking loss {printed[0].text} is too {{}} for example-AUC {printed[1].text} ({_total(seen)})"
    key: Key = ("ranking loss and example-AUC", ("ranking_loss", "example_auc"), "impossible")
    least, most = (1 - skipped.hi) * (1 - auc.hi), 2 * (1 - skipped.lo) * (1 - auc.lo)
    if loss.hi < least - TOLERANCE:
        yield Violation(*key, text.format("small"), loss.hi, least, _named(skipped))
    elif loss.lo > most + TOLERANCE:
        yield Violation(*key, text.format("large"), loss.lo, most, _named(skipped))


def coverage_and_ranking_loss(seen: Seen) -> Iterator[Violation]:
    """Coverage is at least q RL, at least 1 - E + (q - 1) RL, and at most a bound by the cardinality."""
    if not seen.has("ranking_loss", "coverage"):
        return
    q, empty, cardinality = seen.facts.q, seen.facts.unlabelled, seen.facts.cardinality
    loss, coverage = seen.mean("ranking_loss"), seen.mean("coverage")
    printed = [seen.row.means[m].text for m in ("coverage", "ranking_loss")]
    text = f"coverage {printed[0]} is too {{}} for ranking loss {printed[1]} of {q} labels"
    key: Key = ("coverage and ranking loss", ("coverage", "ranking_loss"), "impossible")
    least, assumption = q * loss.lo, "any share of rows without labels"
    if empty is not None and (sharper := 1 - empty.hi + (q - 1) * loss.lo) > least:
        least, assumption = sharper, f"rows without labels: at most {empty.hi:.1%} in any run"
    if coverage.hi < least - TOLERANCE:
        yield Violation(*key, text.format("small"), coverage.hi, least, f"one-based coverage; {assumption}")
    if empty is None or cardinality is None:
        return
    labelled = 1 - empty.hi
    most = labelled + (q - 1) * loss.hi + max(1.0, (q - 1) / 2) * (cardinality.hi - labelled)
    if coverage.lo > most + TOLERANCE:
        assumption = f"at most {cardinality.hi:.3f} labels per row, {empty.hi:.1%} rows without, in any run"
        yield Violation(*key, text.format("large"), coverage.lo, most, assumption)


def coverage_and_auc(seen: Seen) -> Iterator[Violation]:
    """Coverage is at least (1 - D)(1 + (q - 1)(1 - AUC)), since r >= 1 - a."""
    skipped = seen.facts.degenerate
    if skipped is None or not seen.has("coverage", "example_auc"):
        return
    coverage, auc = seen.mean("coverage"), seen.mean("example_auc")
    least = (1 - skipped.hi) * (1 + (seen.facts.q - 1) * (1 - auc.hi))
    if coverage.hi < least - TOLERANCE:
        printed = [seen.row.means[m].text for m in ("coverage", "example_auc")]
        yield Violation(
            "coverage and example-AUC",
            ("coverage", "example_auc"),
            "impossible",
            f"coverage {printed[0]} is too small for example-AUC {printed[1]} of {seen.facts.q} labels",
            coverage.hi,
            least,
            f"one-based coverage; {_named(skipped)}",
        )


def _total(seen: Seen) -> str:
    numbers = [seen.row.means[m] for m in ("ranking_loss", "example_auc")]
    decimals = min(max(number.decimals for number in numbers), 6)
    return f"sum {sum(number.value for number in numbers):.{decimals}f}"


def _named(skipped: Interval) -> str:
    return f"rows without or with all labels: {skipped.lo:.1%} to {skipped.hi:.1%} in every run"
