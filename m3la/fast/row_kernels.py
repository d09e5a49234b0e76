"""What M3LA's steps do to each row of a batch between two products of matrices, compiled for a CPU.

A row of 256 numbers fits the first-level cache, so a kernel takes a row through all that happens to it; as
operators on whole tensors the same is bound by memory and by calls. Each kernel works in place on whole
working memories, which are C-contiguous, so that their arrays are made once, and computes step `t`; `place`
is that of what it reads in the reading order. Of n networks, W = 2 ways of reading (the decoder has no such
axis), m steps and B rows::

    blocks   (n, [W,] m, B, >= 4h)    one block per step, see `m3la.fast`; more columns are not used
    hidden   (n, [W,] m + 1, B, h)    states before and after each step; `s` in the decoder
    bias_in  (n, [W,] 3h)             of i, columns r | z | n
    bias     (n, [W,] 3h)             of g, columns n | r | z
    inputs   (n, B, 3h)               x^k W_k of one encoder step
    products (n, m, B, 3h)            x^k W_k of the decoder

Loops are short and write one array each: the compiler can then show that nothing overlaps, and uses the
processor's vector units. What shares compiled code stays in this file or in `benchmark.learning.compiled`,
since numba compiles a cached kernel again when one of these two changed, and not for a change elsewhere.
"""

from __future__ import annotations

import math

import numpy as np

from benchmark.contracts import Array
from benchmark.learning.compiled import compiled, inlined, sigmoid, tanh


@inlined
def _gates(g_n: Array, r: Array, z: Array, n: Array, hidden: Array, out: Array) -> None:
    """One row of a GRU's step, from a block's sums to its gates and the next state."""
    for j in range(len(out)):
        r[j] = sigmoid(r[j])
    for j in range(len(out)):
        z[j] = sigmoid(z[j])
    for j in range(len(out)):
        n[j] = tanh(n[j] + r[j] * g_n[j])
    for j in range(len(out)):
        out[j] = n[j] + z[j] * (hidden[j] - n[j])


@inlined
def _gates_backward(
    g_n: Array, r: Array, z: Array, n: Array, hidden: Array, e: Array, spare: Array, carry: Array
) -> None:
    """One row of the step's backward pass, from e = dL/dh'; `carry` gets dL/dh without its part through g."""
    h = len(e)
    for j in range(h):
        carry[j] = e[j] * z[j]
    for j in range(h):
        dz = carry[j] * (hidden[j] - n[j])
        spare[j] = dz - dz * z[j]
    for j in range(h):
        z[j] = spare[j]
    for j in range(h):
        dn = e[j] - carry[j]
        n[j] = dn - dn * n[j] * n[j]
    for j in range(h):
        dr = n[j] * g_n[j] * r[j]
        spare[j] = dr - dr * r[j]
    for j in range(h):
        g_n[j] = n[j] * r[j]
    for j in range(h):
        r[j] = spare[j]


@compiled
def encoder_step(
    bias_in: Array,
    bias: Array,
    inputs: Array,
    blocks: Array,
    hidden: Array,
    states: Array,
    way: int,
    t: int,
    place: int,
) -> None:
    """(1), (2): from h_{t-1} U in the window of g to gates and h_t, which `states` (n, B, m, 2h) gets too."""
    h = hidden.shape[-1]
    for i in range(len(blocks)):
        b_i, b_g = bias_in[i, way], bias[i, way]
        for b in range(blocks.shape[3]):
            block, x, out = blocks[i, way, t, b], inputs[i, b], hidden[i, way, t + 1, b]
            g_n, gates, n = block[:h], block[h : 3 * h], block[3 * h : 4 * h]
            if t == 0:
                for j in range(h):
                    g_n[j] = b_g[j]
                for j in range(2 * h):
                    gates[j] = x[j] + b_i[j] + b_g[h + j]
            else:
                for j in range(h):
                    g_n[j] += b_g[j]
                for j in range(2 * h):
                    gates[j] += x[j] + b_i[j] + b_g[h + j]
            for j in range(h):
                n[j] = x[2 * h + j] + b_i[2 * h + j]
            _gates(g_n, gates[:h], gates[h:], n, hidden[i, way, t, b], out)
            state = states[i, b, place, h * way : h * way + h]
            for j in range(h):
                state[j] = out[j]


@compiled
def encoder_step_backward(
    grad_states: Array,
    carry: Array,
    blocks: Array,
    hidden: Array,
    grad_bias: Array,
    way: int,
    t: int,
    place: int,
) -> None:
    """Replace a step's block by its gradient.

    From dL/dh_t, the sum of `carry` (n, W, B, h) and `grad_states` (n, B, m, 2h), to dL/dh_{t-1} without its
    part through U, in `carry`; adds to `grad_bias`.
    """
    h = hidden.shape[-1]
    e, spare = np.empty(h, hidden.dtype), np.empty(h, hidden.dtype)
    for i in range(len(blocks)):
        total = grad_bias[i, way]
        for b in range(blocks.shape[3]):
            block, carried = blocks[i, way, t, b], carry[i, way, b]
            of_state = grad_states[i, b, place, h * way : h * way + h]
            for j in range(h):
                e[j] = carried[j] + of_state[j]
            _gates_backward(
                block[:h], block[h : 2 * h], block[2 * h : 3 * h], block[3 * h : 4 * h],
                hidden[i, way, t, b], e, spare, carried,
            )  # fmt: skip
            for j in range(4 * h):
                total[j] += block[j]


