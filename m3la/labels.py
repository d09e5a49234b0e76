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

from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from m3la import kernels, label_kernels
from m3la.tensor_kernels import softmax_gradient

compiled: ModuleType = label_kernels  # of its functions numba's annotations know too little
COMPILED_FEEDBACK = "probabilities", "detach"
"""Forms of f for which `m3la.label_kernels` has the softmax's steps; the others are rarely used."""


def label_log_scores(z: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    """Return log p and log(1 - p) of logits (.., q), finite where float arithmetic of 1 - p would be 0.

    Only one entry of a softmax can exceed 1/2, also in floating point, as exp(-log 2) is rounded to 1/2 at
    most; its complement is the sum of the others.
    """
    if activation == "sigmoid":
        return F.logsigmoid(z), F.logsigmoid(-z)
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

    Raises
    ------
    ValueError
        For the softmax of a single label, which is 1 whatever its logit.
    """
    if activation == "softmax" and own.shape[-1] == 1:
        raise ValueError(
            "label_activation='softmax' needs at least two labels; use label_activation='sigmoid'"
        )
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
        ctx.compiled = kernels.compiles_for(own) and activation == "softmax" and feedback in COMPILED_FEEDBACK
        form = _compiled_forward if ctx.compiled else _forward
        log_p, log_complement, p, c, told = form(z, W, activation, feedback)
        ctx.save_for_backward(p, c, told, W)
        return log_p.view(own.shape), log_complement.view(own.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_p: Tensor, grad_complement: Tensor) -> tuple[Tensor | None, ...]:
        p, c, told, W_co = ctx.saved_tensors
        form = _compiled_backward if ctx.compiled else _backward
        grads = grad_p.reshape(p.shape), grad_complement.reshape(p.shape)
        grad = form(*grads, p, c, W_co, ctx.activation, ctx.feedback)
        if W_co is None:
            return grad.view(ctx.shape), None, None, None
        grad_W_co = torch.bmm(told.flatten(1, 2).mT, grad[:, 1:].flatten(1, 2))
        return grad.view(ctx.shape), grad_W_co.view(ctx.co_shape), None, None


Predictions = tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]
"""log p, log c, p, c (n, m, B, q), and what each step but the last tells the next (n, m - 1, B, q)."""


def _forward(z: Tensor, W_co: Tensor | None, activation: str, feedback: str) -> Predictions:
    """Predict from own logits z (n, m, B, q) and W_co (n, q, q), in operators on tensors."""
    told = None
    if W_co is not None:
        z, told = z.clone(), torch.empty_like(z[:, 1:])
        logits = z.unbind(1)
        for t, tell in enumerate(told.unbind(1)):
            _tell(logits[t], activation, feedback, out=tell)
            logits[t + 1].baddbmm_(tell, W_co)
    log_p, log_complement = label_log_scores(z, activation)
    return log_p, log_complement, log_p.exp(), log_complement.exp(), told


def _compiled_forward(z: Tensor, W_co: Tensor | None, *_: str) -> Predictions:
    """Do the same, each row at once, on a CPU; for what `COMPILED_FEEDBACK` says."""
    log_p, p, c = z.clone(), torch.empty_like(z), torch.empty_like(z)
    arrays = [x.numpy() for x in (log_p, p, c)]
    told, logits = p.unbind(1), log_p.unbind(1)
    for t in range(len(logits)):
        if t and W_co is not None:
            logits[t].baddbmm_(told[t - 1], W_co)
        compiled.label_scores(*arrays, t)
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
            of_step[t].add_(scores.told_backward(t, torch.bmm(of_step[t + 1], back), feedback))
    return grad


def _compiled_backward(
    grad_p: Tensor, grad_c: Tensor, p: Tensor, c: Tensor, W_co: Tensor | None, _: str, feedback: str
) -> Tensor:
    """Do the same, each row at once."""
    grad = torch.empty_like(p)
    arrays = [x.contiguous().numpy() for x in (grad_p, grad_c, p, c)]
    of_step, nothing = grad.unbind(1), p.new_empty(len(p), 0, p.shape[-1])
    for t in reversed(range(len(of_step))):
        of_told = nothing
        if W_co is not None and feedback == "probabilities" and t + 1 < len(of_step):
            of_told = torch.bmm(of_step[t + 1], W_co.mT)
        compiled.label_scores_backward(*arrays, of_told.numpy(), grad.numpy(), t)
    return grad


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

    def __init__(self, p: Tensor, c: Tensor, softmax: bool) -> None:
        self.p, self.c, self.softmax = p, c, softmax

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
