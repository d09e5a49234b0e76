"""The same network and parameters with every derivative left to autograd: the oracle for `m3la.fused`.

Written for all options, with surrogate weights for the choice's gradients, one step after the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from m3la.labels import label_log_scores
from m3la.model import M3LANet, Steps


class AutogradNet(M3LANet):
    def forward(
        self,
        modalities: Sequence[Tensor],
        choice_noise: Tensor | None = None,
        dropout_generator: torch.Generator | None = None,
    ) -> Steps:
        h, m, options = self.h, self.m, self.options
        order = options.encoder_order or tuple(range(m))
        B = len(modalities[0])
        zero = modalities[0].new_zeros(B, h)
        products = [x @ torch.cat(W.unbind(0), 1) for x, W in zip(modalities, self.W_in, strict=True)]
        reading = [products[k][:, : 6 * h] + self.b_in for k in order]
        forwards, backwards = [zero], [zero]
        for t in range(m):
            forwards.append(gru(reading[t][:, : 3 * h], forwards[-1], self.U_enc[0], self.b_enc[0]))
            backwards.append(gru(reading[-1 - t][:, 3 * h :], backwards[-1], self.U_enc[1], self.b_enc[1]))
        states = torch.stack([torch.cat((forwards[t + 1], backwards[m - t]), 1) for t in range(m)])
        s = self._initial_state(states.transpose(0, 1), states[-1])
        blocks = torch.stack([P[:, 6 * h :] for P in products], 1)
        available = torch.ones(B, m, dtype=torch.bool)
        every_s, orders, alphas, log_choices = [], [], [], []
        for t in range(m):
            u = s @ self.W_modal.T + self.b_modal
            noise = None if choice_noise is None else choice_noise[:, t]
            weights, index, available, log_choice = self.choice_with_surrogate(t, u, available, noise)
            x_t = (weights.unsqueeze(2) * blocks).sum(1)
            alpha = torch.softmax(self.attention_scores(s, states), 1)
            a_t = (alpha.T.unsqueeze(2) * states).sum(0)
            s = gru(x_t + a_t @ self.W_att + self.b_x, s, self.U_dec, self.b_dec)
            every_s.append(s)
            orders.append(index)
            alphas.append(alpha)
            log_choices.append(log_choice)
        log_p, log_complement = self.labels_step_by_step(
            self._dropout(torch.stack(every_s), dropout_generator)
        )
        return Steps(
            log_p, log_complement, torch.stack(orders, 1), torch.stack(alphas, 1), torch.stack(log_choices)
        )

    def attention_scores(self, s: Tensor, states: Tensor) -> Tensor:
        kind = self.options.attention
        if kind == "mean":
            return s.new_zeros(len(s), self.m)
        keys = states @ self.W_key
        if kind == "additive":
            return (torch.tanh(s @ self.W_query + keys) @ self.v_score).T
        query = s if kind == "general" else s @ self.W_query / math.sqrt(self.h)
        return (keys * query).sum(2).T

    def choice_with_surrogate(
        self, t: int, u: Tensor, available: Tensor, noise: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        options, nothing = self.options, u.new_zeros(len(u))
        if options.order == "fixed":
            index = torch.full((len(u),), t)
        elif options.order == "random":
            assert noise is not None
            index = noise.masked_fill(~available, -1).argmax(1)
        elif t == 0 and options.first_input == "zeros":
            return torch.zeros_like(u), torch.full((len(u),), -1), available, nothing
        elif t == 0 and options.first_input == "first":
            index = torch.zeros(len(u), dtype=torch.long)
        else:
            return self.learned_choice(u, available, noise)
        one_hot = F.one_hot(index, self.m)
        return one_hot.to(u), index, available & ~one_hot.bool(), nothing

    def learned_choice(
        self, u: Tensor, available: Tensor, noise: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        kind = self.options.order_gradient
        logits = u if self.options.allow_repeats else u.masked_fill(~available, -torch.inf)
        judged = logits if noise is None else logits - torch.log(-torch.log(noise))
        index = judged.argmax(1)
        one_hot = F.one_hot(index, self.m).to(u)
        pi = torch.softmax(judged if kind == "gumbel" else logits, 1)
        weights = {
            "straight_through": one_hot + pi - pi.detach(),
            "gumbel": one_hot + pi - pi.detach(),
            "prob_ratio": one_hot * (pi / pi.detach().clamp_min(1e-300)),
            "prob_scale": one_hot * pi,
            "none": one_hot,
            "reinforce": one_hot,
        }[kind]
        return weights, index, available & ~one_hot.bool(), (pi * one_hot).sum(1).log()

    def labels_step_by_step(self, every_s: Tensor) -> tuple[Tensor, Tensor]:
        activation = self.options.label_activation
        found: list[tuple[Tensor, Tensor]] = []
        for t, s in enumerate(every_s):
            head = min(t, len(self.W_label) - 1)
            z = s @ self.W_label[head].T + self.b_label[head]
            if t and self.options.label_correlation:
                log_p, log_complement = found[-1]
                p = log_p.exp()
                fed_back = {
                    "probabilities": p,
                    "detach": p.detach(),
                    "logits": log_p - log_complement,
                    "hard": (p.detach() >= 0.5).to(p),
                }[self.options.feedback]
                diagonal = torch.eye(self.q) if self.options.w_co_diagonal == "zero" else torch.zeros(1)
                z = z + fed_back @ (self.W_co * (1 - diagonal))
            found.append(label_log_scores(z, activation))
        return torch.stack([a for a, _ in found]), torch.stack([b for _, b in found])


def gru(inputs: Tensor, hidden: Tensor, U: Tensor, b: Tensor) -> Tensor:
    """One GRU step of (B, 3h) inputs, as `torch.nn.GRUCell` defines it; U and b have the candidate first."""
    i_r, i_z, i_n = inputs.chunk(3, 1)
    g_n, g_r, g_z = (hidden @ U + b).chunk(3, 1)
    r, z = torch.sigmoid(i_r + g_r), torch.sigmoid(i_z + g_z)
    return (1 - z) * torch.tanh(i_n + r * g_n) + z * hidden
