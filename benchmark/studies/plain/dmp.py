"""DMP with its default options as a plain PyTorch program: zero-padded inputs, nn.LSTMCell, heads per step.

It stops at no budget and no confidence, as the defaults have none. Neighbours and their distances are those
of `baselines.sequential.modality_terms` in both forms; the networks and the sum of the loss are written anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.sequential.dmp import DMP
from baselines.sequential.modality_terms import Neighbourhood
from baselines.sequential.neighbours import nearest
from baselines.sequential.network import AcquisitionNetwork
from benchmark.contracts import Array, Streams
from benchmark.learning.scaling import scale
from benchmark.learning.training import make_optimiser
from benchmark.studies.plain.forms import Form, Pairs, Rivals, block_masks, copy_weights


class PlainDMP(nn.Module):
    """An LSTM that reads every modality once, in an order chosen per row, and predicts at every step.

    Parameters
    ----------
    dims : d_1..d_m.
    q : number of labels.
    h : hidden size.
    dropout : share of the history that the label heads do not see.
    """

    blocks: Tensor  # (m, D)

    def __init__(self, dims: Sequence[int], q: int, h: int, dropout: float = 0.5) -> None:
        super().__init__()
        m = len(dims)
        self.register_buffer("blocks", block_masks(dims), persistent=False)
        self.cell = nn.LSTMCell(sum(dims), h)
        nn.init.zeros_(self.cell.bias_hh).requires_grad_(False)  # DMP has one bias
        self.label_heads = nn.ModuleList([nn.Linear(h * (t + 1), q) for t in range(m)])
        self.modal_heads = nn.ModuleList([nn.Linear(h, m) for _ in range(m - 1)])
        self.dropout = nn.Dropout(dropout)

    def forward(self, modalities: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Return logits m x (B, q), weights of the unread modalities (m - 1) x (B, m), orders (B, m)."""
        x = torch.cat(list(modalities), dim=1)
        choice = torch.zeros(len(x), dtype=torch.long)  # everyone starts with modality 0
        unread = torch.ones(len(x), len(self.blocks), dtype=torch.bool)
        state: tuple[Tensor, Tensor] | None = None
        history: list[Tensor] = []
        logits, weights, orders = [], [], []
        for t, label_head in enumerate(self.label_heads):
            state = self.cell(x * self.blocks[choice], state)
            orders.append(choice)
            history.append(state[0])
            logits.append(label_head(self.dropout(torch.cat(history, dim=1))))
            if t < len(self.modal_heads):
                unread = unread & (choice.unsqueeze(1) != torch.arange(len(self.blocks)))
                preferences = self.modal_heads[t](state[0]).masked_fill(~unread, -torch.inf)
                weights.append(torch.softmax(preferences, dim=1))
                choice = preferences.argmax(1)
        return logits, weights, torch.stack(orders, dim=1)


def plain_loss(
    logits: Sequence[Tensor],
    weights: Sequence[Tensor],
    rows: Tensor,
    targets: Tensor,
    neighbourhood: Neighbourhood,
    costs: Tensor,
    modality_weight: float,
    cost_weight: float,
) -> Tensor:
    """Return the batch's loss: cross entropy per step, distances to neighbours, cost of what is preferred.

    Parameters
    ----------
    logits, weights : of the B rows, then of their K neighbours, row after row.
    rows, targets : (B,) and (B, q).
    costs : (m,)
    """
    B, m = len(targets), len(costs)
    total = targets.new_zeros(())
    for z in logits:
        total = total + F.binary_cross_entropy_with_logits(z[:B], targets)
    for w in weights:
        own = w[:B]
        distances = neighbourhood.distances(rows, own, w[B:].view(B, -1, m))
        total = total + modality_weight * (distances * neighbourhood.signs[rows]).mean()
        total = total + cost_weight * (own * costs).mean()
    return total


def pairs(plain: PlainDMP, reader: AcquisitionNetwork) -> Pairs:
    """Pair the parameters of both; torch's gates are i f g o, the reader's i f o g."""
    h, cell = reader.h, plain.cell
    found: Pairs = []
    for theirs, ours in (
        (cell.weight_ih, torch.cat(list(reader.W_in)).T),
        (cell.weight_hh, reader.U[0].T),
        (cell.bias_ih, reader.b_in),
    ):
        found += [
            (theirs[: 2 * h], ours[: 2 * h]),
            (theirs[2 * h : 3 * h], ours[3 * h :]),
            (theirs[3 * h :], ours[2 * h : 3 * h]),
        ]
    for heads, V, b in (
        (plain.label_heads, reader.V, reader.b_V),
        (plain.modal_heads, reader.V_modal, reader.b_modal),
    ):
        for t, head in enumerate(heads):
            # torch types a submodule's attributes as Tensor | Module; a Linear's are tensors.
            found += [(head.weight, V[t][0].T), (head.bias, b[t][0, 0])]  # type: ignore[list-item]
    return found


def rivals(modalities: Sequence[Array], labels: Array, streams: Streams, device: str = "cpu") -> Rivals:
    """Return both forms of DMP with its default options on training rows (n, d_k) and labels (n, q).

    The plain one is on the device, ours on the processor.
    """
    method = DMP(selection="last", random_state=streams)
    ours = method.prepare(modalities, labels)
    reader = method.network_.train()
    scaled = scale(method.scalers_, modalities)
    inputs = [torch.from_numpy(x).to(device) for x in scaled]
    targets = torch.from_numpy(labels).float().to(device)
    found = nearest(np.concatenate(scaled, axis=1), method.n_neighbors)
    neighbourhood = Neighbourhood.of(inputs, labels, found, method.neighbour_sign)
    costs = torch.tensor(method.modality_costs_).to(device)
    plain = PlainDMP([x.shape[1] for x in inputs], labels.shape[1], reader.h, method.dropout)
    copy_weights(pairs(plain, reader))
    plain.to(device)

    def loss(rows: Tensor) -> Tensor:
        read = torch.cat((rows, neighbourhood.indices[rows].flatten()))
        logits, weights, _ = plain([x[read] for x in inputs])
        terms = (method.modality_weight, method.cost_weight)
        return plain_loss(logits, weights, rows, targets[rows], neighbourhood, costs, *terms)

    adadelta = torch.optim.Adadelta(
        [p for p in plain.parameters() if p.requires_grad],
        lr=method.learning_rate,
        rho=method.rho,
        eps=method.eps,
        foreach=True,
        capturable=device != "cpu",
    )
    settings = method.training_settings()
    return Rivals(
        plain=Form(plain, adadelta, loss),
        ours=Form(reader, make_optimiser(reader, settings), ours),
    )