@compiled
def attend(keys: Array, queries: Array, v: Array, alphas: Array, t: int) -> None:
    """(6), (7): alpha_t of `alphas` (n, B, t, j) from keys (n, B, j, h), queries (n, t, B, h), v (n, h)."""
    n, B, m, h = keys.shape
    zero = alphas.dtype.type(0)
    for i in range(n):
        own_v = v[i]
        for b in range(B):
            query, alpha = queries[i, t, b], alphas[i, b, t]
            for k in range(m):
                key = keys[i, b, k]
                score = zero
                for j in range(h):
                    score += tanh(key[j] + query[j]) * own_v[j]
                alpha[k] = score
            _softmax(alpha)


@inlined
def _softmax(row: Array) -> None:
    """Replace a row by its softmax."""
    largest = row[0]
    for k in range(1, len(row)):
        largest = max(largest, row[k])
    total = row.dtype.type(0)
    for k in range(len(row)):
        row[k] = math.exp(row[k] - largest)
        total += row[k]
    for k in range(len(row)):
        row[k] /= total


@compiled
def attend_backward(
    keys: Array,
    queries: Array,
    v: Array,
    alphas: Array,
    grad_alpha: Array,
    grad_keys: Array,
    grad_queries: Array,
    grad_v: Array,
    t: int,
    first: bool,
) -> None:
    """From `grad_alpha` (n, B, j) to `grad_queries`; adds to `grad_v` and `grad_keys`.

    The `first` step gone back through replaces `grad_keys`; the last, t = 0, gives it its factor v.

    The energies are computed again: keeping those of all steps would push what products need out of caches.
    """
    n, B, m, h = keys.shape
    zero = alphas.dtype.type(0)
    energy = np.empty(h, keys.dtype)
    for i in range(n):
        own_v, total_v = v[i], grad_v[i]
        for b in range(B):
            query, grad_query = queries[i, t, b], grad_queries[i, t, b]
            alpha, grad = alphas[i, b, t], grad_alpha[i, b]
            mean = zero
            for k in range(m):
                mean += alpha[k] * grad[k]
            for j in range(h):
                grad_query[j] = zero
            for k in range(m):
                size = alpha[k] * (grad[k] - mean)
                key, grad_key = keys[i, b, k], grad_keys[i, b, k]
                for j in range(h):
                    energy[j] = tanh(key[j] + query[j])
                for j in range(h):
                    total_v[j] += size * energy[j]
                for j in range(h):
                    energy[j] = size - size * energy[j] * energy[j]
                if first:
                    for j in range(h):
                        grad_key[j] = energy[j]
                else:
                    for j in range(h):
                        grad_key[j] += energy[j]
                if t == 0:
                    for j in range(h):
                        grad_key[j] *= own_v[j]
                for j in range(h):
                    grad_query[j] += energy[j]
            for j in range(h):
                grad_query[j] *= own_v[j]


@compiled
def decoder_step(
    bias_in: Array,
    bias: Array,
    blocks: Array,
    s: Array,
    F: Array,
    products: Array,
    alphas: Array,
    index: Array,
    weight: Array,
    t: int,
) -> None:
    """(5), (8), (10): from s_{t-1} U in the window of g to gates and s_t.

    `F` (n, B, j, 3h) holds h_j W_att; `index` (n, B) which modality each row reads, -1 for none, with
    `weight` (n, B).
    """
    n, m, B, _ = blocks.shape
    h = s.shape[-1]
    for i in range(n):
        b_i, b_g = bias_in[i], bias[i]
        for b in range(B):
            block, alpha, chosen = blocks[i, t, b], alphas[i, b, t], index[i, b]
            g_n, gates, candidate = block[:h], block[h : 3 * h], block[3 * h : 4 * h]
            inputs = block[h:]
            for j in range(h):
                g_n[j] += b_g[j]
            for j in range(2 * h):
                gates[j] += b_i[j] + b_g[h + j]
            for j in range(h):
                candidate[j] = b_i[2 * h + j]
            for k in range(m):
                attended, share = F[i, b, k], alpha[k]
                for j in range(3 * h):
                    inputs[j] += share * attended[j]
            if chosen >= 0:
                read, share = products[i, chosen, b], weight[i, b]
                for j in range(3 * h):
                    inputs[j] += share * read[j]
            _gates(g_n, gates[:h], gates[h:], candidate, s[i, t, b], s[i, t + 1, b])


