"""Equation (18): closed forms against flipping each label, and the published test vectors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest
import torch

from m3la.cost import binarise, cost_weights, normalise
from m3la.fast import f1_weights

VECTORS = [
    ("hamming", "1010", "1100", [0.25, 0.25, 0.25, 0.25]),
    ("f1", "1010", "1100", [0.5, 1 / 6, 0.3, 0.1]),
    ("accuracy", "1010", "1100", [1 / 3, 1 / 6, 1 / 3, 1 / 12]),
    ("rank", "1010", "1100", [1, 1, 1, 1]),
    ("hamming", "10000", "00000", [0.2] * 5),
    ("f1", "10000", "00000", [1, 0, 0, 0, 0]),
    ("accuracy", "10000", "00000", [1, 0, 0, 0, 0]),
    ("rank", "10000", "00000", [2, 0.5, 0.5, 0.5, 0.5]),
    ("f1", "0000", "0000", [1, 1, 1, 1]),
    ("accuracy", "0000", "0000", [1, 1, 1, 1]),
    ("rank", "0000", "0000", [0, 0, 0, 0]),
]


def vector(text: str) -> torch.Tensor:
    return torch.tensor([[float(c) for c in text]])


@pytest.mark.parametrize(("cost", "y", "yh", "expected"), VECTORS)
def test_weights_match_the_worked_vectors(cost: str, y: str, yh: str, expected: list[float]) -> None:
    torch.testing.assert_close(
        cost_weights(vector(y), vector(yh), cost), torch.tensor([expected], dtype=torch.float32)
    )


def hamming(y: Sequence[int], p: Sequence[int]) -> float:
    return sum(a != b for a, b in zip(y, p, strict=True)) / len(y)


def f1(y: Sequence[int], p: Sequence[int]) -> float:
    both = sum(a and b for a, b in zip(y, p, strict=True))
    return 2 * both / (sum(y) + sum(p)) if sum(y) + sum(p) else 1.0


def accuracy(y: Sequence[int], p: Sequence[int]) -> float:
    either = sum(a or b for a, b in zip(y, p, strict=True))
    return sum(a and b for a, b in zip(y, p, strict=True)) / either if either else 1.0


def rank(y: Sequence[int], p: Sequence[int]) -> float:
    pairs = [(p[i], p[j]) for i in range(len(y)) for j in range(len(y)) if y[i] and not y[j]]
    return sum((a < b) + 0.5 * (a == b) for a, b in pairs)


@pytest.mark.parametrize("cost", [hamming, f1, accuracy, rank])
def test_closed_forms_equal_flipping_each_label_for_every_vector_up_to_four_labels(
    cost: Callable[[Sequence[int], Sequence[int]], float],
) -> None:
    for q in range(1, 5):
        vectors = list(itertools.product((0, 1), repeat=q))
        for y, yh in itertools.product(vectors, vectors):
            expected = []
            for k in range(q):
                off, on = list(yh), list(yh)
                off[k], on[k] = 0, 1
                expected.append(abs(cost(y, off) - cost(y, on)))
            got = cost_weights(torch.tensor([y]).float(), torch.tensor([yh]).float(), cost.__name__)
            torch.testing.assert_close(got, torch.tensor([expected], dtype=torch.float32), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("networks", [(), (1,), (3,)])
def test_compiled_f1_weights_equal_the_closed_form(networks: tuple[int, ...], dtype: torch.dtype) -> None:
    """Of hard and soft predictions, of rows without labels and of rows for which nothing is predicted."""
    generator = torch.Generator().manual_seed(2)
    labels = (torch.rand(*networks, 1, 40, 5, generator=generator) < 0.3).to(dtype)
    scores = torch.rand(*networks, 4, 40, 5, generator=generator, dtype=dtype)
    assert (labels.sum(-1) == 0).any()
    for predictions in (scores, (scores > 0.7).to(dtype), torch.zeros_like(scores)):
        expected = cost_weights(labels, predictions, "f1")
        torch.testing.assert_close(f1_weights(labels, predictions), expected, atol=1e-6, rtol=1e-6)


def test_binarisation_rules() -> None:
    scores = torch.tensor([[0.6, 0.3, 0.05, 0.05], [0.26, 0.25, 0.25, 0.24]])
    assert binarise(scores, "0.5", 2.0).tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]]
    assert binarise(scores, "1/q", 2.0).tolist() == [[1, 1, 0, 0], [1, 1, 1, 0]]
    assert binarise(scores[:1], "top_lcard", 2.4).tolist() == [[1, 1, 0, 0]]
    assert torch.equal(binarise(scores, "soft", 2.0), scores)


def test_normalised_weights_have_mean_one_and_all_zero_weights_become_ones() -> None:
    weights = torch.tensor([[0.0, 0.5], [0.25, 0.25]])
    assert float(normalise(weights, "mean_one", 0.0).mean()) == pytest.approx(1)
    assert torch.equal(normalise(torch.zeros(2, 2), "mean_one", 0.0), torch.ones(2, 2))
    assert torch.equal(normalise(weights, "none", 0.0), weights)
    assert float(normalise(weights, "none", 0.1).min()) == pytest.approx(0.1)
