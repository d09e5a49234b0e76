"""The decoder's attention, (6) and (7), forward and backward one step at a time; see `m3la.fast`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from m3la.fast import row_kernels
from m3la.fast.buffers import Views
from m3la.fast.decoder_buffers import DecoderBuffers
from m3la.fast.products import Matrices, add_product, matrix, product, transposed


class Attention:
    """The score function a(s, h_j) of (7) in one of four forms, with what its backward pass collects.

    Parameters
    ----------
    states : (n, B, m, 2h)
    W_key, W_query, v : (n, 2h, h), (n, h, h), (n, h)
        `mean` has none of them, `general` the first, `dot` the first two, `additive` all.
    buffers
        Where keys, queries, weights and their gradients are.
    views
        Of the parameters.
    """

    def __init__(
        self,
        states: Tensor,
        W_key: Tensor | None,
        W_query: Tensor | None,
        v: Tensor | None,
        buffers: DecoderBuffers,
        views: Views,
    ) -> None:
        self.has_keys, self.has_query, self.additive = (x is not None for x in (W_key, W_query, v))
        self.buffers = buffers
        self.states = Matrices(states.flatten(1, 2))  # (n, B m, 2h)
        self.scale = 1 / math.sqrt(buffers.keys.shape[-1]) if self.has_query else 1.0
        if W_key is not None:
            product(self.states, views.of("W_key", W_key, matrix), out=buffers.key_matrices)
            self.W_key_t = views.of("W_key^T", W_key, transposed)
        if W_query is not None:
            self.W_query = views.of("W_query", W_query, matrix)
            self.W_query_t = views.of("W_query^T", W_query, transposed)
        if v is not None:
            self.of_step = [x.numpy() for x in (buffers.keys, buffers.queries, v, buffers.alphas)]
            self.gradients = [
                x.numpy()
                for x in (buffers.grad_alpha, buffers.grad_keys, buffers.grad_queries, buffers.grad_v)
            ]

    def weigh(self, t: int) -> None:
        """Write alpha_t (n, B, m) for s_{t-1} to the buffers."""
        buffers = self.buffers
        if not self.has_keys:  # "mean"
            buffers.alphas[:, :, t] = 1 / buffers.alphas.shape[-1]
            return
        if not self.has_query:
            buffers.queries[:, t] = buffers.s[:, t]
        else:
            product(buffers.s_of[t], self.W_query, out=buffers.query_of[t])
        if self.additive:
            row_kernels.attend(*self.of_step, t)
        else:
            scores = (buffers.keys * buffers.queries[:, t].unsqueeze(2)).sum(3) * self.scale
            buffers.alphas[:, :, t] = torch.softmax(scores, dim=2)

    def backward(self, t: int) -> None:
        """Add this step's dL/ds_{t-1} to the carry, and collect what the weights' gradients need."""
        buffers = self.buffers
        if not self.has_keys:
            return
        first = t == buffers.alphas.shape[-1] - 1
        if self.additive:
            if first:
                buffers.grad_v.zero_()
            row_kernels.attend_backward(*self.of_step, *self.gradients, t, first)
        else:
            alpha, grad = buffers.alphas[:, :, t], buffers.grad_alpha
            grad_r = (alpha * (grad - (alpha * grad).sum(-1, keepdim=True))).unsqueeze(3) * self.scale
            if first:
                buffers.grad_keys.zero_()
            buffers.grad_keys += grad_r * buffers.queries[:, t].unsqueeze(2)
            torch.sum(buffers.keys * grad_r, 2, out=buffers.grad_queries[:, t])
        if not self.has_query:
            buffers.carry += buffers.grad_queries[:, t]
        else:
            add_product(buffers.carry_matrices, buffers.grad_query_of[t], self.W_query_t)

    def grad_states(self, grad: Tensor) -> Tensor:
        """Add dK_j W_key^T to dF_j W_att^T (n, B m, 2h)."""
        if self.has_keys:
            add_product(Matrices(grad), self.buffers.grad_key_matrices, self.W_key_t)
        return grad

    def grad_weights(self, give: Any) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """dW_key, dW_query and dv, after `grad_states`; `give` may leave their factors instead."""
        if not self.has_keys:
            return None, None, None
        grad_query = give("W_query", self.buffers.before, self.buffers.asked) if self.has_query else None
        grad_v = self.buffers.grad_v.clone() if self.additive else None
        return give("W_key", self.states, self.buffers.grad_key_matrices), grad_query, grad_v
