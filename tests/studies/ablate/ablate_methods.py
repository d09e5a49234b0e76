"""A toy method with open choices, in a module of its own for child processes; its scores obey its options."""

# ruff: noqa: ARG002 - toys take what the contracts pass

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from tiny_benchmark import ToyData, registry

from benchmark.contracts import Factor, MethodSpec, Provenance, Shape, Streams

FACTORS = (
    Factor("sharpness", (0.3, 0.6, 1.0), "how much of the truth the scores show"),
    Factor("bias", ("none", "up"), "whether all scores are raised"),
    Factor("noise", ("fresh", "none"), "whether the truth is blurred"),
    Factor("label", ("a", "1/q"), "changes nothing; its level is no folder's name"),
    Factor("trouble", ("none", "always", "seed1"), "a level that a method may refuse"),
)


class Chooser(BaseEstimator):
    """Scores a row by a blurred sum of its features; refuses where its option says so."""

    FACTORS = FACTORS

    def __init__(
        self,
        sharpness=0.3,
        bias="none",
        noise="fresh",
        label="a",
        trouble="none",
        epochs=300,
        random_state=0,
    ):
        self.sharpness = sharpness
        self.bias = bias
        self.noise = noise
        self.label = label
        self.trouble = trouble
        self.epochs = epochs
        self.random_state = random_state

    def fit(self, modalities, labels, holdout=None):
        self.streams_ = Streams.of(self.random_state)
        if self.trouble == "always" or (self.trouble == "seed1" and self.streams_.seed == 1):
            raise FloatingPointError("the loss is nan in epoch 3")
        self.q_ = labels.shape[1]
        return self

    def predict_scores(self, modalities):
        shown = np.hstack(modalities)[:, : self.q_]
        blur = self.streams_.generator("choices").random(shown.shape) if self.noise == "fresh" else 0.5
        scores = self.sharpness * shown + (1 - self.sharpness) * blur
        return np.clip(scores + (0.3 if self.bias == "up" else 0.0), 0, 1)


class SignalData(ToyData):
    """Toy features that show the labels."""

    def load(self, data_dir):
        made = super().load(data_dir)
        features = np.hstack(made.modalities)[:, : made.labels.shape[1]]
        object.__setattr__(made, "labels", (features > 0.6).astype(np.uint8))
        return made


def study_registry(kind=Provenance.REBUILT):
    """Return what the command studies, by the names that it looks for, with toys behind them."""
    data = SignalData(id="ml2000", title="ML2000", expected=Shape(120, 3, (4, 2)), kind=kind)
    return registry(
        MethodSpec(id="M3LA", estimator=Chooser, preset="literal", threshold="eq16a"), datasets=(data,)
    )
