"""MCC with its default options as a plain PyTorch program: a network per label, one after the other.

The peephole LSTM is written by hand, as torch has none. A network's inputs are zero-padded: the features,
then the labels before its own. What the networks say is stacked, so that the loss is one computation per
step; its hinge is that of `baselines.sequential.modality_terms` in both forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.sequential.mcc import MCC, chain_margins
from baselines.sequential.modality_terms import hinge, margin_targets
from baselines.sequential.network import AcquisitionNetwork
from benchmark.contracts import Array, Streams
from benchmark.learning.scaling import scale
from benchmark.learning.training import make_optimiser
from benchmark.studies.plain.forms import Form, Pairs, Rivals, block_masks, copy_weights


class PeepholeLSTMCell(nn.Module):
    """An LSTM cell whose gates see the cell; the output gate sees the new one."""

    def __init__(self, d: int, h: int) -> None:
        super().__init__()
        self.input, self.recurrent = nn.Linear(d, 4 * h), nn.Linear(h, 4 * h, bias=False)
        self.peepholes = nn.Parameter(torch.zeros(3, h))

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next hidden state and cell (B, h) from x (B, d)."""
        i, f, o, g = (self.input(x) + self.recurrent(hidden)).chunk(4, dim=1)
        p_i, p_f, p_o = self.peepholes
        cell = torch.sigmoid(f + p_f * cell) * cell + torch.sigmoid(i + p_i * cell) * torch.tanh(g)
        return torch.sigmoid(o + p_o * cell) * torch.tanh(cell), cell


@dataclass(frozen=True)
class Step:
    """What one network said of B rows in one step."""

    logits: Tensor  # (B,)
    preferences: Tensor  # (B, M)
    selectable: Tensor  # (B, M)
    active: Tensor  # (B,)  bool: not stopped before
    choice: Tensor  # (B,)


class LabelNet(nn.Module):
    """The network of one label: it reads modality after modality until it is sure.

    Parameters
    ----------
    dims : d_1..d_m, and the number of labels before this one unless it is the first.
    n_modalities : M = m + 1, outputs of the modality heads, for the first label too.
    h : hidden size.
    confidence : max(p, 1 - p) above which a row stops.
    """

    blocks: Tensor  # (M, D), or (m, D) for the first label

    def __init__(self, dims: Sequence[int], n_modalities: int, h: int, confidence: float | None) -> None:
        super().__init__()
        self.h, self.M, self.confidence = h, n_modalities, confidence
        self.register_buffer("blocks", block_masks(dims), persistent=False)
        self.cell = PeepholeLSTMCell(sum(dims), h)
        widths = [h * (t + 1) for t in range(len(dims))]
        self.label_heads = nn.ModuleList([nn.Linear(width, 1) for width in widths])
        self.modal_heads = nn.ModuleList([nn.Linear(width, n_modalities) for width in widths])

    def forward(self, x: Tensor) -> list[Step]:
        """Read rows (B, D): features, then earlier labels in {-1, 1}."""
        B, last = len(x), len(self.blocks) - 1
        hidden, cell = x.new_zeros(B, self.h), x.new_zeros(B, self.h)
        choice = torch.zeros(B, dtype=torch.long)
        unread = (torch.arange(self.M) <= last).expand(B, self.M)
        active = torch.ones(B, dtype=torch.bool)
        history: list[Tensor] = []
        steps: list[Step] = []
        for t, (label_head, modal_head) in enumerate(zip(self.label_heads, self.modal_heads, strict=True)):
            hidden, cell = self.cell(x * self.blocks[choice], hidden, cell)
            history.append(hidden)
            stacked = torch.cat(history, dim=1)
            logits, preferences = label_head(stacked).squeeze(1), modal_head(stacked)
            unread = unread & (choice.unsqueeze(1) != torch.arange(self.M))
            steps.append(Step(logits, preferences, unread, active, choice))
            if t < last:
                if self.confidence is not None:
                    active = active & (torch.sigmoid(logits.detach().abs()) <= self.confidence)
                choice = preferences.detach().masked_fill(~unread, -torch.inf).argmax(1)
        return steps


class PlainMCC(nn.Module):
    """A chain of q `LabelNet`s."""

    def __init__(self, dims: Sequence[int], q: int, h: int, confidence: float | None = 0.95) -> None:
        super().__init__()
        self.D, M = sum(dims), len(dims) + 1
        self.nets = nn.ModuleList([LabelNet([*dims, j] if j else dims, M, h, confidence) for j in range(q)])

    def forward(self, modalities: Sequence[Tensor], labels: Tensor) -> list[list[Step]]:
        """Return the steps of every network; labels (B, q) in {-1, 1}, in the chain's order."""
        x = torch.cat((*modalities, labels), dim=1)
        return [net(x[:, : self.D + j]) for j, net in enumerate(self.nets)]


