"""`baselines.sequential.reference` on a CPU, several times as fast: the same numbers by hand, and compiled.

Left to autograd, each step adds into every shared gradient, that of all products x^k W_k among them, to
which a step sends nearly nothing but zeros. Here the steps run forth and back without a graph. What a row
reads of the products gives way to the step's gates, and these on the way back to their gradient, so that the
gradient of each W_k is one product. No row may therefore read a modality twice; where it may, the reference
runs.

With the gates' sums a_t, c = c_{t-1}, c' = c_t and u = tanh(c')::

    a_t = x^k W_k + b + h_{t-1} U + (p_i c | p_f c | p_o c' | 0)       k = what was chosen
    c'  = f c + i g,    h_t = o u

backwards, from dh_t, which all heads from t on and the next step send, and dc' of the next step::

    do = dh_t u o (1 - o)               dc' += dh_t o (1 - u^2) + do p_o
    di = dc' g i (1 - i)                df = dc' c f (1 - f)               dg = dc' i (1 - g^2)
    dc = dc' f + di p_i + df p_f        dh_{t-1} += da_t U^T
    dU = sum_t h_{t-1}^T da_t           dW_k = x^k^T dP_k, where dP_k has da_t in the rows that read k at t

The heads' gradients need no recurrence, so that all of dh_t but the next step's part is there before it
starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from baselines.sequential import kernels
from baselines.sequential.reference import Weights
from benchmark.contracts import Array


def runs_on(tensor: Tensor) -> bool:
    """Whether the fast form runs on tensors like this one: on a CPU, in single and double precision."""
    return tensor.is_cpu and tensor.dtype in (torch.float32, torch.float64)


class Steps:
    """As `baselines.sequential.reference.Steps`, with the same arguments; no row reads a modality twice."""

    @torch.no_grad()
    def __init__(
        self, x: Sequence[Tensor], w: Weights, n_labelled: int, masks: Sequence[Tensor] | None = None
    ) -> None:
        self.x, self.w, self.n_labelled, self.masks = x, w, n_labelled, masks
        self.choices: list[Tensor] = []
        self.overwritten = False
        T, (L, h, _), B, M = len(w.V), w.U.shape, len(x[0]), len(x)
        new = w.U.new_empty
        self.products = new(M, B, L, 4 * h)
        for x_k, W, product in zip(x, w.W_in, self.products, strict=True):
            torch.mm(x_k, W, out=product.view(B, -1))
        self.was_read = torch.zeros(M, B, L, dtype=torch.bool)
        self.recurrent, self.history, self.cells = new(L, B, 4 * h), new(L, B, T * h), new(T + 1, L, B, h)
        self.cells[0] = 0
        self.bias = w.b_in.detach().view(L, 4 * h)
        self.peepholes = w.U.new_zeros(L, 3 * h) if w.peepholes is None else w.peepholes.detach().squeeze(1)
        self.logits = new(T, L, n_labelled, w.V[0].shape[2])
        self.preferences = w.U.new_zeros(T, L, B, M)

    @torch.no_grad()
    def read(self, choice: Tensor) -> tuple[Tensor, Tensor]:
        """As in the reference; the results are to be looked at, not to be differentiated."""
        w, t = self.w, len(self.choices)
        n = self._rows(t)
        self.choices.append(choice.contiguous())
        if t:
            torch.bmm(self._of(self.history, t - 1, t, n), w.U, out=self.recurrent[:, :n])
        given = _arrays(self.products, self.was_read, self.bias, self.peepholes, self.choices[t])
        kernels.lstm_step(*given, *_arrays(self.recurrent, self.cells, self.history), t, n)
        torch.baddbmm(w.b_label[t], self._seen(t), w.V[t], out=self.logits[t])
        source = self._of(self.history, self._first(t), t + 1, n)
        torch.baddbmm(w.b_modal[t], source, w.V_modal[t], out=self.preferences[t, :, :n])
        return self.logits[t], self.preferences[t]

    def heads(self) -> tuple[Tensor, Tensor]:
        """As in the reference."""
        w = self.w
        return _Heads.apply(self, *w.W_in, w.b_in, w.U, w.peepholes, *w.V, *w.b_label, *w.V_modal, *w.b_modal)

    def backward(self, grad_logits: Tensor, grad_preferences: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the weights, as `heads` lists them; once, as it uses up what `read` left.

        Raises
        ------
        RuntimeError
            The second time.
        """
        if self.overwritten:
            raise RuntimeError("a second backward pass through one forward pass; run the network again")
        self.overwritten = True
        grad_history = torch.zeros_like(self.history)
        of_heads = self._heads_backward(grad_logits, grad_preferences, grad_history)
        of_steps = self._steps_backward(grad_history)
        W_in = [x_k.T @ grad.flatten(1) for x_k, grad in zip(self.x, self.products, strict=True)]
        return (*W_in, *of_steps, *of_heads)

    def _heads_backward(
        self, grad_logits: Tensor, grad_preferences: Tensor, grad_history: Tensor
    ) -> list[Tensor | None]:
        """Return the gradients of all heads' weights, and add what they send to the history's."""
        w = self.w
        grads: list[list[Tensor | None]] = [[None] * len(w.V) for _ in range(4)]
        V, b_label, V_modal, b_modal = grads
        for t in range(len(self.choices)):
            grad, n = grad_logits[t], self.n_labelled
            V[t], b_label[t] = torch.bmm(self._seen(t).mT, grad), grad.sum(1, keepdim=True)
            sent = self._of(grad_history, 0, t + 1, n)
            if self.masks is None:
                sent.baddbmm_(grad, w.V[t].mT)
            else:
                sent.addcmul_(torch.bmm(grad, w.V[t].mT), self.masks[t])
            first, n = self._first(t), self._rows(t)
            grad, source = grad_preferences[t, :, :n], self._of(self.history, first, t + 1, n)
            V_modal[t], b_modal[t] = torch.bmm(source.mT, grad), grad.sum(1, keepdim=True)
            self._of(grad_history, first, t + 1, n).baddbmm_(grad, w.V_modal[t].mT)
        return [*V, *b_label, *V_modal, *b_modal]

    def _steps_backward(self, grad_history: Tensor) -> list[Tensor | None]:
        """Return the gradients of b_in, U and peepholes, and leave those of the products in their place."""
        w = self.w
        grad_hidden, grad_cell = torch.zeros_like(self.cells[0]), torch.zeros_like(self.cells[0])
        grad_bias, grad_peepholes = torch.zeros_like(self.bias), torch.zeros_like(self.peepholes)
        grad_U = torch.zeros_like(w.U)
        gradients = _arrays(grad_history, grad_hidden, grad_cell, grad_bias, grad_peepholes)
        for t in reversed(range(len(self.choices))):
            n, gates = self._rows(t), self.recurrent[:, : self._rows(t)]
            values = _arrays(self.products, self.peepholes, self.choices[t], self.recurrent, self.cells)
            kernels.lstm_step_backward(*values, *gradients, t, n)
            if t:
                torch.bmm(gates, w.U.mT, out=grad_hidden[:, :n])
                grad_U.baddbmm_(self._of(self.history, t - 1, t, n).mT, gates)
        kernels.clear_unread(*_arrays(self.products, self.was_read))
        peepholes = None if w.peepholes is None else grad_peepholes.unsqueeze(1)
        return [grad_bias.view(-1), grad_U, peepholes]

    def _rows(self, t: int) -> int:
        """How many rows take step t."""
        return self.n_labelled if t == len(self.w.V) - 1 else self.history.shape[1]

    def _first(self, t: int) -> int:
        """The first of the hidden states that step t's modality head looks at."""
        return t if self.w.V_modal[t].shape[1] == self.w.U.shape[1] else 0

    def _of(self, history: Tensor, start: int, stop: int, n: int) -> Tensor:
        """n rows' part of steps start..stop - 1, (L, n, (stop - start) h)."""
        h = self.w.U.shape[1]
        return history[:, :n, start * h : stop * h]

    def _seen(self, t: int) -> Tensor:
        """What step t's label head looks at."""
        seen = self._of(self.history, 0, t + 1, self.n_labelled)
        return seen if self.masks is None else seen * self.masks[t]


class _Heads(torch.autograd.Function):
    """What a batch's steps said, as a function of all weights."""

    @staticmethod
    def forward(ctx: Any, steps: Steps, *_: Tensor | None) -> tuple[Tensor, Tensor]:
        ctx.steps = steps
        taken = len(steps.choices)
        return steps.logits[:taken], steps.preferences[:taken]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_logits: Tensor, grad_preferences: Tensor) -> tuple[Tensor | None, ...]:
        return (None, *ctx.steps.backward(grad_logits.contiguous(), grad_preferences.contiguous()))


def _arrays(*tensors: Tensor) -> list[Array]:
    return [tensor.numpy() for tensor in tensors]
