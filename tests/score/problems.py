"""Random small test sets with all that makes metrics differ: ties, 0/1 scores, one-class rows and labels."""

import numpy as np
from hypothesis import strategies as st


def problem(seed):
    """Return labels (n, q), scores (n, q) and predictions (n, q), n up to 6 and q up to 5."""
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 7), rng.integers(2, 6)
    labels, predictions = ((rng.random(shape) < rng.choice([0.1, 0.5, 0.9])).astype(np.uint8) for _ in "yp")
    for bits in (labels, predictions):
        if rng.random() < 0.3:
            bits[rng.integers(shape[0])] = rng.integers(2)
        if rng.random() < 0.3:
            bits[:, rng.integers(shape[1])] = rng.integers(2)
    levels = rng.choice([1, 3, 1000])
    scores = rng.integers(0, levels + 1, shape) / levels
    return labels, scores.astype(rng.choice([np.float32, np.float64])), predictions


problems = st.integers(0, 2**32 - 1).map(problem)
