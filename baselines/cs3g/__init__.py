"""CS3G, reconstructed from what others say of it."""

from baselines.cs3g import estimator

METHODS = estimator.METHODS
