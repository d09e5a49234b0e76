"""Which modality the decoder reads next, and the gradient that choice sends back: equations (9) and (10).

The paper's `argmax` lets no gradient through, so that as printed the modality head is never updated: a
parameter without a gradient is not decayed either. Every gradient here keeps the forward value a hard
one-hot choice, `prob_scale` apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

ORDERS = ("learned", "fixed", "random")
GRADIENTS = ("straight_through", "none", "prob_ratio", "gumbel", "prob_scale", "reinforce")


@dataclass(frozen=True)
class Picked:
    """One decoder step's choice."""

    weights: Tensor  # (B, m)  one-hot in value; carries the choice's gradient
    index: Tensor  # (B,)    chosen modality, -1 for a start token
    available: Tensor  # (B, m)  what is left
    log_probability: Tensor  # (B,)    log pi of the choice


@dataclass(frozen=True)
class ModalityChoice:
    """Choose among the modalities not read yet.

    Parameters
    ----------
    m : number of modalities.
    first_input : `s0` (equation (9) applied to s_0), `first` (modality 0) or `zeros` (a start token).
    order : `learned`, `fixed` (1..m, the ablation M3LA-order) or `random` (a permutation per example).
    gradient : one of `GRADIENTS`.
    allow_repeats : do not mask what was read before.
    """

    m: int
    first_input: str = "s0"
    order: str = "learned"
    gradient: str = "straight_through"
    allow_repeats: bool = False

    def __call__(self, t: int, u: Tensor, available: Tensor, noise: Tensor | None) -> Picked:
        """Choose at step t from logits u (B, m); `noise` (B, m) holds uniform numbers in (0, 1)."""
        if t == 0 and self.order == "learned" and self.first_input != "s0":
            return self._given_first(u, available)
        if self.order == "fixed":
            return self._hard(F.one_hot(u.new_full((len(u),), t, dtype=torch.long), self.m).to(u), available)
        if self.order == "random":
            if noise is None:
                raise ValueError("order='random' needs choice_noise")
            return self._hard(self._one_hot(noise.masked_fill(~available, -1)), available)
        return self._learned(u, available, noise)

    def _learned(self, u: Tensor, available: Tensor, noise: Tensor | None) -> Picked:
        logits = u if self.allow_repeats else u.masked_fill(~available, -torch.inf)
        log_pi = F.log_softmax(logits, dim=1)
        pi = log_pi.exp()
        if self.gradient in ("gumbel", "reinforce") and noise is not None:
            perturbed = logits - torch.log(-torch.log(noise))
            one_hot = self._one_hot(perturbed.detach())
            if self.gradient == "gumbel":
                pi = torch.softmax(perturbed, dim=1)
        else:
            one_hot = self._one_hot(logits.detach())
        # pi - stop(pi) first: it is exactly 0, so the forward value stays exactly one-hot.
        weights = {
            "straight_through": lambda: (pi - pi.detach()) + one_hot,
            "gumbel": lambda: (pi - pi.detach()) + one_hot,
            "prob_ratio": lambda: one_hot * (pi / pi.detach().clamp_min(torch.finfo(pi.dtype).tiny)),
            "prob_scale": lambda: one_hot * pi,
            "none": lambda: one_hot,
            "reinforce": lambda: one_hot,
        }[self.gradient]()
        index = one_hot.argmax(1)
        log_choice = log_pi.gather(1, index.unsqueeze(1)).squeeze(1)
        return Picked(weights, index, available & ~one_hot.bool(), log_choice)

    def _given_first(self, u: Tensor, available: Tensor) -> Picked:
        if self.first_input == "zeros":
            start = torch.zeros_like(u)
            return Picked(start, u.new_full((len(u),), -1, dtype=torch.long), available, u.new_zeros(len(u)))
        return self._hard(F.one_hot(u.new_zeros(len(u), dtype=torch.long), self.m).to(u), available)

    def _hard(self, one_hot: Tensor, available: Tensor) -> Picked:
        return Picked(
            one_hot, one_hot.argmax(1), available & ~one_hot.bool(), one_hot.new_zeros(len(one_hot))
        )

    def _one_hot(self, values: Tensor) -> Tensor:
        return F.one_hot(values.argmax(1), self.m).to(values)
