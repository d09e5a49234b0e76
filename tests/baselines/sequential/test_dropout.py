"""Masks of some rows against torch's own, of all."""

from __future__ import annotations

import pytest
import torch

from baselines.sequential.dropout import masks_of_first


@pytest.mark.parametrize("before", [0, 1, 623, 624, 1000], ids=str)
@pytest.mark.parametrize("keep", [0.5, 0.3, 1e-9, 0.999999], ids=str)
@pytest.mark.parametrize(("n", "rows"), [(64, 256), (5, 5), (1, 100), (0, 3)])
def test_masks_and_what_is_drawn_next_are_torch_s(before: int, keep: float, n: int, rows: int) -> None:
    """From a fresh generator, and from anywhere among the words that it holds."""
    ours, theirs = (torch.Generator().manual_seed(3) for _ in range(2))
    for generator in (ours, theirs):
        torch.empty(before, dtype=torch.int32).random_(generator=generator)
    widths = (7, 256, 1, 96)
    expected = [torch.empty(rows, width).bernoulli_(keep, generator=theirs)[:n] for width in widths]
    for mask, other in zip(masks_of_first(n, rows, widths, keep, ours), expected, strict=True):
        assert torch.equal(mask, other)
    for draw in (torch.rand, torch.randn):
        assert torch.equal(draw(700, generator=ours), draw(700, generator=theirs))


def test_generators_of_one_state_give_the_same_masks_again() -> None:
    first, second = (
        list(masks_of_first(3, 9, (40,), 0.5, torch.Generator().manual_seed(1))) for _ in range(2)
    )
    assert torch.equal(first[0], second[0])
    assert 0 < first[0].mean() < 1
