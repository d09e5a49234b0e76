"""`m3la.reference` on a CPU, several times as fast: the same numbers, derived by hand and compiled.

This is the one door: `network` where `runs_on` says so, with a `Workspace`; `optimiser_of`, which applies
gradients of large matrices without forming them; `f1_weights` for (18). Tests hold scores and every gradient
to `m3la.reference` for every option.

Left to autograd, each of the m steps adds into every shared weight's gradient and keeps some forty small
nodes; here a step is two products of matrices and a few kernels that take each row through all the rest
(`row_kernels`), a step of the backward pass leaves the gradients of its affine maps in place of their values,
and each weight's gradient is one product over all steps.

One step of a GRU (reset after the product)::

    r = sigmoid(i_r + g_r)           i = x W + b_i   (.., 3h), columns r | z | n
    z = sigmoid(i_z + g_z)           g = h U + b_h   (.., 3h), columns n | r | z
    n = tanh(i_n + r * g_n)
    h' = (1 - z) * n + z * h

Only sums of i and g enter the gates r and z, so both maps add into one block of 4h columns, in which the
columns of i and of g are two overlapping windows; the step then replaces what it read::

    before      g_n | i_r + g_r | i_z + g_z | i_n        window of g: the first 3h columns
    after       g_n |     r     |     z     |  n         window of i: the last 3h
    backward   dg_n |    dr     |    dz     | dn

With e = dL/dh'::

    dn = e (1 - z) (1 - n^2)         dz = e (h - n) z (1 - z)        dr = dn g_n r (1 - r)
    dg_n = dn r                      dL/dh = e z, and what comes through g

Encoder (two cells, step t)::

    g_t = H_{t-1} U + b              dH_{t-1} = dH_t * z + dg_t U^T          dU = sum_t H_{t-1}^T dg_t
    i_t = x^k W_k + b                dW_k = x^k^T dP_k, where dP_k gathers both directions and the decoder

Decoder (S_0 = s_0, states h_1..h_m, keys K_j = h_j W_key, products P_k = x^k W_k; in (8) the sum over j and
the matrix are swapped, so that the product is made once for all steps: F_j = h_j W_att)::

    o_t, w_t from u_t = S_{t-1} W_modal^T + b_modal             (9), see `choice`
    e_tj = tanh(S_{t-1} W_query + K_j),  r_tj = e_tj . v        (7), and its two other forms
    alpha_t = softmax(r_t)                                      (6)
    i_t = w_t P_{o_t} + sum_j alpha_tj F_j + b                  (5)(8)(10), [x^t; a_t] W
    g_t = S_{t-1} U + b

backward, from dS_t = (label head) + (step t + 1)::

    dalpha_tj = <di_t, F_j>          dr_t = alpha_t (dalpha_t - <alpha_t, dalpha_t>)
    credit_tk = <di_t, P_k>          c_tj = dr_tj (1 - e_tj^2),  dK_j = v sum_t c_tj,  dv = sum_tj dr_tj e_tj
    dF_j = sum_t alpha_tj di_t       dP_{o_t} += w_t di_t                dh_j = dF_j W_att^T + dK_j W_key^T
    dS_{t-1} = dS_t * z + dg_t U^T + (v sum_j c_tj) W_query^T + du_t W_modal

Labels: see `labels`.

Inside, tensors always have the leading axis of n networks. What a recurrence walks through is time-major,
(n, m, B, ..), so that a step is a block; what attention looks at is batch-major, (n, B, m, ..), so that a
row's m entries are one.
"""

from m3la.fast.cost import f1_weights
from m3la.fast.factored import FactoredSGD, make_factored_optimiser, optimiser_of
from m3la.fast.network import network, runs_on
from m3la.fast.workspace import Workspace

__all__ = [
    "FactoredSGD",
    "Workspace",
    "f1_weights",
    "make_factored_optimiser",
    "network",
    "optimiser_of",
    "runs_on",
]
