"""The label predictions of all steps, (11), as one operation with a hand-written backward pass.

With own logits a_t = s_t W_label^T + b_label (made outside), p = softmax or sigmoid of z, and what a step
feeds back to the next one, f(z)::

    z_1 = a_1                 log p_t,  log c_t = log(1 - p_t)
    z_t = a_t + f(z_{t-1}) W_co

backward, from the gradients of log p and log c::

    softmax     e = dlog p - p dlog c / c,  dz = e - p sum(e), of p > 1/2 rearranged
    sigmoid     dz = c dlog p - p dlog c
    dz_{t-1} += f'(z_{t-1}) (dz_t W_co^T),  dW_co = sum_t f(z_{t-1})^T dz_t

where f is p (`probabilities`; `detach` sends nothing back), log p - log c (`logits`) or p rounded (`hard`).
Left to autograd, these few small matrices would keep a hundred nodes. The softmax with its usual feedback is
compiled (`m3la.fast.label_kernels`); the rest are operators on tensors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from m3la.fast import label_kernels
from m3la.reference import log_probabilities

COMPILED_FEEDBACK = "probabilities", "detach"
"""Forms of f for which `m3la.fast.label_kernels` has the softmax's steps; the others are rarely used."""


def label_steps(own: Tensor, W_co: Tensor | None, activation: str, feedback: str) -> tuple[Tensor, Tensor]:
    """Predict the labels m times.

    Parameters
    ----------
    own : ([n,] m, B, q)
        Logits from the decoder's states alone.
    W_co : ([n,] q, q) or None
        Label correlation; None: no step hears of another.
    activation : `softmax` or `sigmoid`.
    feedback : `probabilities`, `detach`, `logits` or `hard`.

    Returns
    -------
    log_p, log_complement : ([n,] m, B, q)
    """
    connected = W_co if own.shape[-3] > 1 else None  # a single step tells nothing to another
    return _LabelSteps.apply(own, connected, activation, feedback)


class _LabelSteps(torch.autograd.Function):
    """See the module's docstring for the derivation."""

    @staticmethod
    def forward(
        ctx: Any, own: Tensor, W_co: Tensor | None, activation: str, feedback: str
    ) -> tuple[Tensor, Tensor]:
        ctx.activation, ctx.feedback, ctx.shape = activation, feedback, own.shape
        ctx.co_shape = None if W_co is None else W_co.shape
        m, B, q = own.shape[-3:]
        z = own.reshape(-1, m, B, q).contiguous()
        W = None if W_co is None else W_co.reshape(-1, q, q)
        ctx.compiled = activation == "softmax" and feedback in COMPILED_FEEDBACK
        if ctx.compiled:
            log_p, log_complement, p, c, fed_back = _compiled_forward(z, W)
        else:
            log_p, log_complement, p, c, fed_back = _forward(z, W, activation, feedback)
        ctx.save_for_backward(p, c, fed_back, W)
        return log_p.view(own.shape), log_complement.view(own.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_p: Tensor, grad_complement: Tensor) -> tuple[Tensor | None, ...]:
        p, c, fed_back, W_co = ctx.saved_tensors
        grads = grad_p.reshape(p.shape), grad_complement.reshape(p.shape)
        if ctx.compiled:
            grad = _compiled_backward(*grads, p, c, W_co, ctx.feedback)
        else:
            grad = _backward(*grads, p, c, W_co, ctx.activation, ctx.feedback)
        if W_co is None:
            return grad.view(ctx.shape), None, None, None
        grad_W_co = torch.bmm(fed_back.flatten(1, 2).mT, grad[:, 1:].flatten(1, 2))
        return grad.view(ctx.shape), grad_W_co.view(ctx.co_shape), None, None


Predictions = tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]
"""log p, log c, p, c (n, m, B, q), and what each step but the last feeds back (n, m - 1, B, q)."""


def _forward(z: Tensor, W_co: Tensor | None, activation: str, feedback: str) -> Predictions:
    """Predict from own logits z (n, m, B, q) and W_co (n, q, q), in operators on tensors."""
    fed_back = None
    if W_co is not None:
        z, fed_back = z.clone(), torch.empty_like(z[:, 1:])
        logits = z.unbind(1)
        for t, of_step in enumerate(fed_back.unbind(1)):
            _feed_back(logits[t], activation, feedback, out=of_step)
            logits[t + 1].baddbmm_(of_step, W_co)
    log_p, log_complement = log_probabilities(z, activation)
    return log_p, log_complement, log_p.exp(), log_complement.exp(), fed_back