def plain_loss(
    plain: PlainMCC,
    runs: Sequence[Sequence[Step]],
    targets: Tensor,
    worth: Tensor,
    costs: Tensor,
    regularisation: float,
) -> Tensor:
    """Return (8): per row, summed over labels and steps; a network that has stopped adds nothing.

    Parameters
    ----------
    targets : (B, q) in {0, 1}, in the chain's order.
    worth : (q, B, M), see `margin_targets`.
    costs : (q, M), zero for what a network is not offered.
    """
    total = targets.new_zeros(())
    nets, n_offered = list(plain.nets), torch.full((len(runs),), costs.shape[1])
    n_offered[0] -= 1
    for t in range(max(map(len, runs))):
        taking = slice(0 if t < len(runs[0]) else 1, None)  # the first label has one modality less
        steps = [run[t] for run in runs[taking]]
        logits = torch.stack([step.logits for step in steps])  # (L, B)
        preferences = torch.stack([step.preferences for step in steps])  # (L, B, M)
        selectable = torch.stack([step.selectable for step in steps])
        active = torch.stack([step.active for step in steps])
        loss = F.binary_cross_entropy_with_logits(logits, targets.T[taking], reduction="none")
        loss = loss + hinge(preferences, selectable, worth[taking], n_offered[taking])  # (6)
        heads = [
            # torch types a submodule's attributes as Tensor | Module; a Linear's are tensors.
            torch.stack([net.get_submodule(f"{kind}.{t}").weight for net in nets[taking]])  # type: ignore[misc]
            for kind in ("label_heads", "modal_heads")
        ]
        size = sum(weight.square().sum((1, 2)) for weight in heads)  # (L,)
        charged = torch.linalg.vector_norm(costs[taking].unsqueeze(1) * preferences, dim=2)
        omega = torch.as_tensor(size).unsqueeze(1) + charged  # (7)
        total = total + ((loss + regularisation * omega) * active).sum() / len(targets)
    return total


def pairs(plain: PlainMCC, reader: AcquisitionNetwork) -> Pairs:
    """Pair the parameters of both; the gates' order is the same, i f o g."""
    assert reader.peepholes is not None
    h, D = reader.h, plain.D
    features = torch.cat(list(reader.W_in))  # (D, L * 4h)
    found: Pairs = []
    for j, net in enumerate(plain.nets):
        assert isinstance(net, LabelNet)
        columns = slice(4 * h * j, 4 * h * (j + 1))
        weight = net.cell.input.weight
        found += [
            (weight[:, :D], features[:, columns].T),
            (weight[:, D:], reader.W_earlier[:j, columns].T),
            (net.cell.input.bias, reader.b_in[columns]),
            (net.cell.recurrent.weight, reader.U[j].T),
            (net.cell.peepholes, reader.peepholes[j, 0].view(3, h)),
        ]
        for heads, V, b in (
            (net.label_heads, reader.V, reader.b_V),
            (net.modal_heads, reader.V_modal, reader.b_modal),
        ):
            for t, head in enumerate(heads):
                # torch types a submodule's attributes as Tensor | Module; a Linear's are tensors.
                found += [(head.weight, V[t][j].T), (head.bias, b[t][j, 0])]  # type: ignore[list-item]
    return found


def rivals(modalities: Sequence[Array], labels: Array, streams: Streams, device: str = "cpu") -> Rivals:
    """Return both forms of MCC with its default options on training rows (n, d_k) and labels (n, q).

    The plain one is on the device, ours on the processor.
    """
    method = MCC(selection="last", random_state=streams)
    ours = method.prepare(modalities, labels)
    reader = method.network_.train()
    scaled = scale(method.scalers_, modalities)
    inputs, chained = [torch.from_numpy(x).to(device) for x in scaled], labels[:, method.chain_order_]
    targets = torch.from_numpy(chained).float().to(device)
    margins = chain_margins(scaled, chained, method.n_neighbors)
    worth = torch.from_numpy(margin_targets(margins, reader.options.costs)).to(device)
    plain = PlainMCC([x.shape[1] for x in inputs], labels.shape[1], reader.h, method.confidence)
    copy_weights(pairs(plain, reader))
    plain.to(device)
    costs = (reader.offered * reader.costs).to(device)

    def loss(rows: Tensor) -> Tensor:
        runs = plain([x[rows] for x in inputs], 2 * targets[rows] - 1)
        return plain_loss(plain, runs, targets[rows], worth[:, rows], costs, method.regularisation)

    adadelta = torch.optim.Adadelta(
        plain.parameters(),
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
