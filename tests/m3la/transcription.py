"""Plain transcription of the paper's equations: zero-padded inputs, nn.GRU, nn.GRUCell, no shortcut.

The oracle for `m3la.model` and `m3la.loss` (preset literal, fixed or learned order), and the plain form
that speed is measured against. Written from the equations alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from m3la.model import M3LANet


class Transcription(nn.Module):
    def __init__(self, dims: tuple[int, ...], q: int, h: int, activation: str = "softmax") -> None:
        super().__init__()
        self.dims, self.activation = dims, activation
        D, m = sum(dims), len(dims)
        self.encoder = nn.GRU(D, h, bidirectional=True, batch_first=True)
        self.decoder = nn.GRUCell(D + 2 * h, h)
        self.init = nn.Linear(2 * h, h)
        self.query = nn.Linear(h, h, bias=False)
        self.key = nn.Linear(2 * h, h, bias=False)
        self.score = nn.Linear(h, 1, bias=False)
        self.modal = nn.Linear(h, m)
        self.label = nn.Linear(h, q)
        self.W_co = nn.Parameter(torch.zeros(q, q))

    def padded(self, modalities: list[Tensor]) -> Tensor:
        """x~^1..x~^m of shape (B, m, D)."""
        rows = []
        for k, x in enumerate(modalities):
            blocks = [x if j == k else x.new_zeros(len(x), d) for j, d in enumerate(self.dims)]
            rows.append(torch.cat(blocks, dim=1))
        return torch.stack(rows, dim=1)

    def forward(self, modalities: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return p_1..p_m, each (B, q), and the orders (B, m)."""
        x = self.padded(modalities)
        states, _ = self.encoder(x)  # (1)-(3)
        s = self.init(states[:, -1])  # (4)
        chosen = torch.zeros(x.shape[:2], dtype=torch.bool)
        predictions: list[Tensor] = []
        orders = []
        for t in range(len(self.dims)):
            u = self.modal(s).masked_fill(chosen, -torch.inf)  # (9)
            pi = torch.softmax(u, dim=1)
            o = pi.argmax(1)
            one_hot = F.one_hot(o, len(self.dims)).to(pi)
            chosen = chosen | one_hot.bool()
            x_t = ((one_hot + pi - pi.detach()).unsqueeze(2) * x).sum(1)  # (10), straight-through
            r = self.score(torch.tanh(self.query(s).unsqueeze(1) + self.key(states))).squeeze(2)  # (7)
            alpha = torch.softmax(r, dim=1)  # (6)
            a_t = (alpha.unsqueeze(2) * states).sum(1)  # (5)
            s = self.decoder(torch.cat((x_t, a_t), dim=1), s)  # (8)
            z = self.label(s) + (predictions[-1] @ self.W_co if t else 0)  # (11)
            predictions.append(torch.softmax(z, 1) if self.activation == "softmax" else torch.sigmoid(z))
            orders.append(o)
        return predictions, torch.stack(orders, dim=1)


def f1(y: Tensor, yh: Tensor) -> Tensor:
    """F1 of label vectors (.., q); 1 where both are empty."""
    total = y.sum(-1) + yh.sum(-1)
    return torch.where(total > 0, 2 * (y * yh).sum(-1) / total.clamp_min(1), torch.ones_like(total))


def literal_weights(y: Tensor, previous: Tensor) -> Tensor:
    """Equation (18) by flipping each label in turn, K = F1 of predictions at 0.5."""
    yh = (previous > 0.5).to(y)
    columns = []
    for k in range(y.shape[1]):
        off, on = yh.clone(), yh.clone()
        off[:, k], on[:, k] = 0, 1
        columns.append((f1(y, off) - f1(y, on)).abs())
    return torch.stack(columns, dim=1)


def literal_loss(predictions: list[Tensor], y: Tensor) -> Tensor:
    """Equation (20) without its L2 term, mean over the batch."""
    total = y.new_zeros(())
    for t, p in enumerate(predictions):
        weights = torch.ones_like(y) if t == 0 else literal_weights(y, predictions[t - 1].detach())
        total = total + F.binary_cross_entropy(p, y, weight=weights, reduction="none").sum(1).mean()
    return total


def shared_weights(net: M3LANet, plain: Transcription) -> list[tuple[Tensor, Tensor]]:
    """Pairs (tensor of the transcription, view of the network's parameter with the same meaning).

    Used for copying weights, and with `.grad` attached for comparing gradients.
    """
    h = net.h
    W_in = torch.cat(list(net.W_in)).T  # (9h, D)
    cell = plain.decoder
    D = W_in.shape[1]
    gru = plain.encoder
    return [
        (gru.weight_ih_l0, W_in[: 3 * h]),
        (gru.weight_ih_l0_reverse, W_in[3 * h : 6 * h]),
        (gru.weight_hh_l0, net.U_enc[0].T),
        (gru.weight_hh_l0_reverse, net.U_enc[1].T),
        (gru.bias_ih_l0, net.b_in[: 3 * h]),
        (gru.bias_ih_l0_reverse, net.b_in[3 * h : 6 * h]),
        (gru.bias_hh_l0, net.b_enc[0, 0]),
        (gru.bias_hh_l0_reverse, net.b_enc[1, 0]),
        (cell.weight_ih[:, :D], W_in[6 * h :]),
        (cell.weight_ih[:, D:], net.W_att.T),
        (cell.weight_hh, net.U_dec.T),
        (cell.bias_ih, net.b_x),
        (cell.bias_hh, net.b_dec),
        (plain.init.weight, net.W_init.T),
        (plain.init.bias, net.b_init),
        (plain.query.weight, net.W_query.T),
        (plain.key.weight, net.W_key.T),
        (plain.score.weight, net.v_score.unsqueeze(0)),
        (plain.modal.weight, net.W_modal),
        (plain.modal.bias, net.b_modal),
        (plain.label.weight, net.W_label[0]),
        (plain.label.bias, net.b_label[0]),
        (plain.W_co, net.W_co),
    ]


@torch.no_grad()
def copy_weights(net: M3LANet, plain: Transcription) -> None:
    """Give the transcription the network's weights."""
    for target, source in shared_weights(net, plain):
        target.copy_(source)


def paired_gradients(net: M3LANet, plain: Transcription) -> list[tuple[Tensor, Tensor]]:
    """Pairs of gradients in the order of `shared_weights`, after both backward passes."""
    with torch.no_grad():
        for module in (net, plain):
            for parameter in module.parameters():
                assert parameter.grad is not None
                parameter.copy_(parameter.grad)
    return [(a.detach(), b.detach()) for a, b in shared_weights(net, plain)]
