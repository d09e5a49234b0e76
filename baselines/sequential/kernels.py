"""What an LSTM's step does to each row of a batch between two products of matrices, compiled for a CPU.

Each kernel works in place on whole working memories, C-contiguous, for step t and the first `n` rows::

    products   (M, B, L, 4h)        x^k W_k; once read, the gates i | f | o | g; going back, their gradient
    cells      (T + 1, L, B, h)     before and after each step, zeros first
    history    (L, B, T h)          h_1..h_T side by side
    recurrent  (L, B, 4h)           h_{t-1} U; going back, the gates' gradient again, as products need it
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
    read: Array,
    bias: Array,
    peepholes: Array,
    choice: Array,
    recurrent: Array,
    cells: Array,
    history: Array,
    t: int,
    n: int,
) -> None:
    """From `recurrent` (nothing at the first step) and what is read to gates, cell and hidden state.

    Rows that read nothing get zeros; `read` (M, B, L) marks what was read.
    """
    h = cells.shape[3]
    a = np.empty(4 * h, cells.dtype)
    for i in range(len(bias)):
        own = bias[i]
        for b in range(n):
            if b + 1 < n and choice[i, b + 1] >= 0:
                prefetch(products[choice[i, b + 1], b + 1, i])
            k, out = choice[i, b], history[i, b, t * h : (t + 1) * h]
            if k < 0:
                for j in range(h):
                    out[j] = 0
                for j in range(h):
                    cells[t + 1, i, b, j] = 0
                continue
            block, sums = products[k, b, i], recurrent[i, b]
            for j in range(4 * h):
                a[j] = own[j] + block[j]
            if t > 0:
                for j in range(4 * h):
                    a[j] += sums[j]
            _activate(a, block, peepholes[i], cells[t, i, b], cells[t + 1, i, b], out)
            read[k, b, i] = True


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
    recurrent: Array,
    cells: Array,
    grad_history: Array,
    grad_hidden: Array,
    grad_cell: Array,
    grad_bias: Array,
    grad_peepholes: Array,
    t: int,
    n: int,
) -> None:
    """Replace a step's gates by their gradient, which `recurrent` gets too.

    From dL/dh_t, the sum of `grad_history` (L, B, T h) and `grad_hidden` (L, B, h), and dL/dc_t in
    `grad_cell` (L, B, h) to dL/dc_{t-1} there. Adds to the gradients of bias and peepholes.
    """
    h = cells.shape[3]
    a, e, d = np.empty(4 * h, cells.dtype), np.empty(h, cells.dtype), np.empty(h, cells.dtype)
    for i in range(len(peepholes)):
        total = grad_bias[i]
        for b in range(n):
            if b + 1 < n and choice[i, b + 1] >= 0:
                prefetch(products[choice[i, b + 1], b + 1, i])
            k, sums = choice[i, b], recurrent[i, b]
            if k < 0:
                for j in range(4 * h):
                    sums[j] = 0
                continue
            block, before, after = products[k, b, i], cells[t, i, b], cells[t + 1, i, b]
            of_heads, of_next = grad_history[i, b, t * h : (t + 1) * h], grad_hidden[i, b]
            for j in range(h):
                e[j] = (of_heads[j] + of_next[j]) * block[2 * h + j]
            _activate_backward(a, d, e, block, peepholes[i], before, after, grad_cell[i, b])
            _add_products(a, before, after, grad_peepholes[i])
            for j in range(4 * h):
                total[j] += a[j]
            for j in range(4 * h):
                block[j] = a[j]
            for j in range(4 * h):
                sums[j] = a[j]


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
def clear_unread(products: Array, read: Array) -> None:
    """Zero what was not read."""
    for k in range(len(products)):
        for b in range(products.shape[1]):
            for i in range(products.shape[2]):
                if not read[k, b, i]:
                    row = products[k, b, i]
                    for j in range(len(row)):
                        row[j] = 0
