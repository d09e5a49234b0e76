"""What M3LA's steps do between two products of matrices, as operators on tensors, for any device.

The kernels of `m3la.row_kernels` compute the same on a CPU. Each works in place on whole working memories,
which are C-contiguous, of n networks, W = 2 ways of reading (the decoder has no such axis), m steps and B
rows::

    blocks   (n, [W,] m, B, >= 4h)    one block per step, see `m3la.gru`; more columns are not used
    hidden   (n, [W,] m + 1, B, h)    states before and after each step
    bias_in  (n, [W,] 3h)             of i, columns r | z | n
    bias     (n, [W,] 3h)             of g, columns n | r | z
    inputs   (n, B, 3h)               x^k W_k of one encoder step
    products (n, m, B, 3h)            x^k W_k of the decoder

`t` is the step that is computed, `place` that of what it reads in the reading order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from m3la.gru import Block, gru_backward, gru_forward


def encoder_step(
    bias_in: Tensor,
    bias: Tensor,
    inputs: Tensor,
    blocks: Tensor,
    hidden: Tensor,
    states: Tensor,
    way: int,
    t: int,
    place: int,
) -> None:
    """(1), (2): from h_{t-1} U in the window of g to gates and h_t, which `states` (n, B, m, 2h) gets too."""
    h = hidden.shape[-1]
    block, columns = Block(blocks[:, way, t, :, : 4 * h]), slice(h * way, h * way + h)
    if t == 0:  # h_0 = 0
        block.g.zero_()
    block.n.zero_()
    block.g += bias[:, way].unsqueeze(1)
    block.i += inputs + bias_in[:, way].unsqueeze(1)
    gru_forward(block, hidden[:, way, t], hidden[:, way, t + 1])
    states[:, :, place, columns] = hidden[:, way, t + 1]


def encoder_step_backward(
    grad_states: Tensor,
    carry: Tensor,
    blocks: Tensor,
    hidden: Tensor,
    grad_bias: Tensor,
    way: int,
    t: int,
    place: int,
) -> None:
    """Replace a step's block by its gradient.

    From dL/dh_t, the sum of `carry` (n, W, B, h) and `grad_states` (n, B, m, 2h), to dL/dh_{t-1} without its
    part through U, in `carry`; adds to `grad_bias`.
    """
    h = hidden.shape[-1]
    block = Block(blocks[:, way, t, :, : 4 * h])
    e = carry[:, way] + grad_states[:, :, place, h * way : h * way + h]
    gru_backward(e, block, hidden[:, way, t], carry[:, way])
    grad_bias[:, way] += block.all.sum(1)


def attend(keys: Tensor, queries: Tensor, v: Tensor, alphas: Tensor, t: int) -> None:
    """(6), (7): alpha_t of `alphas` (n, B, t, j) from keys (n, B, j, h), queries (n, t, B, h), v (n, h)."""
    energy = torch.tanh(keys + queries[:, t].unsqueeze(2))
    alphas[:, :, t] = torch.softmax((energy * v[:, None, None]).sum(3), dim=2)


def attend_backward(
    keys: Tensor,
    queries: Tensor,
    v: Tensor,
    alphas: Tensor,
    grad_alpha: Tensor,
    grad_keys: Tensor,
    grad_queries: Tensor,
    grad_v: Tensor,
    t: int,
    first: bool,
) -> None:
    """From `grad_alpha` (n, B, j) to `grad_queries`; adds to `grad_v` and `grad_keys`.

    The `first` step gone back through replaces `grad_keys`; the last, t = 0, gives it its factor v.

    The energies are computed again: keeping those of all steps would push what products need out of caches.
    """
    energy = torch.tanh(keys + queries[:, t].unsqueeze(2))
    grad_r = softmax_gradient(alphas[:, :, t], grad_alpha).unsqueeze(3)
    grad_v += (grad_r * energy).sum((1, 2))
    grad_energy = grad_r * (1 - energy * energy)
    if first:
        grad_keys.copy_(grad_energy)
    else:
        grad_keys += grad_energy
    if t == 0:
        grad_keys *= v[:, None, None]
    grad_queries[:, t] = grad_energy.sum(2) * v.unsqueeze(1)


def decoder_step(
    bias_in: Tensor,
    bias: Tensor,
    blocks: Tensor,
    s: Tensor,
    F: Tensor,
    products: Tensor,
    alphas: Tensor,
    index: Tensor,
    weight: Tensor,
    t: int,
) -> None:
    """(5), (8), (10): from s_{t-1} U in the window of g to gates and s_t.

    `F` (n, B, j, 3h) holds h_j W_att; `index` (n, B) which modality each row reads, -1 for none, with
    `weight` (n, B).
    """
    h = s.shape[-1]
    block = Block(blocks[:, t, :, : 4 * h])
    block.n.zero_()
    block.g += bias.unsqueeze(1)
    block.i += bias_in.unsqueeze(1) + (alphas[:, :, t].unsqueeze(2) @ F).squeeze(2)
    block.i += _entries(products, index) * _shares(index, weight)
    gru_forward(block, s[:, t], s[:, t + 1])


def decoder_step_backward(
    grad_s: Tensor,
    carry: Tensor,
    blocks: Tensor,
    s: Tensor,
    F: Tensor,
    products: Tensor,
    index: Tensor,
    weight: Tensor,
    pi: Tensor,
    grad_alpha: Tensor,
    credit: Tensor,
    grad_products: Tensor,
    grad_bias: Tensor,
    t: int,
    credits: bool,
    once: bool,
) -> None:
    """Replace a step's block by its gradient, from dL/ds_t, the sum of `carry` (n, B, h) and `grad_s`.

    `carry` becomes dL/ds_{t-1} without what comes through products; `grad_alpha` and, if `credits`, `credit`
    (n, B, k), where the choice's `pi` (n, B, k) is not 0, are written. So are the rows of `grad_products`
    that were read, if each is read `once`; else they are added to, as `grad_bias` is.
    """
    h = s.shape[-1]
    block = Block(blocks[:, t, :, : 4 * h])
    gru_backward(carry + grad_s[:, t], block, s[:, t], carry)
    grad_input = block.i
    grad_alpha.copy_((F @ grad_input.unsqueeze(3)).squeeze(3))
    if credits:
        credit.copy_(torch.where(pi > 0, (products * grad_input.unsqueeze(1)).sum(3).mT, 0))
    rows = index.clamp_min(0)[:, None, :, None].expand(-1, 1, -1, grad_input.shape[-1])
    grad_read = (grad_input * _shares(index, weight)).unsqueeze(1)
    if once:
        grad_products.scatter_(1, rows, grad_read)
    else:
        grad_products.scatter_add_(1, rows, grad_read)
    grad_bias += block.all.sum(1)


def attended_backward(alphas: Tensor, blocks: Tensor, F: Tensor) -> None:
    """Replace F (n, B, j, 3h) by dL/dF_j = sum_t alpha_tj di_t, from blocks that hold gradients."""
    h = F.shape[-1] // 3
    torch.matmul(alphas.mT, blocks[..., h : 4 * h].transpose(1, 2), out=F)


def modality_logits(s: Tensor, W: Tensor, bias: Tensor, u: Tensor, t: int) -> None:
    """(9): u (t, n, B, k) from s_{t-1}, W (n, k, h) and bias (n, k)."""
    torch.baddbmm(bias.unsqueeze(1), s[:, t], W.mT, out=u[t])


def modality_logits_backward(grad_u: Tensor, W: Tensor, carry: Tensor, t: int) -> None:
    """Add du_t W of (9) to `carry` (n, B, h), from `grad_u` (t, n, B, k)."""
    carry.baddbmm_(grad_u[t], W)


def pick(u: Tensor, available: Tensor, pi: Tensor, index: Tensor, take: bool) -> None:
    """(9): `pi` = softmax of logits u (B, m) over what is available, and its largest entry's `index` (B,).

    If told to `take`, what is chosen is no longer available.
    """
    logits = u.masked_fill(~available, -torch.inf)
    torch.softmax(logits, 1, out=pi)
    torch.argmax(logits, 1, out=index)
    if take:
        available.scatter_(1, index.unsqueeze(1), False)


def softmax_backward(alpha: Tensor, grad: Tensor, out: Tensor) -> None:
    """Write `softmax_gradient` of (B, m) to `out`."""
    out.copy_(softmax_gradient(alpha, grad))


def softmax_gradient(alpha: Tensor, grad: Tensor) -> Tensor:
    """dL/dr of alpha = softmax(r) along the last axis."""
    return alpha * (grad - (alpha * grad).sum(-1, keepdim=True))


def _entries(products: Tensor, index: Tensor) -> Tensor:
    """Each row's chosen product (n, B, c), any where nothing is read."""
    rows = index.clamp_min(0)[:, None, :, None].expand(-1, 1, -1, products.shape[-1])
    return products.gather(1, rows).squeeze(1)


def _shares(index: Tensor, weight: Tensor) -> Tensor:
    """Weights (n, B, 1), 0 where nothing is read."""
    return torch.where(index >= 0, weight, 0).unsqueeze(2)
