"""Small synthetic sets for tests, their truth known by construction; it must not know any method."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmark.contracts import Array


@dataclass(frozen=True)
class Control:
    """Modalities float32 (n, d_k), labels uint8 (n, q), and what the construction knows."""

    modalities: tuple[Array, ...]
    labels: Array
    truth: Array
    """`order_matters`: the index of each row's telling modality, (n,). Others: empty."""
    groups: tuple[tuple[int, ...], ...] = ()
    """`label_signal`: the columns of labels (a, b, a AND b, a XOR b) of each group."""


def order_matters(
    n: int = 2000, seed: int = 0, q: int = 6, contents: int = 3, d: int = 12, noise: float = 0.5
) -> Control:
    """Make data in which each row has its own modality that must be read apart from the others.

    Modalities 0 .. contents - 1 all use one code of labels, but only one of them, drawn for each row,
    holds the row's labels; each other holds the labels of some other row. The last modality (`guide`)
    says which: a noisy one-hot vector. Nothing else tells them apart.

    A reader with a fixed order that forgets, or that adds up what it reads, weighs the telling
    modality like the misleading ones, and meets the guide after them all. A reader that chooses the
    next modality by row can read the guide first and the telling modality last, where its memory
    is freshest, or the telling one first and settle on its labels. The guide acts on the content by
    multiplication, so that no linear function of the concatenation can do the same.

    Parameters
    ----------
    n, seed : int
        Rows, and the seed that is the only source of randomness.
    q, contents, d : int
        Labels, content modalities, and features of each content modality (the guide has `contents`).
    noise : float
        Standard deviation of the noise on every feature; a label shifts a row by a unit vector's length
        times 2.
    """
    random = np.random.default_rng(seed)
    labels = (random.random((n, q)) < 0.4).astype(np.uint8)
    code = unit_rows(random, q, d)
    telling = random.integers(contents, size=n)
    modalities = []
    for k in range(contents):
        shown = np.where((telling == k)[:, None], labels, labels[random.permutation(n)])
        modalities.append(encode(shown, code, noise, random))
    modalities.append(encode(np.eye(contents)[telling], np.eye(contents), noise / 2, random))
    return Control(tuple(modalities), labels, telling)


def order_indifferent(
    n: int = 2000, seed: int = 0, q: int = 6, m: int = 4, d: int = 12, noise: float = 2.0
) -> Control:
    """Make data in which every modality shows the same labels in the same code with noise of its own.

    The modalities are exchangeable: any permutation of them, row by row, leaves their joint
    distribution as it is, and their sum says all there is to know of the labels. No order of reading
    can be better than another on average.
    """
    random = np.random.default_rng(seed)
    labels = (random.random((n, q)) < 0.4).astype(np.uint8)
    code = unit_rows(random, q, d)
    return Control(
        tuple(encode(labels, code, noise, random) for _ in range(m)), labels, np.empty(0, dtype=np.int64)
    )


def label_signal(n: int = 2000, seed: int = 0, sources: int = 4, d: int = 10, noise: float = 0.35) -> Control:
    """Make data in which some labels are functions of other labels, and no modality shows them.

    Modality k shows one label a_k, fair coin, in d features. Each two neighbours (a, b) = (a_k, a_k+1)
    have two dependent labels more, a AND b, and a XOR b. As a and b are independent fair coins in
    different modalities, a XOR b is independent of every single modality; and it has no linear
    relation to the concatenation, so that independent linear classifiers are at chance on it.

    From labels it is easy, though: a AND b is a threshold of a + b, and a XOR b = a + b - 2 (a AND b)
    is linear in the labels. A model that feeds label predictions back linearly, as W_co does, has
    a and b after one step, a AND b after two, and a XOR b after three.

    `groups` lists the columns (a, b, a AND b, a XOR b).
    """
    random = np.random.default_rng(seed)
    shown = (random.random((n, sources)) < 0.5).astype(np.uint8)
    columns = [shown[:, k] for k in range(sources)]
    groups = []
    for a, b in pairwise(range(sources)):
        groups.append((a, b, len(columns), len(columns) + 1))
        columns += [columns[a] & columns[b], columns[a] ^ columns[b]]
    modalities = tuple(
        encode(shown[:, [k]].astype(np.float64) - 0.5, unit_rows(random, 1, d), noise, random)
        for k in range(sources)
    )
    return Control(modalities, np.column_stack(columns), np.empty(0, dtype=np.int64), tuple(groups))


def unit_rows(random: np.random.Generator, rows: int, d: int) -> Array:
    """Return random directions, (rows, d), each of length 1."""
    directions = random.normal(size=(rows, d))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def encode(shown: Array, code: Array, noise: float, random: np.random.Generator) -> Array:
    """Return 2 * shown @ code with normal noise, float32 (n, d)."""
    signal = 2.0 * shown @ code
    return (signal + noise * random.normal(size=signal.shape)).astype(np.float32)
