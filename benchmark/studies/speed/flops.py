"""Floating-point operations that one training step needs, counted from the equations; it times nothing.

Products of matrices only, forward and backward: a product of (n, i) by (i, o) takes 2 n i o operations, as
many again for the weight's gradient, and as many again for its input's gradient where that is needed. Blocks
that are zero do not count, nor what is multiplied by h_0 = 0, nor gradients of a method's inputs; each
modality is read once by every row. Left out as small: element-wise work, and what attention and the gradient
of a choice multiply per row (under 1 % on the paper's shapes). So a share of the machine's rate that is
computed from these numbers errs on the low side.
"""

from __future__ import annotations

from baselines.sequential.dmp import DMP
from baselines.sequential.mcc import MCC
from benchmark.contracts import Shape
from m3la.estimator import M3LA

FORWARD, WEIGHT, INPUT = 1, 1, 1
ALL = FORWARD + WEIGHT + INPUT
"""Products of one affine map in a step: forward, gradient of its weight, gradient of its input."""
FROM_DATA = FORWARD + WEIGHT
"""The same where the input is data."""


def m3la_flop(shape: Shape, batch: int, hidden: int) -> int:
    """Count a step of M3LA; equation numbers are the paper's.

    Parameters
    ----------
    shape : q labels and d_1..d_m features.
    batch : B rows.
    hidden : h.
    """
    m, q, h, D = shape.m, shape.q, hidden, sum(shape.dims)
    from_data = D * 9 * h  # (1)-(3) in two directions, (8): three gates each
    encoder = 2 * (m - 1) * h * 3 * h
    initial = 2 * h * h  # (4)
    attention = m * (2 * h * h + h * h)  # (7): keys of m states, a query per step
    decoder = m * (2 * h * 3 * h + h * 3 * h)  # (8): a_t and s_{t-1}
    heads = m * (h * m + h * q) + (m - 1) * q * q  # (9), (11)
    return 2 * batch * (FROM_DATA * from_data + ALL * (encoder + initial + attention + decoder + heads))


def dmp_flop(shape: Shape, batch: int, hidden: int, n_neighbors: int) -> int:
    """Count a step of DMP: the batch reads all modalities, its neighbours all but the last.

    What a neighbour reads last decides nothing: its modality weights after each earlier step enter the loss,
    its labels do not. Which modality that is differs from row to row; it counts as one of average size.
    """
    m, q, h, D = shape.m, shape.q, hidden, sum(shape.dims)

    def reading(steps: int) -> int:
        return FROM_DATA * D * steps * 4 * h // m + ALL * max(steps - 1, 0) * h * 4 * h

    labels = ALL * h * q * m * (m + 1) // 2  # head t is on h_1..h_t
    modalities = ALL * (m - 1) * h * m
    own = reading(m) + labels + modalities
    neighbour = reading(m - 1) + modalities
    return 2 * batch * (own + n_neighbors * neighbour)


def mcc_flop(shape: Shape, batch: int, hidden: int) -> int:
    """Count a step of MCC in which no row stops early, as at the start of training.

    The network of label j reads the m modalities and the j labels before it; all its heads are on h_1..h_t.
    """
    m, q, h, D = shape.m, shape.q, hidden, sum(shape.dims)
    total = 0
    for j in range(q):
        offered = m + (j > 0)
        reading = FROM_DATA * (D + j) * 4 * h + ALL * (offered - 1) * h * 4 * h
        total += reading + ALL * h * (1 + offered) * offered * (offered + 1) // 2
    return 2 * batch * total


def useful_flop(method: str, shape: Shape, batch: int) -> int:
    """Return the count for a method by id, with the default options of its estimator.

    Raises
    ------
    ValueError
        If nothing is known of the method.
    """
    match method:
        case "M3LA":
            return m3la_flop(shape, batch, M3LA().hidden)
        case "DMP":
            defaults = DMP()
            return dmp_flop(shape, batch, defaults.hidden or sum(shape.dims), defaults.n_neighbors)
        case "MCC":
            return mcc_flop(shape, batch, MCC().hidden)
        case _:
            raise ValueError(f"no count of operations for method {method!r}; there are M3LA, DMP and MCC")
