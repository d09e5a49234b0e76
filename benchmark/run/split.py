"""Which rows of a data set are trained on and tested on; it knows ids and row counts, never features."""

from __future__ import annotations

from math import ceil

from benchmark.contracts import Array, Split, Streams

SPLIT_VERSION = 1
"""Part of every configuration hash: raise it when a line below changes which rows are drawn."""


def split(dataset_id: str, n: int, seed: int) -> Split:
    """Draw the random 90/10 split of one repetition (section IV-A of the paper).

    Parameters
    ----------
    dataset_id : str
        Lower-case id; it enters the stream of randomness.
    n : int
        Number of rows of the whole data set.
    seed : int
        Repetition.

    Returns
    -------
    Split
        `test` is the first ceil(n / 10) entries of a permutation of the rows, `train` the rest, both
        in the order of the permutation.

    Raises
    ------
    ValueError
        If fewer than two rows leave nothing to train on.
    """
    if n < 2:
        raise ValueError(f"data set {dataset_id!r} has {n} rows; a split needs at least 2")
    permutation = Streams(dataset_id, seed).generator("split").permutation(n)
    n_test = sizes(n)[1]
    return Split(train=permutation[n_test:], test=permutation[:n_test])


def sizes(n: int, max_train_rows: int | None = None, max_test_rows: int | None = None) -> tuple[int, int]:
    """Return how many training and test rows `split` leaves of n rows, at most as many as given."""
    n_test = ceil(n / 10)
    n_train = n - n_test
    return (
        n_train if max_train_rows is None else min(n_train, max_train_rows),
        n_test if max_test_rows is None else min(n_test, max_test_rows),
    )


def carve_holdout(dataset_id: str, train: Array, seed: int) -> tuple[Array, Array]:
    """Set a tenth of the training rows aside for a method's own choices.

    Parameters
    ----------
    dataset_id : str
        Lower-case id; it enters the stream of randomness.
    train : (n_train,) int array
        Row indices of the training set.
    seed : int
        Repetition.

    Returns
    -------
    fit_rows : (n_train - ceil(n_train / 10),) int array
    holdout_rows : (ceil(n_train / 10),) int array
        Together they are `train`, permuted.

    Raises
    ------
    ValueError
        If fewer than two training rows leave nothing to fit on.
    """
    if len(train) < 2:
        raise ValueError(f"{len(train)} training rows of {dataset_id!r}; a hold-out needs at least 2")
    permuted = train[Streams(dataset_id, seed).generator("holdout").permutation(len(train))]
    n_holdout = ceil(len(train) / 10)
    return permuted[n_holdout:], permuted[:n_holdout]
