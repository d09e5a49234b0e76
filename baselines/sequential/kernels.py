"""What an LSTM's step does to each row of a batch between two products of matrices, compiled for a CPU.

Each kernel works in place on whole working memories, C-contiguous, for step t and the first `n` rows::

    products   (M, B, L, 4h)        x^k W_k, the row of instance b at place[k, b]
    gates      (T, L, B, 4h)        columns input | forget | output | candidate
    cells      (T + 1, L, B, h)     before and after each step, zeros first
    history    (L, B, T h)          h_1..h_T side by side
    bias       (L, 4h);  peepholes (L, 3h)
    choice     (L, B)               modality read, -1 for none

The equations are `baselines.sequential.reference.lstm`, the derivatives stand in `baselines.sequential.fast`.
Loops are short, and what several of them need stays in an array of the kernel's own: the compiler then sees
that nothing overlaps, and uses the processor's vector units.
"""

from __future__ import annotations

import numpy as np

from benchmark.contracts import Array
from benchmark.learning.compiled import compiled, inlined, prefetch, sigmoid, tanh


@compiled
def lstm_step(
    products: Array,
    bias: Array,
    peepholes: Array,
    choice: Array,
    gates: Array,
    cells: Array,
    history: Array,
    t: int,
    n: int,
) -> None:
    """From h_{t-1} U in `gates` (nothing at the first step) to gates, cell and hidden state."""
    h = cells.shape[3]
    a = np.empty(4 * h, gates.dtype)
    for i in range(len(bias)):
        own = bias[i]
        for b in range(n):
            block, k = gates[t, i, b], choice[i, b]
            if b + 1 < n:
                following = choice[i, b + 1]
                if following >= 0:
                    prefetch(products[following, b + 1, i])
                prefetch(gates[t, i, b + 1])
                prefetch(history[i, b + 1, t * h : (t + 1) * h])
            for j in range(4 * h):
                a[j] = own[j]
            if t > 0:
                for j in range(4 * h):
                    a[j] += block[j]
            if k >= 0:
                read = products[k, b, i]
                for j in range(4 * h):
                    a[j] += read[j]
            out = history[i, b, t * h : (t + 1) * h]
            _activate(a, block, peepholes[i], cells[t, i, b], cells[t + 1, i, b], out)


@inlined
def _activate(a: Array, block: Array, p: Array, before: Array, after: Array, out: Array) -> None:
    """One row's gates, new cell and hidden state, from the sums `a`, which are used up."""
    h = len(out)
    for j in range(h):
        a[j] += p[j] * before[j]
    for j in range(h):
        a[h + j] += p[h + j] * before[j]
    for j in range(2 * h):
        block[j] = sigmoid(a[j])
    for j in range(h):
        block[3 * h + j] = tanh(a[3 * h + j])
    for j in range(h):
        after[j] = block[h + j] * before[j] + block[j] * block[3 * h + j]
    for j in range(h):
        a[j] = sigmoid(a[2 * h + j] + p[2 * h + j] * after[j])
    for j in range(h):
        block[2 * h + j] = a[j]
    for j in range(h):
        out[j] = a[j] * tanh(after[j])


@compiled
def lstm_step_backward(
    products: Array,
    peepholes: Array,
    choice: Array,
    gates: Array,
    cells: Array,
    grad_history: Array,
    grad_hidden: Array,
    grad_cell: Array,
    grad_bias: Array,
    grad_peepholes: Array,
    written: Array,
    t: int,
    n: int,
) -> None:
    """Replace a step's gates by their gradient, and what was read of `products` by the same.

    From dL/dh_t, the sum of `grad_history` (L, B, T h) and `grad_hidden` (L, B, h), and dL/dc_t in
    `grad_cell` (L, B, h) to dL/dc_{t-1} there. Adds to the gradients of bias and peepholes; `written`
    (M, B, L) marks what of the products is a gradient already, to which a row that reads again adds.
    """
    h = cells.shape[3]
    a, e, d = np.empty(4 * h, gates.dtype), np.empty(h, gates.dtype), np.empty(h, gates.dtype)
    for i in range(len(peepholes)):
        total = grad_bias[i]
        for b in range(n):
            block, k, before, after = gates[t, i, b], choice[i, b], cells[t, i, b], cells[t + 1, i, b]
            of_heads, of_next = grad_history[i, b, t * h : (t + 1) * h], grad_hidden[i, b]
            if b + 1 < n:
                following = choice[i, b + 1]
                if following >= 0:
                    prefetch(products[following, b + 1, i])
                prefetch(gates[t, i, b + 1])
                prefetch(grad_history[i, b + 1, t * h : (t + 1) * h])
            for j in range(h):
                e[j] = (of_heads[j] + of_next[j]) * block[2 * h + j]
            _activate_backward(a, d, e, block, peepholes[i], before, after, grad_cell[i, b])
            _add_products(a, before, after, grad_peepholes[i])
            for j in range(4 * h):
                block[j] = a[j]
            for j in range(4 * h):
                total[j] += a[j]
            if k >= 0:
                read = products[k, b, i]
                if written[k, b, i]:
                    for j in range(4 * h):
                        read[j] += a[j]
                else:
                    written[k, b, i] = True
                    for j in range(4 * h):
                        read[j] = a[j]


@inlined
def _activate_backward(
    a: Array, d: Array, e: Array, block: Array, p: Array, before: Array, after: Array, carried: Array
) -> None:
    """Write one row's gate gradients to `a`, from e = dh' o and dc' in `carried`, which becomes dc."""
    h = len(e)
    for j in range(h):
        u = tanh(after[j])
        d[j] = e[j] * (1 - u * u)
        a[2 * h + j] = e[j] * u * (1 - block[2 * h + j])
    for j in range(h):
        d[j] += carried[j] + a[2 * h + j] * p[2 * h + j]
    for j in range(h):
        a[j] = d[j] * block[3 * h + j] * block[j] * (1 - block[j])
    for j in range(h):
        a[3 * h + j] = d[j] * block[j] * (1 - block[3 * h + j] * block[3 * h + j])
    for j in range(h):
        d[j] *= block[h + j]
    for j in range(h):
        a[h + j] = d[j] * before[j] * (1 - block[h + j])
    for j in range(h):
        carried[j] = d[j] + a[j] * p[j] + a[h + j] * p[h + j]


@inlined
def _add_products(a: Array, before: Array, after: Array, total: Array) -> None:
    """Add one row's gradients of the peepholes."""
    h = len(before)
    for j in range(h):
        total[j] += a[j] * before[j]
    for j in range(h):
        total[h + j] += a[h + j] * before[j]
    for j in range(h):
        total[2 * h + j] += a[2 * h + j] * after[j]


@compiled
def look_up(choice: Array, place: Array, instances: Array, filled: Array) -> None:
    """Give what is read for the first time the next place among its modality's products.

    `instances` (M, B) says who is at each place, `filled` (M,) how many there are.
    """
    for b in range(choice.shape[1]):
        for i in range(len(choice)):
            k = choice[i, b]
            if k >= 0 and place[k, b] < 0:
                place[k, b] = filled[k]
                instances[k, filled[k]] = b
                filled[k] += 1


@compiled
def clear_unread(products: Array, written: Array) -> None:
    """Zero the rows of `products` that are no gradient, among the first `filled` (M,) of each modality."""
    for k in range(len(products)):
        for b in range(products.shape[1]):
            for i in range(products.shape[2]):
                if not written[k, b, i]:
                    row = products[k, b, i]
                    for j in range(len(row)):
                        row[j] = 0
