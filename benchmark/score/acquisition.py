"""From a record's arrays to what acquiring the modalities cost; it knows no method and no file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmark.contracts import Array

ACQUISITION_ARRAYS = ("reading_cost", "n_read", "extracted", "modality_costs")
"""What the `trace` of a method that reads modalities one by one gives; see `read_acquisition`."""
ACQUISITION = (
    "modalities_per_reading",
    "cost_per_reading",
    "modalities_per_instance",
    "cost_per_instance",
    "share_with_unread",
    "n_modalities",
    "cost_of_all",
)
"""Keys of what `read_acquisition` returns, in this order."""


def read_acquisition(arrays: Mapping[str, Array]) -> dict[str, float]:
    """Average over instances how many modalities were read and what that cost.

    A reading is one pass over an instance that ends in predictions: r = 1 where all labels are predicted
    together, r = q where each label has a pass of its own.

    Parameters
    ----------
    arrays : mapping
        `scores` (n, q), and of methods that read modalities one by one `ACQUISITION_ARRAYS`:

        - `reading_cost` (n, r): summed cost of what a reading took, a repeated modality as often as charged;
        - `n_read` (n, r) int: how many different modalities it took, which may include what is no raw
          modality, such as the labels predicted before;
        - `extracted` (n, m) bool: raw modality k was read at least once for instance i;
        - `modality_costs` (m,): cost of each raw modality, read once.

    Returns
    -------
    dict of str to float
        Empty without these arrays. `modalities_per_reading` and `cost_per_reading` are means over all
        readings; `modalities_per_instance` and `cost_per_instance` are means over instances that count each
        raw modality once, however many readings used it; `share_with_unread` is the share of instances
        for which some raw modality was never read; `n_modalities` and `cost_of_all` are m and the summed
        cost of all m, for comparison.

    Raises
    ------
    ValueError
        If only some of the arrays are there, shapes or types do not fit, a cost is negative or not finite,
        or an instance has more modalities extracted than read.
    """
    present = [name for name in ACQUISITION_ARRAYS if name in arrays]
    if not present:
        return {}
    if len(present) < len(ACQUISITION_ARRAYS):
        missing = ", ".join(name for name in ACQUISITION_ARRAYS if name not in arrays)
        raise ValueError(f"the trace has {', '.join(present)} but not {missing}; it must give all or none")
    _check_shapes(arrays)
    _check_values(arrays)
    extracted = arrays["extracted"]
    costs = np.asarray(arrays["modality_costs"], np.float64)
    values = (
        np.mean(arrays["n_read"], dtype=np.float64),
        np.mean(arrays["reading_cost"], dtype=np.float64),
        extracted.sum(axis=1).mean(),
        (extracted @ costs).mean(),
        1 - extracted.all(axis=1).mean(),
        len(costs),
        costs.sum(),
    )
    return {name: float(value) for name, value in zip(ACQUISITION, values, strict=True)}


def _check_shapes(arrays: Mapping[str, Array]) -> None:
    reading_cost, n_read, extracted, costs = (arrays[name] for name in ACQUISITION_ARRAYS)
    n = len(arrays["scores"])
    fit = (
        n_read.shape == reading_cost.shape
        and n_read.ndim == 2
        and n_read.size > 0
        and costs.ndim == 1
        and len(n_read) == n
        and extracted.shape == (n, len(costs))
    )
    if not fit:
        shapes = ", ".join(f"{name} {arrays[name].shape}" for name in ACQUISITION_ARRAYS)
        raise ValueError(
            f"the trace of {n} instances has the shapes {shapes}; expected (n, r), (n, r), (n, m), (m,) "
            f"with n = {n} and r at least 1"
        )


def _check_values(arrays: Mapping[str, Array]) -> None:
    n_read, extracted = arrays["n_read"], arrays["extracted"]
    for name, kinds, wanted in (("n_read", "iu", "integers"), ("extracted", "b", "bool")):
        if arrays[name].dtype.kind not in kinds:
            raise ValueError(f"{name} of the trace is {arrays[name].dtype}; give {wanted}")
    for name in ("reading_cost", "n_read", "modality_costs"):
        wrong = ~(np.isfinite(arrays[name]) & (arrays[name] >= 0))
        if wrong.any():
            raise ValueError(
                f"{name} of the trace holds {wrong.sum()} values that are negative or not finite"
            )
    more = extracted.sum(axis=1) > n_read.sum(axis=1)
    if more.any():
        raise ValueError(
            f"{more.sum()} instances have more modalities in `extracted` than `n_read` counts in all their "
            "readings; `extracted` may mark only what was read"
        )
