"""An LSTM step and the choice of one modality per row as differentiable operations of their own; it knows
no head, no loss and no stop rule.

A leading axis of L copies (one per label in a chain, one otherwise) runs through everything: the copies'
recurrent products are one batched product, and their input products one plain product per modality.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _LSTMStep(torch.autograd.Function):
    """One step; see `lstm_step`.

    With c' = f c + i g, u = tanh(c'), h' = o u and incoming gradients dh', dc'::

        do = dh' u o (1 - o)
        dc' += dh' o (1 - u^2) + do p_o
        di = dc' g i (1 - i)        df = dc' c f (1 - f)        dg = dc' i (1 - g^2)
        dc = dc' f + di p_i + df p_f
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor | None,
        cell: Tensor | None,
        U: Tensor,
        peepholes: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        h = U.shape[1]
        gates = inputs.clone() if hidden is None else torch.baddbmm(inputs, hidden, U)  # (L, B, 4h)
        i, f, o, g = gates.split(h, dim=2)
        if peepholes is not None and cell is not None:
            i.addcmul_(peepholes[..., :h], cell)
            f.addcmul_(peepholes[..., h : 2 * h], cell)
        gates[..., : 2 * h].sigmoid_()
        g.tanh_()
        new_cell = i * g
        if cell is not None:
            new_cell.addcmul_(f, cell)
        if peepholes is not None:
            o.addcmul_(peepholes[..., 2 * h :], new_cell)
        o.sigmoid_()
        squashed = torch.tanh(new_cell)
        ctx.save_for_backward(gates, squashed, new_cell, hidden, cell, U, peepholes)
        ctx.set_materialize_grads(False)
        return o * squashed, new_cell

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_hidden: Tensor | None, grad_cell: Tensor | None) -> tuple[Tensor | None, ...]:
        gates, squashed, new_cell, hidden, cell, U, peepholes = ctx.saved_tensors
        h = U.shape[1]
        i, f, o, g = gates.split(h, dim=2)
        grad = torch.empty_like(gates)
        d_i, d_f, d_o, d_g = grad.split(h, dim=2)
        if grad_hidden is None:
            grad_hidden = torch.zeros_like(squashed)
        torch.mul(grad_hidden, squashed, out=d_o).mul_(o - o.square())
        d_cell = (1 - squashed.square()).mul_(o).mul_(grad_hidden)
        if grad_cell is not None:
            d_cell.add_(grad_cell)
        if peepholes is not None:
            d_cell.addcmul_(d_o, peepholes[..., 2 * h :])
        torch.mul(d_cell, g, out=d_i).mul_(i - i.square())
        torch.mul(d_cell, i, out=d_g).mul_(1 - g.square())
        if cell is None:
            d_f.zero_()
        else:
            torch.mul(d_cell, cell, out=d_f).mul_(f - f.square())
        grad_previous = None if cell is None else d_cell.mul_(f)
        if peepholes is not None and grad_previous is not None:
            grad_previous.addcmul_(d_i, peepholes[..., :h]).addcmul_(d_f, peepholes[..., h : 2 * h])
        return (
            grad,
            None if hidden is None else torch.bmm(grad, U.transpose(1, 2)),
            grad_previous,
            torch.zeros_like(U) if hidden is None else torch.bmm(hidden.transpose(1, 2), grad),
            None if peepholes is None else _peephole_gradient(grad, cell, new_cell, h),
        )


def _peephole_gradient(grad: Tensor, cell: Tensor | None, new_cell: Tensor, h: int) -> Tensor:
    """Gradient (L, 1, 3h) of the diagonal weights from the gates' gradient (L, B, 4h)."""
    gradient = grad.new_zeros(len(grad), 1, 3 * h)
    if cell is not None:
        torch.sum(grad[..., :h] * cell, dim=1, keepdim=True, out=gradient[..., :h])
        torch.sum(grad[..., h : 2 * h] * cell, dim=1, keepdim=True, out=gradient[..., h : 2 * h])
    torch.sum(grad[..., 2 * h : 3 * h] * new_cell, dim=1, keepdim=True, out=gradient[..., 2 * h :])
    return gradient


