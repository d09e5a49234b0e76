"""What an LSTM's step does to each row of a batch between two products of matrices, compiled for a CPU.

Each kernel works in place on whole working memories, C-contiguous, for step t and the first `n` rows::

    products   (M, B, L, 4h)        x^k W_k
    gates      (T, L, B, 4h)        columns input | forget | output | candidate
    cells      (T + 1, L, B, h)     before and after each step, zeros first
    history    (L, B, T h)          h_1..h_T side by side
    bias       (L, 4h);  peepholes (L, 3h)
    choice     (L, B)               modality read, -1 for none

The equations are `baselines.sequential.reference.lstm`, the derivatives stand in `baselines.sequential.fast`.
"""

from __future__ import annotations

from benchmark.contracts import Array
from benchmark.learning.compiled import compiled, inlined, sigmoid, tanh


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
    for i in range(len(bias)):
        own = bias[i]
        for b in range(n):
            block, k = gates[t, i, b], choice[i, b]
            if t == 0:
                for j in range(4 * h):
                    block[j] = own[j]
            else:
                for j in range(4 * h):
                    block[j] += own[j]
            if k >= 0:
                read = products[k, b, i]
                for j in range(4 * h):
                    block[j] += read[j]
            out = history[i, b, t * h : (t + 1) * h]
            _activate(block, peepholes[i], cells[t, i, b], cells[t + 1, i, b], out)


@inlined
def _activate(block: Array, peephole: Array, before: Array, after: Array, out: Array) -> None:
    """One row's gates, new cell and hidden state."""
    h = len(out)
    p_i, p_f, p_o = peephole[:h], peephole[h : 2 * h], peephole[2 * h : 3 * h]
    i, f, o, g = block[:h], block[h : 2 * h], block[2 * h : 3 * h], block[3 * h : 4 * h]
    for j in range(h):
        i[j] = sigmoid(i[j] + p_i[j] * before[j])
    for j in range(h):
        f[j] = sigmoid(f[j] + p_f[j] * before[j])
    for j in range(h):
        g[j] = tanh(g[j])
    for j in range(h):
        after[j] = f[j] * before[j] + i[j] * g[j]
    for j in range(h):
        o[j] = sigmoid(o[j] + p_o[j] * after[j])
    for j in range(h):
        out[j] = o[j] * tanh(after[j])


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

    From dL/dh_t, the sum of `grad_history` (L, B, T h) and `grad_hidden` (L, B, h), which is used up, and
    dL/dc_t in `grad_cell` (L, B, h) to dL/dc_{t-1} there. Adds to the gradients of bias and peepholes; `written` (M, B, L) marks
    what of the products is a gradient already, to which one is added where a row reads a modality again.
    """
    h = cells.shape[3]
    for i in range(len(peepholes)):
        total = grad_bias[i]
        for b in range(n):
            block, k, before, after = gates[t, i, b], choice[i, b], cells[t, i, b], cells[t + 1, i, b]
            grad, carried = grad_hidden[i, b], grad_cell[i, b]
            of_heads = grad_history[i, b, t * h : (t + 1) * h]
            for j in range(h):
                grad[j] += of_heads[j]
            _activate_backward(
                block,
                peepholes[i],
                cells[t, i, b],
                cells[t + 1, i, b],
                grad,
                grad_cell[i, b],
                grad_peepholes[i],
            )
            for j in range(4 * h):
                total[j] += block[j]
            if k >= 0:
                read = products[k, b, i]
                if written[k, b, i]:
                    for j in range(4 * h):
                        read[j] += block[j]
                else:
                    written[k, b, i] = True
                    for j in range(4 * h):
                        read[j] = block[j]


@inlined
def _activate_backward(
    block: Array,
    peephole: Array,
    before: Array,
    after: Array,
    grad: Array,
    grad_cell: Array,
    grad_peephole: Array,
) -> None:
    """One row's gradients, those of its gates in their place; `grad`, dL/dh', is used up."""
    h = len(grad)
    p_i, p_f, p_o = peephole[:h], peephole[h : 2 * h], peephole[2 * h : 3 * h]
    i, f, o, g = block[:h], block[h : 2 * h], block[2 * h : 3 * h], block[3 * h : 4 * h]
    d_i, d_f, d_o = grad_peephole[:h], grad_peephole[h : 2 * h], grad_peephole[2 * h : 3 * h]
    for j in range(h):
        u = tanh(after[j])
        e = grad[j] * o[j]
        grad[j] = e * u * (1 - o[j])  # do
        grad_cell[j] += e * (1 - u * u) + grad[j] * p_o[j]
    for j in range(h):
        o[j] = grad[j]
    for j in range(h):
        d_o[j] += o[j] * after[j]
    for j in range(h):
        grad[j] = grad_cell[j] * i[j]  # dc i
    for j in range(h):
        i[j] = grad[j] * g[j] * (1 - i[j])
    for j in range(h):
        g[j] = grad[j] * (1 - g[j] * g[j])
    for j in range(h):
        grad_cell[j] *= f[j]
    for j in range(h):
        f[j] = grad_cell[j] * before[j] * (1 - f[j])
    for j in range(h):
        d_i[j] += i[j] * before[j]
    for j in range(h):
        d_f[j] += f[j] * before[j]
    for j in range(h):
        grad_cell[j] += i[j] * p_i[j] + f[j] * p_f[j]


@compiled
def clear_unread(products: Array, written: Array) -> None:
    """Zero the rows of `products` that are no gradient."""
    for k in range(len(products)):
        for b in range(products.shape[1]):
            for i in range(products.shape[2]):
                if not written[k, b, i]:
                    row = products[k, b, i]
                    for j in range(len(row)):
                        row[j] = 0
