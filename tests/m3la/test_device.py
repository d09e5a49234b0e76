"""The form for networks side by side on a device against the reference, for every option, and its kernels."""

from __future__ import annotations

from copy import deepcopy

import pytest
from networks import (
    DIMS,
    OPTIONS,
    assert_same_pass,
    batch,
    loss_options,
    named,
    one_pass,
    reference_form,
    seeded,
    wide_network,
)
from tape import Tape

from m3la.loss import m3la_loss
from m3la.model import M3LANet


@pytest.mark.parametrize("dims", [DIMS, DIMS[:1]], ids=["four", "one"])
@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_scores_and_every_gradient_equal_those_of_the_reference(
    options: dict[str, object], dims: tuple[int, ...]
) -> None:
    if "encoder_order" in options:
        options = {"encoder_order": tuple(k for k in (2, 0, 3, 1) if k < len(dims))}
    net = wide_network(dims, generator=[seeded(0), seeded(1)], **options)
    twin = deepcopy(net)
    net.form = "device"
    with reference_form():
        ours = one_pass(net, *batch(dims, 2), [seeded(5), seeded(6)])
        theirs = one_pass(twin, *batch(dims, 2), [seeded(5), seeded(6)])
    assert_same_pass(ours, theirs)


def operations(net: M3LANet) -> int:
    """What torch does in a training pass, but for views."""
    x, y, _ = batch(DIMS, 2)
    options = loss_options(form=net.form)
    with (tape := Tape()):
        m3la_loss(net(x), y, 1.6, options).sum().backward()
    views = (
        "view",
        "expand",
        "transpose",
        "slice",
        "select",
        "unsqueeze",
        "squeeze",
        "detach",
        "t.",
        "split",
    )
    return sum(not any(word in str(call[0]) for word in views) for call in tape.calls)


def test_it_takes_few_operations() -> None:
    net = wide_network(generator=[seeded(0), seeded(1)])
    net.form = "reference"
    reference = operations(net)
    net.form = "device"
    assert operations(net) < 0.6 * reference
