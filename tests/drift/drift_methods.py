"""Toy methods of the drift gate's tests, in a module of its own for child processes."""

# ruff: noqa: ARG002 - toys take what the contracts pass

from __future__ import annotations

import dataclasses

import numpy as np
from sklearn.base import BaseEstimator
from tiny_benchmark import ToyData

from benchmark.contracts import Shape, Streams


class LearnableData(ToyData):
    """Toy features whose signs make the labels, so that it matters how a method learns."""

    def load(self, data_dir):
        made = super().load(data_dir)
        noise = np.random.default_rng(1).normal(scale=0.2, size=made.labels.shape)
        labels = (np.hstack(made.modalities)[:, : made.labels.shape[1]] + noise > 0.5).astype(np.uint8)
        return dataclasses.replace(made, labels=labels)


DATA = LearnableData(expected=Shape(200, 3, (4, 2)))


class Descent(BaseEstimator):
    """Logistic regression by a few steps of gradient descent from a random start."""

    FACTORS = ()

    def __init__(self, steps=20, random_state=0):
        self.steps = steps
        self.random_state = random_state

    def fit(self, modalities, labels, holdout=None):
        features = self.features(modalities)
        start = self.streams().generator("initialisation")
        self.weights_ = start.normal(scale=0.5, size=(features.shape[1], labels.shape[1]))
        for _ in range(self.steps):
            error = self.loss_gradient(self.predict_scores(modalities), labels)
            self.weights_ -= 2 * features.T @ error / len(features)
        return self

    def loss_gradient(self, scores, labels):
        """Return the derivative of the cross-entropy by the logits."""
        return scores - labels

    def streams(self):
        return Streams.of(self.random_state)

    def features(self, modalities):
        return np.hstack([*modalities, np.ones((len(modalities[0]), 1))]) - 0.5

    def predict_scores(self, modalities):
        return 1 / (1 + np.exp(-self.features(modalities) @ self.weights_))


class WrongLoss(Descent):
    """The same with one line changed: labels that are absent no longer count."""

    def loss_gradient(self, scores, labels):
        return (scores - labels) * labels


class OtherSeeds(Descent):
    """The same with other seeds of its own."""

    def streams(self):
        given = Streams.of(self.random_state)
        return Streams(given.dataset, given.seed + 777)


class Failing(Descent):
    """Fails for seed 1."""

    def fit(self, modalities, labels, holdout=None):
        if self.streams().seed % 2**32 == 1:
            raise ValueError("seed 1 is in trouble")
        return super().fit(modalities, labels)


class FailingRefits(Descent):
    """Fails in every refit."""

    def fit(self, modalities, labels, holdout=None):
        if self.streams().seed >= 2**32:
            raise ValueError("no second time")
        return super().fit(modalities, labels)


class Newcomer(BaseEstimator):
    """A method that somebody adds: near training rows lend it their labels."""

    FACTORS = ()

    def __init__(self, softness=0.1):
        self.softness = softness

    def fit(self, modalities, labels, holdout=None):
        self.features_ = np.hstack(modalities)
        self.labels_ = labels
        return self

    def predict_scores(self, modalities):
        distances = np.linalg.norm(np.hstack(modalities)[:, None] - self.features_, axis=2)
        weights = np.exp(-distances / self.softness)
        return np.clip(weights @ self.labels_ / weights.sum(axis=1, keepdims=True), 0, 1)


class Frequencies(BaseEstimator):
    """Scores every row with the label frequencies: it draws nothing at random."""

    FACTORS = ()

    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, modalities, labels, holdout=None):
        self.frequencies_ = labels.mean(axis=0)
        return self

    def predict_scores(self, modalities):
        # A little of the features, so that rows can be ranked.
        features = np.hstack(modalities)[:, : len(self.frequencies_)]
        return np.clip(0.5 * self.frequencies_ + 0.5 * features + self.shift, 0, 1)
