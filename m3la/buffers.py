"""Working memory of one training step, kept for the next; it knows sizes, not what is computed.

Fresh tensors of this size cost page faults and cold caches on every step, and their views a call each.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

T = TypeVar("T")


class Pool:
    """Hands out buffers and takes them back; what is out belongs to one pass, so passes can overlap."""

    def __init__(self) -> None:
        self._free: dict[Hashable, list[object]] = {}

    def take(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return free buffers with this key, which names type and sizes, or make some."""
        free = self._free.setdefault(key, [])
        # A key stands for one type of buffers, which no annotation of a dictionary can say.
        return free.pop() if free else make()  # type: ignore[return-value]

    def give(self, key: Hashable, buffers: object) -> None:
        """Take buffers back; the caller no longer uses them."""
        self._free.setdefault(key, []).append(buffers)

    def __deepcopy__(self, memo: dict[int, object]) -> Pool:
        """A copied network starts with a pool of its own."""
        return Pool()

    def __getstate__(self) -> dict[str, object]:
        """Buffers are not part of a stored network."""
        return {"_free": {}}