def _compiled_forward(z: Tensor, W_co: Tensor | None) -> Predictions:
    """Do the same, each row at once, for the softmax and what `COMPILED_FEEDBACK` says."""
    log_p, p, c = z.clone(), torch.empty_like(z), torch.empty_like(z)
    arrays = [x.numpy() for x in (log_p, p, c)]
    p_of, logits = p.unbind(1), log_p.unbind(1)
    for t in range(len(logits)):
        if t and W_co is not None:
            logits[t].baddbmm_(p_of[t - 1], W_co)
        label_kernels.label_scores(*arrays, t)
    return log_p, c.log(), p, c, None if W_co is None else p[:, :-1]


def _backward(
    grad_p: Tensor, grad_c: Tensor, p: Tensor, c: Tensor, W_co: Tensor | None, activation: str, feedback: str
) -> Tensor:
    """dL/dz (n, m, B, q) from the gradients of log p and log c, in operators on tensors."""
    scores = _Scores(p, c, activation == "softmax")
    grad = scores.backward(grad_p, grad_c)
    if W_co is not None and feedback in ("probabilities", "logits"):
        of_step, back = grad.unbind(1), W_co.mT
        for t in range(len(of_step) - 2, -1, -1):
            of_step[t].add_(scores.feedback_backward(t, torch.bmm(of_step[t + 1], back), feedback))
    return grad


def _compiled_backward(
    grad_p: Tensor, grad_c: Tensor, p: Tensor, c: Tensor, W_co: Tensor | None, feedback: str
) -> Tensor:
    """Do the same, each row at once."""
    grad = torch.empty_like(p)
    arrays = [x.contiguous().numpy() for x in (grad_p, grad_c, p, c)]
    of_step, nothing = grad.unbind(1), p.new_empty(len(p), 0, p.shape[-1])
    for t in reversed(range(len(of_step))):
        of_fed_back = nothing
        if W_co is not None and feedback == "probabilities" and t + 1 < len(of_step):
            of_fed_back = torch.bmm(of_step[t + 1], W_co.mT)
        label_kernels.label_scores_backward(*arrays, of_fed_back.numpy(), grad.numpy(), t)
    return grad


def _feed_back(z: Tensor, activation: str, feedback: str, out: Tensor) -> None:
    """Write what of a step's logits (n, B, q) enters the next step's."""
    if feedback == "logits":
        log_p, log_complement = log_probabilities(z, activation)
        torch.sub(log_p, log_complement, out=out)
        return
    if activation == "softmax":
        torch.softmax(z, -1, out=out)
    else:
        torch.sigmoid(z, out=out)
    if feedback == "hard":
        out.copy_(out >= 0.5)


class _Scores:
    """p and c of all steps, (n, m, B, q), and how gradients pass through them."""

    def __init__(self, p: Tensor, c: Tensor, softmax: bool) -> None:
        self.p, self.c, self.softmax = p, c, softmax

    def backward(self, grad_p: Tensor, grad_c: Tensor, t: int | slice = slice(None)) -> Tensor:
        """dL/dz of step t, all by default, from the gradients of log p and log c."""
        p, c = self.p[:, t], self.c[:, t]
        if not self.softmax:
            return c * grad_p - p * grad_c
        # Where c underflowed, log c is a constant; twice, as c came through a logarithm.
        of_log_c = torch.where(c > 2 * torch.finfo(c.dtype).tiny, grad_c, 0)
        e = torch.addcdiv(grad_p, of_log_c * p, c, value=-1)
        # Of what exceeds 1/2, e - p e = c e, without the difference of two large numbers.
        likely = p > 0.5
        others = e.masked_fill(likely, 0).sum(-1, keepdim=True)
        of_likely = c * grad_p - of_log_c * p - p * others
        return torch.where(likely, of_likely, torch.addcmul(e, p, e.sum(-1, keepdim=True), value=-1))

    def feedback_backward(self, t: int, grad: Tensor, feedback: str) -> Tensor:
        """dL/dz of step t from that of what it fed back (n, B, q), logits or a sigmoid's probabilities."""
        if feedback == "logits":
            return self.backward(grad, -grad, t)
        return grad * self.p[:, t] * self.c[:, t]
