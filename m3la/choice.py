"""Which modality the decoder reads next, and the gradient that choice sends back: equations (9) and (10).

The paper's `argmax` lets no gradient through, so that as printed the modality head is never updated: a
parameter without a gradient is not decayed either. Every gradient here keeps the forward value a hard
one-hot choice, `prob_scale` apart. The decoder's input is x_t = sum_k w_k P_k for the modalities' products
P_k; with c_k = dL/dw_k = <dL/dx_t, P_k> ("credit"), choice o, its one-hot vector 1_o and
pi = softmax(u) over what is available::

    straight_through, gumbel   w = 1_o + pi - stop(pi)      dL/du = pi (c - <pi, c>)
    prob_ratio                 w = 1_o pi_o / stop(pi_o)    dL/du = c_o (1_o - pi)
    prob_scale                 w = 1_o pi_o                 dL/du = pi_o c_o (1_o - pi)
    reinforce                  w = 1_o                      dL/du = dL/dlog(pi_o) (1_o - pi)
    none                       w = 1_o                      nothing

`gumbel` samples o, and takes pi, from logits with Gumbel noise; `reinforce` samples o.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Picked:
    """One decoder step's choice."""

    index: Tensor  # (B,)    chosen modality, -1 for a start token
    available: Tensor  # (B, m)  what is left
    pi: Tensor | None = None  # (B, m)  None where the choice was not learned

    def of_chosen(self, values: Tensor) -> Tensor:
        """Return the chosen modality's entry (B,) of values (B, m)."""
        return values.gather(1, self.index.unsqueeze(1)).squeeze(1)


@dataclass(frozen=True)
class ModalityChoice:
    """Choose among the modalities not read yet.

    Parameters
    ----------
    m : number of modalities.
    first_input : `s0` (equation (9) applied to s_0), `first` (modality 0) or `zeros` (a start token).
    order : `learned`, `fixed` (1..m, the ablation M3LA-order) or `random` (a permutation per example).
    gradient : a row of the module's table.
    allow_repeats : do not mask what was read before.
    """

    m: int
    first_input: str = "s0"
    order: str = "learned"
    gradient: str = "straight_through"
    allow_repeats: bool = False

    @property
    def reads_each_once(self) -> bool:
        """Whether the m steps read every modality exactly once."""
        return not (self.order == "learned" and (self.allow_repeats or self.first_input == "zeros"))

    def needs_credit(self, t: int) -> bool:
        """Whether step t's gradient depends on dL/dw; with one modality left there is nothing to learn."""
        if self.order != "learned" or self.gradient in ("none", "reinforce"):
            return False
        return t < self.m - 1 or not self.reads_each_once or self.gradient == "prob_scale"

    def __call__(self, t: int, u: Tensor, available: Tensor, noise: Tensor | None) -> Picked:
        """Choose at step t from logits u (B, m); `noise` (B, m) holds uniform numbers in (0, 1)."""
        if self.order == "fixed":
            return self._given(u.new_full((len(u),), t, dtype=torch.long), available)
        if self.order == "random":
            if noise is None:
                raise ValueError("order='random' needs choice_noise")
            return self._given(noise.masked_fill(~available, -1).argmax(1), available)
        if t == 0 and self.first_input == "first":
            return self._given(u.new_zeros(len(u), dtype=torch.long), available)
        if t == 0 and self.first_input == "zeros":
            return Picked(u.new_full((len(u),), -1, dtype=torch.long), available)
        return self._learned(u, available, noise)

    def _learned(self, u: Tensor, available: Tensor, noise: Tensor | None) -> Picked:
        logits = u if self.allow_repeats else u.masked_fill(~available, -torch.inf)
        judged = logits
        if self.gradient in ("gumbel", "reinforce") and noise is not None:
            judged = logits - torch.log(-torch.log(noise))
        pi = torch.softmax(judged if self.gradient == "gumbel" else logits, dim=1)
        return self._given(judged.argmax(1), available, pi)

    def _given(self, index: Tensor, available: Tensor, pi: Tensor | None = None) -> Picked:
        return Picked(index, available.scatter(1, index.unsqueeze(1), False), pi)

    def _start_token(self, picked: Picked) -> bool:
        return picked.pi is None and self.order == "learned" and self.first_input == "zeros"

    def read(self, picked: Picked, products: Tensor, starts: Tensor) -> Tensor | None:
        """Return w_o P_o (B, c) of the products P (B m, c); None where a start token reads nothing.

        `starts` (B,) holds each example's first row of P: 0, m, 2m, ..
        """
        if self._start_token(picked):
            return None
        chosen = products.index_select(0, starts + picked.index)
        return chosen.mul_(self._weight(picked)) if self._scales(picked) else chosen

    def shares(self, steps: Sequence[Picked], like: Tensor) -> Tensor:
        """Return w (B, t, k) of all steps, which `read` applied."""
        found = torch.zeros_like(like)
        for t, picked in enumerate(steps):
            if not self._start_token(picked):
                weight = self._weight(picked) if self._scales(picked) else 1.0
                found[:, t].scatter_(1, picked.index.unsqueeze(1), weight)
        return found

    def _scales(self, picked: Picked) -> bool:
        return self.gradient == "prob_scale" and picked.pi is not None

    def _weight(self, picked: Picked) -> Tensor:
        """pi_o (B, 1)."""
        assert picked.pi is not None
        return picked.of_chosen(picked.pi).unsqueeze(1)

    def log_probabilities(self, picked: Sequence[Picked], like: Tensor) -> Tensor:
        """Return log pi_o (m, B) where `reinforce` needs it, else zeros."""
        found = like.new_zeros(self.m, len(like))
        if self.gradient == "reinforce":
            for t, step in enumerate(picked):
                if step.pi is not None:
                    found[t] = step.of_chosen(step.pi).log()
        return found

    def trains(self, picked: Picked) -> bool:
        """Whether the choice sends a gradient to the modality head."""
        return picked.pi is not None and self.gradient != "none"

    def logit_gradient(
        self, picked: Picked, credit: Tensor | None, grad_log_probability: Tensor | None
    ) -> Tensor | None:
        """Return dL/du (B, m) from the credit (B, m) and dL/dlog pi_o (B,); None where nothing flows."""
        pi = picked.pi
        if pi is None or not self.trains(picked):
            return None
        if self.gradient == "reinforce":
            return None if grad_log_probability is None else self._towards(picked, pi, grad_log_probability)
        if credit is None:
            return None
        if self.gradient in ("straight_through", "gumbel"):
            return pi * (credit - (pi * credit).sum(1, keepdim=True))
        size = picked.of_chosen(credit)
        if self.gradient == "prob_scale":
            size = size * picked.of_chosen(pi)
        return self._towards(picked, pi, size)

    def _towards(self, picked: Picked, pi: Tensor, size: Tensor) -> Tensor:
        """size (1_o - pi)."""
        return (F.one_hot(picked.index, self.m) - pi) * size.unsqueeze(1)
