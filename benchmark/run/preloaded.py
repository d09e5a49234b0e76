"""What a worker's fork server does once, so that no job has to load what all jobs need; it knows no method.

Importing torch is not enough: its first call of `manual_seed` or of a deterministic switch loads its
compiler, which takes longer than many a job.
"""

# ruff: noqa: E402
import os
import signal

WORKER = os.getppid()


def end_without_worker(*_: object) -> None:
    """End at once if the worker was killed: a fork server looks for that only after its imports."""
    if os.getppid() != WORKER:
        os._exit(1)


signal.signal(signal.SIGALRM, end_without_worker)
signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)

# Ctrl-C reaches every process of a terminal, and the parent decides. A fork server that is still importing
# would only print a traceback over the parent's message, so this comes before all else.
signal.signal(signal.SIGINT, signal.SIG_IGN)

import sklearn.base  # noqa: F401 - every method is a BaseEstimator

import benchmark.learning.checkpoint
import benchmark.run.child
import benchmark.run.side_by_side
import benchmark.run.trial  # noqa: F401 - these are what every job imports
from benchmark.contracts import Streams
from benchmark.run.environment import library_versions
from benchmark.run.seeding import make_deterministic

make_deterministic(Streams("", 0))
library_versions()

signal.setitimer(signal.ITIMER_REAL, 0.0)
signal.signal(signal.SIGALRM, signal.SIG_DFL)
