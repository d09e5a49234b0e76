"""What a network of DMP or MCC computes when it reads a modality, under autograd; start here.

It knows no choice, no stop and no loss. `baselines.sequential.fast` is held to it; it runs on any device and
in any precision.

A leading axis of L copies (one per label in a chain, one otherwise) runs through everything. Rows are
vectors: B rows of a batch, M modalities, T steps, h hidden units, R label outputs per copy. Both papers feed
x~^k, the instance with every block but the k-th zeroed; x~^k W is x^k W_k, with W's k-th block of rows, so
each modality owns a matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Weights:
    """What is trained; gates have columns input | forget | output | candidate."""

    W_in: Sequence[Tensor]  # M of (d_k, L * 4h), the copies' columns side by side
    b_in: Tensor  # (L * 4h,)
    U: Tensor  # (L, h, 4h)
    peepholes: Tensor | None  # (L, 1, 3h)   from the cell to input, forget and output gate
    V: Sequence[Tensor]  # T of (L, (t + 1) h, R)   label heads, on h_1..h_t
    b_label: Sequence[Tensor]  # T of (L, 1, R)
    V_modal: Sequence[Tensor]  # T of (L, h or (t + 1) h, M)   modality heads, on h_t or h_1..h_t
    b_modal: Sequence[Tensor]  # T of (L, 1, M)

    def of(self, start: int, stop: int) -> Weights:
        """Return the weights of some copies."""
        width = self.U.shape[2]
        columns, copies = slice(start * width, stop * width), slice(start, stop)
        kinds = (self.V, self.b_label, self.V_modal, self.b_modal)
        return Weights(
            [W[:, columns] for W in self.W_in],
            self.b_in[columns],
            self.U[copies],
            None if self.peepholes is None else self.peepholes[copies],
            *([head[copies] for head in kind] for kind in kinds),
        )


class Steps:
    """One batch on its way through the modalities.

    Parameters
    ----------
    x : M tensors (B, d_k).
    w : see there.
    n_labelled : for how many rows, the first ones, labels are predicted; the others do without the last step.
    masks : T tensors (L, n_labelled, (t + 1) h) that the label heads' input is multiplied with, or None.
    """

    def __init__(
        self, x: Sequence[Tensor], w: Weights, n_labelled: int, masks: Sequence[Tensor] | None = None
    ) -> None:
        self.w, self.n_labelled, self.masks = w, n_labelled, masks
        L, B = len(w.U), len(x[0])
        products = torch.stack([x_k @ W for x_k, W in zip(x, w.W_in, strict=True)])
        self.products = products.view(len(x), B, L, -1).permute(2, 1, 0, 3)  # x^k W_k, (L, B, M, 4h)
        self.hidden: list[Tensor] = []
        self.cell: Tensor | None = None
        self.logits: list[Tensor] = []
        self.preferences: list[Tensor] = []

    def read(self, choice: Tensor) -> tuple[Tensor, Tensor]:
        """Read the modality chosen by each copy and row, (L, B), -1 for none, and apply the step's heads.

        Returns
        -------
        z_t (L, n_labelled, R), before the sigmoid, and the modality head's f_t (L, B, M)
        """
        w, t = self.w, len(self.logits)
        one_hot = choice.unsqueeze(2) == torch.arange(self.products.shape[2], device=choice.device)
        gates = torch.einsum("lbk,lbkc->lbc", one_hot.to(self.products), self.products)
        gates = gates + w.b_in.view(len(gates), 1, -1)
        if t:
            gates = gates + torch.bmm(self.hidden[-1], w.U)
        hidden, self.cell = lstm(gates, self.cell, w.peepholes)
        self.hidden.append(hidden)
        history = torch.cat(self.hidden, dim=2)
        seen = history[:, : self.n_labelled]
        if self.masks is not None:
            seen = seen * self.masks[t]
        source = history if w.V_modal[t].shape[1] == history.shape[2] else hidden
        self.logits.append(torch.baddbmm(w.b_label[t], seen, w.V[t]))
        self.preferences.append(torch.baddbmm(w.b_modal[t], source, w.V_modal[t]))
        return self.logits[t], self.preferences[t]

    def heads(self) -> tuple[Tensor, Tensor]:
        """Return z (T, L, n_labelled, R) and f (T, L, B, M), to be differentiated.

        The last step's preferences of rows without labels say nothing, nor does what follows a row's stop.
        """
        return torch.stack(self.logits), torch.stack(self.preferences)


def lstm(gates: Tensor, cell: Tensor | None, peepholes: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the next hidden state and cell (L, B, h), from x W + b + h U (L, B, 4h)."""
    i, f, o, g = gates.chunk(4, dim=2)
    if cell is None:
        cell = torch.zeros_like(g)
    p_i, p_f, p_o = (0.0, 0.0, 0.0) if peepholes is None else peepholes.chunk(3, dim=2)
    new = torch.sigmoid(f + p_f * cell) * cell + torch.sigmoid(i + p_i * cell) * torch.tanh(g)
    return torch.sigmoid(o + p_o * new) * torch.tanh(new), new
