"""M3LA as a plain PyTorch program: zero-padded inputs, nn.GRU, nn.GRUCell, equation after equation.

Written from the equations alone, well and without avoidable copies: speed is measured against it, and the
tests take it as the oracle of `m3la.model`. It knows the real network only to share weights with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contracts import Array, Streams
from benchmark.learning.scaling import scale
from benchmark.learning.training import TrainingSettings
from benchmark.studies.plain.forms import Form, Pairs, Rivals, block_masks, copy_weights
from m3la.cost import cost_weights
from m3la.estimator import M3LA
from m3la.fast import make_factored_optimiser
from m3la.loss import m3la_loss
from m3la.model import M3LANet


class PlainM3LA(nn.Module):
    """Equations (1) to (12), learned order with a straight-through gradient.

    Parameters
    ----------
    dims : d_1..d_m.
    q : number of labels.
    h : hidden size.
    activation : of the labels, `softmax` or `sigmoid`.
    """

    blocks: Tensor  # (m, D)

    def __init__(self, dims: Sequence[int], q: int, h: int, activation: str = "softmax") -> None:
        super().__init__()
        self.activation = activation
        D, m = sum(dims), len(dims)
        self.register_buffer("blocks", block_masks(dims), persistent=False)
        self.encoder = nn.GRU(D, h, bidirectional=True)
        self.decoder = nn.GRUCell(D + 2 * h, h)
        self.init = nn.Linear(2 * h, h)
        self.query = nn.Linear(h, h, bias=False)
        self.key = nn.Linear(2 * h, h, bias=False)
        self.score = nn.Linear(h, 1, bias=False)
        self.modal = nn.Linear(h, m)
        self.label = nn.Linear(h, q)
        self.W_co = nn.Parameter(torch.zeros(q, q))

    def forward(self, modalities: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return p_1..p_m, each (B, q), and the orders (B, m), from m modalities (B, d_k)."""
        x = torch.cat(list(modalities), dim=1)  # (B, D)
        states, _ = self.encoder(x * self.blocks.unsqueeze(1))  # x~^k -> h_k, (m, B, 2h): (1)-(3)
        s = self.init(states[-1])  # (4)
        keys = self.key(states)
        chosen = torch.zeros(len(x), len(self.blocks), dtype=torch.bool)
        predictions: list[Tensor] = []
        orders = []
        for t in range(len(self.blocks)):
            pi = torch.softmax(self.modal(s).masked_fill(chosen, -torch.inf), dim=1)  # (9)
            o = pi.argmax(1)
            one_hot = (o.unsqueeze(1) == torch.arange(len(self.blocks))).long()
            chosen = chosen | one_hot.bool()
            x_t = x * ((one_hot + pi - pi.detach()) @ self.blocks)  # (10), straight-through
            r = self.score(torch.tanh(self.query(s) + keys))  # (m, B, 1): (7)
            a_t = (torch.softmax(r, dim=0) * states).sum(0)  # (5)(6)
            s = self.decoder(torch.cat((x_t, a_t), dim=1), s)  # (8)
            z = self.label(s) + (predictions[-1] @ self.W_co if t else 0)  # (11)
            predictions.append(torch.softmax(z, 1) if self.activation == "softmax" else torch.sigmoid(z))
            orders.append(o)
        return predictions, torch.stack(orders, dim=1)


def plain_loss(predictions: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Return equation (20) without its L2 term, mean over the batch, from m x (B, q) and labels (B, q).

    The weights (18) judge the step before at 0.5 by F1; both forms take them from `m3la.cost`.
    """
    total = labels.new_zeros(())
    for t, p in enumerate(predictions):
        weight = cost_weights(labels, (predictions[t - 1] > 0.5).to(p), "f1") if t else None
        total = total + F.binary_cross_entropy(p, labels, weight, reduction="sum") / len(labels)
    return total


def pairs(plain: PlainM3LA, net: M3LANet) -> Pairs:
    """Pair the parameters of both; the real model's side may be a copy, so copy towards the plain one."""
    h = net.h

    def rolled(recurrent: Tensor) -> Tensor:
        return recurrent.roll(-h, -1)  # candidate | reset | update -> torch's reset | update | candidate

    forwards, backwards, decoder = torch.cat(list(net.W_in), 1).mT  # (3, 3h, D)
    gru, cell = dict(plain.encoder.named_parameters()), plain.decoder
    D = decoder.shape[1]
    return [
        (gru["weight_ih_l0"], forwards),
        (gru["weight_ih_l0_reverse"], backwards),
        (gru["weight_hh_l0"], rolled(net.U_enc[0]).T),
        (gru["weight_hh_l0_reverse"], rolled(net.U_enc[1]).T),
        (gru["bias_ih_l0"], net.b_in[: 3 * h]),
        (gru["bias_ih_l0_reverse"], net.b_in[3 * h : 6 * h]),
        (gru["bias_hh_l0"], rolled(net.b_enc[0, 0])),
        (gru["bias_hh_l0_reverse"], rolled(net.b_enc[1, 0])),
        (cell.weight_ih[:, :D], decoder),
        (cell.weight_ih[:, D:], net.W_att.T),
        (cell.weight_hh, rolled(net.U_dec).T),
        (cell.bias_ih, net.b_x),
        (cell.bias_hh, rolled(net.b_dec)),
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


def rivals(modalities: Sequence[Array], labels: Array, streams: Streams, device: str = "cpu") -> Rivals:
    """Return both forms of M3LA with its default options on training rows (n, d_k) and labels (n, q).

    The plain one is on the device, ours on the processor.
    """
    method = M3LA(epochs=0, random_state=streams).fit(modalities, labels)  # scalers and initial weights
    scaled = [torch.from_numpy(x) for x in scale(method.scalers_, modalities)]
    y = torch.from_numpy(labels).float()
    inputs, targets = [x.to(device) for x in scaled], y.to(device)
    cardinality = float(y.sum(1).mean())
    net, options = method.model_.train(), method.loss_options()
    settings = TrainingSettings(
        epochs=1, learning_rate=method.learning_rate, weight_decay=2 * method.l2, optimiser=method.optimiser
    )
    plain = PlainM3LA(net.dims, net.q, net.h)
    copy_weights(pairs(plain, net))
    plain.to(device)
    return Rivals(
        plain=Form(
            plain,
            torch.optim.SGD(
                plain.parameters(),
                lr=settings.learning_rate,
                weight_decay=settings.weight_decay,
                foreach=True,
            ),
            lambda rows: plain_loss(plain([x.index_select(0, rows) for x in inputs])[0], targets[rows]),
        ),
        ours=Form(
            net,
            make_factored_optimiser(net, settings),
            lambda rows: m3la_loss(
                net([x.index_select(0, rows) for x in scaled]), y[rows], cardinality, options
            ),
        ),
    )
