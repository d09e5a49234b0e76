"""Plain transcription of DMP's and MCC's equations: one instance at a time, zero-padded, no shared product.

The oracle for `baselines.sequential.network` and both losses. It takes the network's weights through slicing
and concatenation alone, so that gradients of the plain loss arrive at the same parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.sequential.network import AcquisitionNetwork


@dataclass
class Step:
    choice: int
    z: Tensor  # (R,)
    preference: Tensor  # (M,)
    left: list[int]  # what may be acquired next


def full_matrix(network: AcquisitionNetwork, j: int) -> Tensor:
    """W of copy j, (D or D + q, 4h), from which x~^k takes its block."""
    columns = slice(4 * network.h * j, 4 * network.h * (j + 1))
    blocks = [W[:, columns] for W in network.W_in]
    if network.chained:
        blocks.append(network.W_earlier[:, columns])
    return torch.cat(blocks)


def padded(modalities: list[Tensor], k: int) -> Tensor:
    return torch.cat([x if j == k else torch.zeros_like(x) for j, x in enumerate(modalities)])


def acquire_one(
    network: AcquisitionNetwork, j: int, modalities: list[Tensor], labels: Tensor | None = None
) -> list[Step]:
    """Let copy j acquire the modalities of one instance: modalities m x (d_k,), labels (q,) of the chain."""
    options, h = network.options, network.h
    inputs = list(modalities)
    offered = list(range(len(inputs)))
    if labels is not None:
        if j > 0:
            offered.append(len(inputs))
        inputs.append(torch.cat((labels[:j], torch.zeros_like(labels[j:]))))
    W, U, b = full_matrix(network, j), network.U[j], network.b_in[4 * h * j : 4 * h * (j + 1)]
    p_i, p_f, p_o = (
        (torch.zeros(h), torch.zeros(h), torch.zeros(h))
        if network.peepholes is None
        else network.peepholes[j, 0].split(h)
    )
    hidden, cell = torch.zeros_like(U[0, :h]), torch.zeros_like(U[0, :h])
    choice, used, spent = int(network.start[j]), [], 0.0
    history: list[Tensor] = []
    steps: list[Step] = []
    for t in range(network.n_steps):
        a_i, a_f, a_o, a_g = (padded(inputs, choice) @ W + hidden @ U + b).split(h)
        i, f = torch.sigmoid(a_i + p_i * cell), torch.sigmoid(a_f + p_f * cell)
        cell = f * cell + i * torch.tanh(a_g)
        hidden = torch.sigmoid(a_o + p_o * cell) * torch.tanh(cell)
        history.append(hidden)
        stacked = torch.cat(history)
        z = stacked @ network.V[t][j] + network.b_V[t][j, 0]
        source = stacked if options.modality_head == "history" else hidden
        preference = source @ network.V_modal[t][j] + network.b_modal[t][j, 0]
        if choice not in used:
            spent += options.costs[choice]
            used.append(choice)
        left = [k for k in offered if options.allow_repeats or k not in used]
        steps.append(Step(choice, z, preference, left))
        p = torch.sigmoid(z.detach())
        sure = options.confidence is not None and float(torch.maximum(p, 1 - p).mean()) > options.confidence
        if sure or not left or (options.budget is not None and spent >= options.budget):
            break
        choice = max(left, key=lambda k: float(preference[k].detach()))
    return steps


def bernoulli(z: Tensor, y: Tensor) -> Tensor:
    """Cross entropy per label."""
    p = torch.sigmoid(z)
    return -(y * p.log() + (1 - y) * (1 - p).log())


def spread(step: Step, M: int) -> Tensor:
    """Softmax over what is left, zero elsewhere, (M,)."""
    weights = torch.softmax(step.preference[step.left], 0)
    return torch.stack([weights[step.left.index(k)] if k in step.left else weights[0] * 0 for k in range(M)])


def plain_dmp_loss(
    network: AcquisitionNetwork,
    modalities: list[Tensor],
    y: Tensor,
    neighbours: list[list[int]],
    signs: list[list[float]],
    *,
    weight: float,
    cost_weight: float,
    code: bool = False,
    printed: bool = False,
    l2: float = 0.0,
) -> Tensor:
    """DMP's loss of all rows as one batch, instance by instance, from its definition."""
    n, M = len(y), len(modalities)
    runs = [acquire_one(network, 0, [x[i] for x in modalities]) for i in range(n)]
    total = y.new_zeros(())
    for t in range(network.n_steps):
        active = [i for i in range(n) if len(runs[i]) > t]
        for i in active:
            step = runs[i][t]
            ce = bernoulli(step.z, y[i]).mean()
            total = total + ce / (len(active) + 1 if code else n)
            heads = (network.V[t][0] ** 2).sum() + (network.V_modal[t][0] ** 2).sum()
            total = total + l2 * heads / n
            if t == network.n_steps - 1:
                continue
            own = spread(step, M)
            mixture = sum(own[k] * padded([x[i] for x in modalities], k) for k in range(M))
            if printed:
                current = padded([x[i] for x in modalities], step.choice)
                term = -0.5 * ((mixture - current) ** 2).sum() * (1 + ce.detach())
            else:
                term = y.new_zeros(())
                for other, sign in zip(neighbours[i], signs[i], strict=True):
                    if len(runs[other]) > t:
                        theirs = spread(runs[other][t], M)
                        mixed = sum(theirs[k] * padded([x[other] for x in modalities], k) for k in range(M))
                        term = term + sign * ((mixed - mixture) ** 2).sum() / len(neighbours[i])
            seen = {earlier.choice for earlier in runs[i][: t + 1]}
            costs = [1.0 if k in seen else network.options.costs[k] for k in range(M)]
            charged = torch.stack([c * own[k] for k, c in enumerate(costs)])
            cost = (charged**2).sum() if printed else charged.mean()
            total = total + (weight * term + cost_weight * cost) / n
    return total


def plain_mcc_loss(
    network: AcquisitionNetwork,
    modalities: list[Tensor],
    y: Tensor,
    worth: Tensor | None,
    regularisation: float,
) -> Tensor:
    """MCC's loss of all rows (n, q) in the chain's order, network by network, instance by instance."""
    n, q = y.shape
    total = y.new_zeros(())
    for j in range(q):
        offered = len(modalities) + (j > 0)
        costs = network.costs[:offered]
        for i in range(n):
            for t, step in enumerate(acquire_one(network, j, [x[i] for x in modalities], 2 * y[i] - 1)):
                loss = bernoulli(step.z[0], y[i, j])
                if worth is not None and len(step.left) > 1:
                    best = max(step.left, key=lambda k: float(worth[j, i, k]))
                    gaps = [1 - step.preference[best] + step.preference[k] for k in step.left if k != best]
                    loss = loss + sum(gap.clamp(min=0) for gap in gaps) / offered
                omega = (network.V[t][j] ** 2).sum() + (network.V_modal[t][j] ** 2).sum()
                omega = omega + ((costs * step.preference[:offered]) ** 2).sum().sqrt()
                total = total + (loss + regularisation * omega) / n
    return total
