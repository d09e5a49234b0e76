"""The label predictions of all steps, equation (11), as one differentiable operation.

With own logits a_t = s_t W_label^T + b_label (made outside), p = softmax or sigmoid of z, and what a step
tells the next one, f(z)::

    z_1 = a_1                 log p_t,  log c_t = log(1 - p_t)
    z_t = a_t + f(z_{t-1}) W_co

backward, from the gradients of log p and log c::

    softmax     e = dlog p - p dlog c / c,  dz = e - p sum(e), of p > 1/2 rearranged
    sigmoid     dz = c dlog p - p dlog c
    dz_{t-1} += f'(z_{t-1}) (dz_t W_co^T),  dW_co = sum_t f(z_{t-1})^T dz_t

where f is p (`probabilities`; `detach` sends nothing back), log p - log c (`logits`) or p rounded (`hard`).
Left to autograd, these few small matrices would keep a hundred nodes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from m3la.tensor_kernels import softmax_gradient


def label_log_scores(z: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    """Return log p and log(1 - p) of logits (.., q), finite where float arithmetic of 1 - p would be 0.

    Only one entry of a softmax can exceed 1/2, also in floating point, as exp(-log 2) is rounded to 1/2 at
    most; its complement is the sum of the others.
    """
    if activation == "sigmoid":
        return F.logsigmoid(z), F.logsigmoid(-z)
    if z.shape[-1] == 1:
        raise ValueError(
            "label_activation='softmax' needs at least two labels; use label_activation='sigmoid'"
        )
    log_p = F.log_softmax(z, dim=-1)
    p = log_p.exp()
    likely = p > 0.5
    others = p.masked_fill(likely, 0).sum(-1, keepdim=True)
    complement = torch.where(likely, others, 1 - p)
    return log_p, complement.clamp_min(torch.finfo(p.dtype).tiny).log()


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
        m, B, q = own.shape[-3:]
        z = own.reshape(-1, m, B, q)
        told, ctx.co_shape = None, None if W_co is None else W_co.shape
        if W_co is not None:
            W_co = W_co.view(-1, q, q)
            z, told = z.clone(), torch.empty_like(z[:, 1:])
            logits = z.unbind(1)
            for t, tell in enumerate(told.unbind(1)):
                _tell(logits[t], activation, feedback, out=tell)
                logits[t + 1].baddbmm_(tell, W_co)
        log_p, log_complement = label_log_scores(z, activation)
        ctx.save_for_backward(log_p, log_complement, told, W_co)
        return log_p.view(own.shape), log_complement.view(own.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_p: Tensor, grad_complement: Tensor) -> tuple[Tensor | None, ...]:
        log_p, log_complement, told, W_co = ctx.saved_tensors
        scores = _Scores(log_p, log_complement, ctx.activation)
        grad = scores.backward(grad_p.reshape(log_p.shape), grad_complement.reshape(log_p.shape))
        if W_co is None:
            return grad.view(ctx.shape), None, None, None
        m, back = log_p.shape[1], W_co.mT
        if ctx.feedback in ("probabilities", "logits"):
            of_step = grad.unbind(1)
            for t in range(m - 2, -1, -1):
                of_step[t].add_(scores.told_backward(t, torch.bmm(of_step[t + 1], back), ctx.feedback))
        grad_W_co = torch.bmm(told.flatten(1, 2).mT, grad[:, 1:].flatten(1, 2))
        return grad.view(ctx.shape), grad_W_co.view(ctx.co_shape), None, None


def _tell(z: Tensor, activation: str, feedback: str, out: Tensor) -> None:
    """Write what of a step's logits (n, B, q) enters the next: 'the prediction of the previous step'."""
    if feedback == "logits":
        log_p, log_complement = label_log_scores(z, activation)
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

    def __init__(self, log_p: Tensor, log_complement: Tensor, activation: str) -> None:
        self.softmax = activation == "softmax"
        self.p, self.c = log_p.exp(), log_complement.exp()

    def backward(self, grad_p: Tensor, grad_c: Tensor, t: int | slice = slice(None)) -> Tensor:
        """dL/dz of step t, all by default, from the gradients of log p and log c."""
        p, c = self.p[:, t], self.c[:, t]
        if not self.softmax:
            return c * grad_p - p * grad_c
        # Where c underflowed, log c is a constant; twice, as c came through a logarithm.
        kept = torch.where(c > 2 * torch.finfo(c.dtype).tiny, grad_c, 0)
        e = torch.addcdiv(grad_p, kept * p, c, value=-1)
        # Of what exceeds 1/2, e - p e = c e, without the difference of two large numbers.
        likely = p > 0.5
        others = e.masked_fill(likely, 0).sum(-1, keepdim=True)
        of_likely = c * grad_p - kept * p - p * others
        return torch.where(likely, of_likely, torch.addcmul(e, p, e.sum(-1, keepdim=True), value=-1))

    def told_backward(self, t: int, grad: Tensor, feedback: str) -> Tensor:
        """dL/dz of step t from that of what it told the next step (n, B, q)."""
        if feedback == "logits":
            return self.backward(grad, -grad, t)
        if not self.softmax:
            return grad * self.p[:, t] * self.c[:, t]
        return softmax_gradient(self.p[:, t], grad)
