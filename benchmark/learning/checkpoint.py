"""Keeps what a long training needs to go on exactly where it was; it knows no method and no job.

Whoever runs a fit says where, by `keeping`; the training loop asks for `current`, and offers what it holds at
the end of each epoch. A training that is killed at any moment and gone on with has the bits of one that was
not, as all that a step reads is kept: weights, the optimiser's averages, learning rates, generators, early
stopping.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from benchmark.learning.saving import SavedModelError, read_model, write_model

KIND = "checkpoint"
FIRST_SECONDS = 30.0
"""What a training may lose; nothing that takes less is kept."""
SHARE = 0.01
"""Of the time that writing may take."""


class Checkpoint:
    """The file of one fit.

    Parameters
    ----------
    path : of the file, which is there while the fit is unfinished.
    identity : whatever decides the fit's bits; a file of another identity is left unread, with a warning.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path, self.identity = path, dict(identity)
        self.epochs_before = 0
        """Epochs that an earlier process did."""
        self.seconds_before = 0.0
        """Seconds that they took."""
        self._began = self._written = time.perf_counter()
        self._pause = 0.0
        self._training = 0
        for left in path.parent.glob(f".{path.name}.*"):  # by a process that was killed while it wrote
            left.unlink(missing_ok=True)
        self._found = self._read()

    def begin(self) -> Mapping[str, Any] | None:
        """Return what the file holds of the fit's next training, or None where that starts from nothing."""
        self._training += 1
        if self._found is None or self._found["training"] != self._training:
            return None
        found, self._found = self._found, None
        self.epochs_before, self.seconds_before = found["state"]["epochs"], found["seconds"]
        state: Mapping[str, Any] = found["state"]
        return state

    def offer(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Write what `state` returns, if the last time is long enough ago."""
        started = time.perf_counter()
        due = started - self._written >= max(FIRST_SECONDS, self._pause)
        if not due or self._found is not None:  # the file is of a later training of the same fit
            return
        tree = {
            "identity": self.identity,
            "training": self._training,
            "seconds": self.seconds_before + started - self._began,
            "state": state(),
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_model(self.path, KIND, tree)
        except OSError as error:  # the fit does not need it
            warnings.warn(f"no checkpoint was written ({error}); the fit goes on", stacklevel=2)
        self._written = time.perf_counter()
        self._pause = (self._written - started) / SHARE

    def remove(self) -> None:
        """Delete the file, once the fit has ended."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any] | None:
        if not self.path.exists():
            return None
        try:
            found = read_model(self.path, KIND)
            if found["identity"] != self.identity:
                raise SavedModelError(f"{self.path}: it is of {_differing(found['identity'], self.identity)}")
            return found
        except (SavedModelError, OSError, KeyError) as error:
            warnings.warn(f"a checkpoint is not used, and the fit starts from nothing: {error}", stacklevel=2)
            return None


def _differing(one: Any, other: Mapping[str, Any]) -> str:
    given = one if isinstance(one, dict) else {}
    names = sorted(name for name in {*given, *other} if given.get(name) != other.get(name))
    return f"another {', '.join(names)}"


@contextmanager
def keeping(checkpoint: Checkpoint | None) -> Iterator[None]:
    """Have trainings keep what they need in a checkpoint, or in none."""
    token = _CURRENT.set(checkpoint)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> Checkpoint | None:
    """Return the checkpoint of the fit at hand, if there is one."""
    return _CURRENT.get()


_CURRENT: ContextVar[Checkpoint | None] = ContextVar("checkpoint", default=None)
