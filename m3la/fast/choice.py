"""Which modality the decoder reads next, (9), and the gradient that choice sends back; see `m3la.fast`.

The paper's `argmax` lets no gradient through, so that as printed the modality head is never updated: a
parameter without a gradient is not decayed either. The decoder's input is sum_k w_k P_k for the modalities'
products P_k; with c_k = dL/dw_k = <dL/dx_t, P_k> ("credit"), choice o, its one-hot vector 1_o and
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

from m3la.fast import row_kernels
from m3la.reference import ModelOptions


class ChoiceMemory:
    """Working memory of the choices for B rows among m modalities, in m steps.

    Attributes
    ----------
    u, pi, grad_u : (m, B, m)
        Each step's logits, which a choice may overwrite, its probabilities, and dL/du.
    credit : (B, m)
        dL/dw of the step that is gone back through.
    index : (m, B)
        What was chosen; -1 stands for a start token.
    available : (B, m)
        What is left.
    discarded : (B, m)
        Where probabilities go that nobody asks for.
    """

    def __init__(self, like: Tensor, B: int, m: int) -> None:
        new = like.new_empty
        self.u, self.pi, self.grad_u, self.credit = new(m, B, m), new(m, B, m), new(m, B, m), new(B, m)
        self.index = new(m, B, dtype=torch.long)
        self.available = new(B, m, dtype=torch.bool)
        self.discarded = new(B, m).numpy()
        self.of_pick = [
            [x.numpy() for x in (self.u[t], self.available, self.pi[t], self.index[t])] for t in range(m)
        ]
        self.of_softmax = [[x.numpy() for x in (self.pi[t], self.credit, self.grad_u[t])] for t in range(m)]


@dataclass(frozen=True)
class Picked:
    """One decoder step's choice."""

    index: Tensor  # (B,)    chosen modality, -1 for a start token
    pi: Tensor | None = None  # (B, m)  None where the choice was not learned

    def of_chosen(self, values: Tensor) -> Tensor:
        """Return the chosen modality's entry (B,) of values (B, m)."""
        return values.gather(1, self.index.unsqueeze(1)).squeeze(1)


@dataclass(frozen=True)
class ModalityChoice:
    """Choose among the m modalities those not read yet, as the options say."""

    m: int
    options: ModelOptions

    @property
    def gradient(self) -> str:
        """Which row of the module's table."""
        return self.options.order_gradient

    @property
    def reads_each_once(self) -> bool:
        """Whether the m steps read every modality exactly once."""
        if self.options.order != "learned":
            return True
        return not self.options.allow_repeats and self.options.first_input != "zeros"

    def needs_credit(self, t: int) -> bool:
        """Whether step t's gradient depends on dL/dw; with one modality left there is nothing to learn."""
        if self.options.order != "learned" or self.gradient in ("none", "reinforce"):
            return False
        return t < self.m - 1 or not self.reads_each_once

    def __call__(self, t: int, memory: ChoiceMemory, noise: Tensor | None) -> Picked:
        """Choose at step t from the logits in memory; `noise` (B, m) holds uniform numbers in (0, 1)."""
        index, available, options = memory.index[t], memory.available, self.options
        if options.order == "learned" and (t > 0 or options.first_input == "s0"):
            return self._learned(t, memory, noise)
        if options.order == "fixed":
            index.fill_(t)
        elif options.order == "random":
            if noise is None:
                raise ValueError("order='random' draws orders from noise; pass choice_noise to the network")
            torch.argmax(noise.masked_fill(~available, -1), 1, out=index)
        else:
            index.fill_(0 if options.first_input == "first" else -1)
        if options.order != "learned" or (options.first_input == "first" and not options.allow_repeats):
            available.scatter_(1, index.unsqueeze(1), False)
        return Picked(index)

    def _learned(self, t: int, memory: ChoiceMemory, noise: Tensor | None) -> Picked:
        u, pick = memory.u[t], row_kernels.pick
        takes = not self.options.allow_repeats
        if noise is not None and self.gradient == "reinforce":
            pick(*memory.of_pick[t], False)  # pi is that of the logits without noise
            u.sub_(torch.log(-torch.log(noise)))
            noisy, available, _, index = memory.of_pick[t]
            pick(noisy, available, memory.discarded, index, takes)
        else:
            if noise is not None and self.gradient == "gumbel":
                u.sub_(torch.log(-torch.log(noise)))
            pick(*memory.of_pick[t], takes)
        return Picked(memory.index[t], memory.pi[t])

    def weight(self, picked: Picked) -> Tensor | None:
        """Return the weight w_o (B,) of what is read; None stands for 1."""
        if self.gradient != "prob_scale" or picked.pi is None:
            return None
        return picked.of_chosen(picked.pi)

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
        self, t: int, picked: Picked, memory: ChoiceMemory, grad_log_probability: Tensor | None
    ) -> bool:
        """Write step t's dL/du from the credit in memory and dL/dlog pi_o (B,); False where nothing flows."""
        pi, grad_u = picked.pi, memory.grad_u[t]
        if pi is None or not self.trains(picked):
            return False
        if self.gradient == "reinforce":
            if grad_log_probability is not None:
                grad_u.copy_(self._towards(picked, pi, grad_log_probability))
            return grad_log_probability is not None
        if not self.needs_credit(t):
            return False
        if self.gradient in ("straight_through", "gumbel"):
            row_kernels.softmax_backward(*memory.of_softmax[t])
            return True
        size = picked.of_chosen(memory.credit)
        if self.gradient == "prob_scale":
            size = size * picked.of_chosen(pi)
        grad_u.copy_(self._towards(picked, pi, size))
        return True

    def _towards(self, picked: Picked, pi: Tensor, size: Tensor) -> Tensor:
        """size (1_o - pi)."""
        return (F.one_hot(picked.index, self.m) - pi) * size.unsqueeze(1)
