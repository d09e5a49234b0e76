"""Hamming loss, F1 and subset accuracy against each other; it must not look at scores.

With h Hamming loss, F micro-F1, S subset accuracy, X example-F1, and densities (labels per row divided by q)
rho of the true and pi of the predicted labels, each single run has

    (1 - S) / q <= h <= 1 - S                  a wrong row has 1 to q errors
    X <= S + (1 - S) (2q - 2) / (2q - 1)       the best wrong row misses one of q labels
    X <= 1 - h q / (2q - 1)                    e errors cost at least e / (2q - 1)
    X >= S - E                                 E: share of rows without labels, whose exact rows count 0
    h = (rho + pi)(1 - F)

The first four are linear and hold for means over runs. From the last follow, with a hit rate
t = h F / (2 (1 - F)): t <= rho, rho - t <= h and t + h <= 1. Multiplied out they hold for means up to
covariances over runs, which the printed standard deviations bound.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.audit.numbers import TOLERANCE, Key, Seen, Violation, level_of


def subset_accuracy_and_hamming(seen: Seen) -> Iterator[Violation]:
    """Wrong rows have at least one and at most q errors each."""
    if not seen.has("subset_accuracy", "hamming_loss"):
        return
    exact, loss, q = seen.mean("subset_accuracy"), seen.mean("hamming_loss"), seen.facts.q
    key: Key = ("subset accuracy and Hamming loss", ("hamming_loss", "subset_accuracy"), "impossible")
    text = "Hamming loss {} is too {} for subset accuracy {} of {} labels"
    printed = [seen.row.means[m].text for m in ("hamming_loss", "subset_accuracy")]
    if loss.hi < (1 - exact.hi) / q - TOLERANCE:
        small = text.format(printed[0], "small", printed[1], q)
        yield Violation(*key, small, loss.hi, (1 - exact.hi) / q, "none")
    elif loss.lo > 1 - exact.lo + TOLERANCE:
        large = text.format(printed[0], "large", printed[1], q)
        yield Violation(*key, large, loss.lo, 1 - exact.lo, "none")


def subset_accuracy_and_f1(seen: Seen) -> Iterator[Violation]:
    """Exact rows with labels have an F1 of 1, wrong rows at most (2q - 2) / (2q - 1)."""
    if not seen.has("subset_accuracy", "example_f1"):
        return
    exact, f1, q = seen.mean("subset_accuracy"), seen.mean("example_f1"), seen.facts.q
    key: Key = ("subset accuracy and example-F1", ("example_f1", "subset_accuracy"), "impossible")
    printed = [seen.row.means[m].text for m in ("example_f1", "subset_accuracy")]
    text = f"example-F1 {printed[0]} is too {{}} for subset accuracy {printed[1]} of {q} labels"
    most = exact.hi + (1 - exact.hi) * (2 * q - 2) / (2 * q - 1)
    empty = seen.facts.unlabelled
    if f1.lo > most + TOLERANCE:
        yield Violation(*key, text.format("large"), f1.lo, most, "none")
    elif empty is not None and f1.hi < exact.lo - empty.hi - TOLERANCE:
        assumption = f"rows without labels: at most {empty.hi:.1%} in any run; their F1 counts 0"
        yield Violation(*key, text.format("small"), f1.hi, exact.lo - empty.hi, assumption)


def hamming_and_example_f1(seen: Seen) -> Iterator[Violation]:
    """Each error costs its row at least 1 / (2q - 1) of F1."""
    if not seen.has("hamming_loss", "example_f1"):
        return
    loss, f1, q = seen.mean("hamming_loss"), seen.mean("example_f1"), seen.facts.q
    most = 1 - loss.lo * q / (2 * q - 1)
    if f1.lo > most + TOLERANCE:
        printed = [seen.row.means[m].text for m in ("example_f1", "hamming_loss")]
        text = f"example-F1 {printed[0]} is too large for Hamming loss {printed[1]} of {q} labels"
        key: Key = ("Hamming loss and example-F1", ("hamming_loss", "example_f1"), "impossible")
        yield Violation(*key, text, f1.lo, most, "none")


def hamming_and_micro_f1(seen: Seen) -> Iterator[Violation]:
    """Hits and errors together fit into the table of labels, and into the known cardinality."""
    if not seen.has("hamming_loss", "micro_f1"):
        return
    loss, f1, q = seen.mean("hamming_loss"), seen.mean("micro_f1"), seen.facts.q
    slack = seen.spread("hamming_loss") * seen.spread("micro_f1")
    printed = [seen.row.means[m].text for m in ("micro_f1", "hamming_loss")]
    key: Key = ("Hamming loss and micro-F1", ("hamming_loss", "micro_f1"), level_of(seen.row))
    text = f"micro-F1 {printed[0]} and Hamming loss {printed[1]} "
    product = "covariances over runs are at most the products of the printed standard deviations"
    # t + h <= 1, times 2 (1 - F): 2h + 2F - hF - 2 <= 0, which grows with h and F.
    excess = 2 * loss.lo + 2 * f1.lo - loss.lo * f1.lo - 2
    if excess > slack + TOLERANCE:
        yield Violation(*key, text + "leave no room for that many hits", excess, slack, product)
    cardinality = seen.facts.cardinality
    if cardinality is None:
        return
    density = (cardinality.lo / q, cardinality.hi / q)
    product = f"{cardinality.lo:.3f} to {cardinality.hi:.3f} labels per row in every run; {product}"
    # t <= rho: h F <= 2 rho (1 - F).
    hits, most = loss.lo * f1.lo, 2 * density[1] * (1 - f1.lo) + slack
    if hits > most + TOLERANCE:
        yield Violation(*key, text + "imply more hits than there are labels", hits, most, product)
    # rho - t <= h: 2 rho (1 - F) <= h (2 - F); linear in F, so that one of its ends is the most favourable.
    ends = [(2 * density[0] * (1 - f), loss.hi * (2 - f) + slack) for f in (f1.lo, f1.hi)]
    missed, most = min(ends, key=lambda end: end[0] - end[1])
    if missed > most + TOLERANCE:
        yield Violation(*key, text + "imply fewer errors than labels missed", missed, most, product)
