"""Main effects and interactions of factors that were changed together, in all combinations.

Pure functions over frames; it knows no method, no data set and no file.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmark.inference import TEST_TO_TRAIN
from benchmark.score.metrics import METRICS
from benchmark.studies.ablate.paired import AFTER_TRAINING, ESTIMATE, JOINT, by_seed, estimate, units_of

CONTRAST_COLUMNS = ("term", "n_factors", "metric", "n_seeds", "n_pairs", *ESTIMATE)
TIMES = " × "
"""Between the factors of an interaction."""


def contrasts(
    values: pd.DataFrame,
    printed: pd.DataFrame,
    chosen: Sequence[tuple[str, str]],
    test_to_train: float = TEST_TO_TRAIN,
) -> pd.DataFrame:
    """Return main effects and interactions of a full 2^k factorial, paired by seed.

    Parameters
    ----------
    values, printed, test_to_train
        As for `examine`; `values` hold the baseline and every combination, as `factorial` names them.
    chosen : sequence of (factor, level)
        The k factors with the level that each was changed to.

    Returns
    -------
    DataFrame
        Columns `CONTRAST_COLUMNS`, one row per non-empty subset of factors and metric. A seed's contrast is
        the sum of its 2^k values, each with the product of its factors' signs (+1 changed, -1 not), over
        2^(k-1): for one factor its effect averaged over the others, for two half the change of one's effect
        by the other. A seed that lacks one of the 2^k values does not enter.

    Raises
    ------
    ValueError
        If a combination is absent.
    """
    if not chosen:
        return pd.DataFrame(columns=list(CONTRAST_COLUMNS))
    units = units_of(printed).to_dict("index")
    subsets = [s for size in range(len(chosen) + 1) for s in itertools.combinations(range(len(chosen)), size)]
    combinations = [_combination(values, [chosen[k] for k in subset]) for subset in subsets]
    rows: list[dict[str, Any]] = []
    for term in subsets[1:]:
        signs = [(-1.0) ** len(set(term) - set(changed)) for changed in subsets]
        for metric in METRICS:
            signed = [sign * part[metric.id] for sign, part in zip(signs, combinations, strict=True)]
            summed = pd.concat(signed, axis=1).sum(axis=1, skipna=False) / 2 ** (len(chosen) - 1)
            rows.append(
                {
                    "term": TIMES.join(chosen[k][0] for k in term),
                    "n_factors": len(term),
                    "metric": metric.id,
                    **estimate(summed.to_numpy(float), units[metric.id], test_to_train),
                }
            )
    return pd.DataFrame(rows, columns=list(CONTRAST_COLUMNS))


def _combination(values: pd.DataFrame, changes: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Return seed by metric of the configuration with exactly these changes."""
    factor, level = (JOINT.join(part) for part in zip(*changes, strict=True)) if changes else ("", "")
    # What acts after training shares no name with factors of training.
    part = values[
        (values["factor"] == factor) & (values["level"] == level) & (values["kind"] != AFTER_TRAINING)
    ]
    if part.empty:
        raise ValueError(f"the combination {factor} = {level} is absent, so its factors have no contrasts")
    return by_seed(part)
