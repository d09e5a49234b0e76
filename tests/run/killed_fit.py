"""A method whose first fit is killed between two epochs, for child processes."""

import os
import signal
from pathlib import Path

from sklearn.base import BaseEstimator

from benchmark.learning import checkpoint
from m3la import M3LA


class KilledOnce(BaseEstimator):
    """M3LA that is killed after two epochs unless `log` exists; writes there what later fits went on from."""

    FACTORS = ()

    def __init__(self, log="", random_state=0):
        self.log = log
        self.random_state = random_state

    def fit(self, modalities, labels, holdout=None):  # noqa: ARG002 - as the harness passes it
        checkpoint.FIRST_SECONDS, checkpoint.SHARE = 0.0, float("inf")
        kept, log = checkpoint.current(), Path(self.log)
        first, write, written = not log.exists(), kept.offer, []

        def offer(state):
            write(state)
            written.append(state)
            if first and len(written) == 2:
                log.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        kept.offer = offer
        self.fitted_ = M3LA(hidden=4, epochs=6, random_state=self.random_state).fit(modalities, labels)
        log.write_text(f"{kept.epochs_before} {kept.path.name}")
        return self

    def predict_scores(self, modalities):
        return self.fitted_.predict_scores(modalities)