def lstm_step(
    inputs: Tensor, hidden: Tensor | None, cell: Tensor | None, U: Tensor, peepholes: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the next hidden state and cell of L LSTMs, each over the same B rows.

    Parameters
    ----------
    inputs : Tensor of shape (L, B, 4h)
        `x W + b`, columns input | forget | output gate | candidate.
    hidden, cell : Tensor of shape (L, B, h), or None
        State before the step; None stands for zeros and saves their product. Both or neither.
    U : Tensor of shape (L, h, 4h)
        Recurrent weights, same columns.
    peepholes : Tensor of shape (L, 1, 3h), optional
        Diagonal weights from the cell to input, forget and output gate; the output gate sees the new cell.

    Returns
    -------
    tuple of two Tensors of shape (L, B, h)
    """
    return _LSTMStep.apply(inputs, hidden, cell, U, peepholes)


@dataclass
class Workspace:
    """Memory that one batch after another reuses: fresh large buffers cost page faults on every step."""

    values: Tensor | None = None
    gradients: Tensor | None = None

    def zeros(self, rows: int, columns: int, like: Tensor) -> Tensor:
        """Return zeros (rows, columns) for the gradients."""
        self.gradients = _fitting(self.gradients, rows, columns, like)
        return self.gradients[:rows].zero_()

    def empty(self, rows: int, columns: int, like: Tensor) -> Tensor:
        """Return memory (rows, columns) for the products."""
        self.values = _fitting(self.values, rows, columns, like)
        return self.values[:rows]


def _fitting(held: Tensor | None, rows: int, columns: int, like: Tensor) -> Tensor:
    fits = held is not None and held.shape[1] == columns and held.dtype == like.dtype
    if held is None or not fits or len(held) < rows or held.device != like.device:
        return like.new_empty(rows, columns)
    return held


@dataclass
class _Shared:
    """What the nodes of one projection's graph hold in common; it must not hold the graph itself."""

    modalities: Sequence[Tensor]
    values: Tensor  # (M * B * L, 4h)
    n_copies: int
    repeats: bool
    workspace: Workspace
    gradients: Tensor | None = None  # (M * B * L + 1, 4h), the last row for what was not taken


class Projection:
    """The products x^k W_k + b of a batch for all modalities and copies, to be taken row by row.

    A step takes one of M rows per copy and instance. Left to autograd, each step would add a gradient as
    large as all products, nearly all of it zeros; here the steps write into one buffer, from which
    one product per modality gives the gradient of W_k. One backward pass per projection, before the next
    projection of the same workspace is differentiated.

    Parameters
    ----------
    modalities : M tensors (B, d_k); they get no gradient.
    weights : M tensors (d_k, L * 4h), the copies' columns side by side.
    bias : Tensor of shape (L * 4h,)
    n_copies : L
    repeats : whether a row may be taken twice (its gradients are then added).
    workspace : memory to use again, for batches of at most the same size.
    """

    def __init__(
        self,
        modalities: Sequence[Tensor],
        weights: Sequence[Tensor],
        bias: Tensor,
        n_copies: int,
        repeats: bool = False,
        workspace: Workspace | None = None,
    ) -> None:
        self.M, self.B, self.L = len(modalities), len(modalities[0]), n_copies
        workspace = workspace or Workspace()
        values = workspace.empty(self.M * self.B * self.L, bias.shape[0] // n_copies, bias)
        self._shared = _Shared(modalities, values, n_copies, repeats, workspace)
        self._token = _Project.apply(self._shared, bias, *weights)

    def take(self, choice: Tensor) -> Tensor:
        """Return the product (L, B, 4h) of the modality chosen by copy and row: (L, B), -1 takes nothing.

        Where nothing is taken the result is some finite row, which must not enter a loss.
        """
        rows = torch.arange(self.B, device=choice.device)
        copies = torch.arange(self.L, device=choice.device).unsqueeze(1)
        index = (choice.clamp_min(0) * self.B + rows) * self.L + copies
        target = torch.where(choice < 0, self.M * self.B * self.L, index)
        return _Take.apply(self._token, self._shared, index, target)


class _Project(torch.autograd.Function):
    """Fill the values; the output is a token that ties the steps to this node."""

    @staticmethod
    def forward(ctx: Any, shared: _Shared, bias: Tensor, *weights: Tensor) -> Tensor:
        values = shared.values.view(len(weights), -1, len(bias))  # (M, B, L * 4h)
        for k, (x, W) in enumerate(zip(shared.modalities, weights, strict=True)):
            torch.addmm(bias, x, W, out=values[k])
        ctx.shared, ctx.columns = shared, len(bias)
        return bias.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.shared.modalities
        gradients = ctx.shared.gradients[:-1].view(len(inputs), -1, ctx.columns)
        products = [x.T @ g for x, g in zip(inputs, gradients, strict=True)]
        return None, gradients.flatten(0, 1).sum(0), *products


class _Take(torch.autograd.Function):
    """Rows of the values; backwards, their gradients go into the shared buffer."""

    @staticmethod
    def forward(ctx: Any, token: Tensor, shared: _Shared, index: Tensor, target: Tensor) -> Tensor:
        ctx.shared = shared
        ctx.save_for_backward(target, token)
        return shared.values.index_select(0, index.flatten()).view(*index.shape, shared.values.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        target, token = ctx.saved_tensors
        shared, columns = ctx.shared, grad.shape[-1]
        if shared.gradients is None:
            shared.gradients = shared.workspace.zeros(len(shared.values) + 1, columns, grad)
        rows, target = grad.reshape(-1, columns), target.flatten()
        if shared.repeats:
            shared.gradients.index_add_(0, target, rows)
        else:
            shared.gradients[target] = rows
        return torch.zeros_like(token), None, None, None
