"""Imported once by a worker's fork server, so that no job has to load what all jobs need; it knows no method.

Importing torch is not enough: its first call of `manual_seed` or of a deterministic switch loads its
compiler, which takes longer than many a job.
"""

import sklearn.base  # noqa: F401 - every method is a BaseEstimator

from benchmark.contracts import Streams
from benchmark.run.seeding import make_deterministic

make_deterministic(Streams("", 0))
