"""What the label predictions and the F1 weights do to each row of a batch, compiled for a CPU.

As `m3la.fast.row_kernels`. The equations are `m3la.reference.log_probabilities` and `m3la.cost.cost_weights`.
"""

from __future__ import annotations

import math

import numpy as np

from benchmark.contracts import Array
from benchmark.learning.compiled import compiled, inlined


@compiled
def label_scores(log_p: Array, p: Array, c: Array, t: int) -> None:
    """Replace logits of step t (n, m, B, q) by log p, and write p and c = 1 - p, for a softmax over labels.

    c is at least the smallest normal number; see `m3la.reference.log_probabilities`.
    """
    for i in range(len(p)):
        for b in range(p.shape[2]):
            _log_softmax(log_p[i, t, b], p[i, t, b], c[i, t, b])


@inlined
def _log_softmax(z: Array, p: Array, c: Array) -> None:
    """Replace logits by log p, and write p and c = 1 - p, of p > 1/2 as the sum of the others."""
    half, zero, one = z.dtype.type(0.5), z.dtype.type(0), z.dtype.type(1)
    smallest = np.finfo(z.dtype).tiny
    largest = z[0]
    for j in range(1, len(z)):
        largest = max(largest, z[j])
    total = zero
    for j in range(len(z)):
        z[j] -= largest
        p[j] = math.exp(z[j])
        total += p[j]
    log_total = z.dtype.type(math.log(total))
    others = zero
    for j in range(len(z)):
        z[j] -= log_total
        p[j] /= total
        others += zero if p[j] > half else p[j]
    for j in range(len(z)):
        complement = others if p[j] > half else one - p[j]
        c[j] = smallest if complement < smallest else complement  # `max` would hide what is not a number


@compiled
def label_scores_backward(
    grad_p: Array, grad_c: Array, p: Array, c: Array, grad_fed_back: Array, grad: Array, t: int
) -> None:
    """Write dL/dz of step t to `grad` (n, m, B, q), from those of log p and log c.

    `grad_fed_back` (n, B, q) is that of p from what the step fed back to the next one; B = 0 for nothing.
    """
    for i in range(len(p)):
        for b in range(p.shape[2]):
            dz, row = grad[i, t, b], p[i, t, b]
            _log_softmax_backward(grad_p[i, t, b], grad_c[i, t, b], row, c[i, t, b], dz)
            if b < grad_fed_back.shape[1]:
                fed = grad_fed_back[i, b]
                mean = p.dtype.type(0)
                for j in range(len(row)):
                    mean += row[j] * fed[j]
                for j in range(len(row)):
                    dz[j] += row[j] * (fed[j] - mean)


@inlined
def _log_softmax_backward(grad_p: Array, grad_c: Array, p: Array, c: Array, dz: Array) -> None:
    """dL/dz of one row, see the docstring of `m3la.fast.labels`."""
    half, zero = p.dtype.type(0.5), p.dtype.type(0)
    smallest = np.finfo(p.dtype).tiny
    others = zero
    for j in range(len(p)):
        # Where c underflowed, log c is a constant.
        of_log_c = grad_c[j] if c[j] > smallest else zero
        dz[j] = grad_p[j] - of_log_c * p[j] / c[j]
        others += zero if p[j] > half else dz[j]
    total = others
    for j in range(len(p)):
        total += dz[j] if p[j] > half else zero
    for j in range(len(p)):
        if p[j] > half:  # without the difference of two large numbers
            of_log_c = grad_c[j] if c[j] > smallest else zero
            dz[j] = c[j] * grad_p[j] - of_log_c * p[j] - p[j] * others
        else:
            dz[j] -= p[j] * total


@compiled
def f1_weights(labels: Array, predictions: Array, weights: Array) -> None:
    """Equation (18) with F1, see `m3la.cost`: labels (n, 1, B, q), the rest (n, steps, B, q)."""
    n, steps, B, q = predictions.shape
    zero, one = weights.dtype.type(0), weights.dtype.type(1)
    for i in range(n):
        for b in range(B):
            y = labels[i, 0, b]
            n_true = zero
            for j in range(q):
                n_true += y[j]
            for t in range(steps):
                yh, w = predictions[i, t, b], weights[i, t, b]
                n_predicted, n_hits = zero, zero
                for j in range(q):
                    n_predicted += yh[j]
                    n_hits += y[j] * yh[j]
                for j in range(q):
                    hits = n_hits - y[j] * yh[j]  # among the other labels
                    total = n_true + n_predicted - yh[j]
                    without = (hits + hits) / total if total > zero else one
                    w[j] = abs(without - (hits + hits + y[j] + y[j]) / (total + one))