@compiled
def decoder_step_backward(
    grad_s: Array,
    carry: Array,
    blocks: Array,
    s: Array,
    F: Array,
    products: Array,
    index: Array,
    weight: Array,
    pi: Array,
    grad_alpha: Array,
    credit: Array,
    grad_products: Array,
    grad_bias: Array,
    t: int,
    credits: bool,
    once: bool,
) -> None:
    """Replace a step's block by its gradient, from dL/ds_t, the sum of `carry` (n, B, h) and `grad_s`.

    `carry` becomes dL/ds_{t-1} without what comes through products; `grad_alpha` and, if `credits`, `credit`
    (n, B, k), where the choice's `pi` (n, B, k) is not 0, are written. So are the rows of `grad_products`
    that were read, if each is read `once`; else they are added to, as `grad_bias` is.
    """
    n, m, B, _ = blocks.shape
    h = s.shape[-1]
    zero = s.dtype.type(0)
    e, spare = np.empty(h, s.dtype), np.empty(h, s.dtype)
    for i in range(n):
        total = grad_bias[i]
        for b in range(B):
            block, carried, chosen, of_state = blocks[i, t, b], carry[i, b], index[i, b], grad_s[i, t, b]
            for j in range(h):
                e[j] = carried[j] + of_state[j]
            _gates_backward(
                block[:h], block[h : 2 * h], block[2 * h : 3 * h], block[3 * h : 4 * h],
                s[i, t, b], e, spare, carried,
            )  # fmt: skip
            grad_input = block[h:]
            for k in range(m):
                attended = F[i, b, k]
                product = zero
                for j in range(3 * h):
                    product += grad_input[j] * attended[j]
                grad_alpha[i, b, k] = product
            if credits:
                for k in range(m):
                    product = zero
                    if pi[i, b, k] > zero:
                        offered = products[i, k, b]
                        for j in range(3 * h):
                            product += grad_input[j] * offered[j]
                    credit[i, b, k] = product
            if chosen >= 0:
                grad_read, share = grad_products[i, chosen, b], weight[i, b]
                if once:
                    for j in range(3 * h):
                        grad_read[j] = share * grad_input[j]
                else:
                    for j in range(3 * h):
                        grad_read[j] += share * grad_input[j]
            for j in range(4 * h):
                total[j] += block[j]


@compiled
def attended_backward(alphas: Array, blocks: Array, F: Array) -> None:
    """Replace F (n, B, j, 3h) by dL/dF_j = sum_t alpha_tj di_t, from blocks that hold gradients."""
    n, B, m, width = F.shape
    h = width // 3
    for i in range(n):
        for b in range(B):
            for k in range(m):
                grad = F[i, b, k]
                for t in range(m):
                    share, grad_input = alphas[i, b, t, k], blocks[i, t, b, h : 4 * h]
                    if t == 0:
                        for j in range(width):
                            grad[j] = share * grad_input[j]
                    else:
                        for j in range(width):
                            grad[j] += share * grad_input[j]


@inlined
def _add_row_product(row: Array, W: Array, out: Array) -> None:
    """Out += row W."""
    for k in range(len(W)):
        share, weights = row[k], W[k]
        for j in range(len(out)):
            out[j] += share * weights[j]


@compiled
def modality_logits(s: Array, W: Array, bias: Array, u: Array, t: int) -> None:
    """(9): u (t, n, B, k) from s_{t-1}, W (n, k, h) and bias (n, k)."""
    n, _, B, h = s.shape
    for i in range(n):
        for b in range(B):
            state = s[i, t, b]
            for k in range(len(W[i])):
                weight = W[i, k]
                logit = bias[i, k]
                for j in range(h):
                    logit += state[j] * weight[j]
                u[t, i, b, k] = logit


@compiled
def modality_logits_backward(grad_u: Array, W: Array, carry: Array, t: int) -> None:
    """Add du_t W of (9) to `carry` (n, B, h), from `grad_u` (t, n, B, k)."""
    for i in range(len(carry)):
        for b in range(carry.shape[1]):
            _add_row_product(grad_u[t, i, b], W[i], carry[i, b])


@compiled
def pick(u: Array, available: Array, pi: Array, index: Array, take: bool) -> None:
    """(9): `pi` = softmax of logits u (B, m) over what is available, and its largest entry's `index` (B,).

    If told to `take`, what is chosen is no longer available.
    """
    B, m = u.shape
    for b in range(B):
        best = -1
        for k in range(m):
            if available[b, k] and (best < 0 or u[b, k] > u[b, best]):
                best = k
        total = u.dtype.type(0)
        for k in range(m):
            pi[b, k] = math.exp(u[b, k] - u[b, best]) if available[b, k] else 0
            total += pi[b, k]
        for k in range(m):
            pi[b, k] /= total
        index[b] = best
        if take:
            available[b, best] = False


@compiled
def softmax_backward(alpha: Array, grad: Array, out: Array) -> None:
    """Write dL/dr of alpha = softmax(r), (B, m), to `out`."""
    B, m = alpha.shape
    for b in range(B):
        mean = alpha[b, 0] * grad[b, 0]
        for k in range(1, m):
            mean += alpha[b, k] * grad[b, k]
        for k in range(m):
            out[b, k] = alpha[b, k] * (grad[b, k] - mean)
