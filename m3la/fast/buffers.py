"""What one training step leaves for the next: working memory and views; it knows no computation.

Fresh tensors of this size cost page faults and cold caches on every step, and a view costs a call.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")


class Pool:
    """Hands out buffers and takes them back; what is out belongs to one pass, so passes can overlap."""

    def __init__(self) -> None:
        # A key stands for one type of buffers, which no annotation of a dictionary can say.
        self._free: dict[Hashable, list[Any]] = {}

    def take(self, key: Hashable, make: Callable[[], T], reuse: bool) -> T:
        """Return buffers with this key, which names type and sizes: free ones if told to `reuse`, or new."""
        free = self._free.setdefault(key, []) if reuse else []
        return free.pop() if free else make()

    def give(self, key: Hashable, buffers: object) -> None:
        """Take buffers back; the caller no longer uses them."""
        self._free.setdefault(key, []).append(buffers)

    def __deepcopy__(self, memo: dict[int, object]) -> Pool:
        """A copied network starts with a pool of its own."""
        return Pool()

    def __getstate__(self) -> dict[str, object]:
        """Buffers are not part of a stored network."""
        return {"_free": {}}


class Views:
    """Views of tensors that keep their memory from step to step, as parameters do."""

    def __init__(self) -> None:
        # What a name stands for has one type, which no annotation of a dictionary can say.
        self._views: dict[Hashable, tuple[object, Any]] = {}

    def of(self, name: Hashable, tensor: Tensor, make: Callable[[Tensor], T]) -> T:
        """Return what `make` makes of the detached tensor; made again where its memory or form changed."""
        memory = tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype
        found = self._views.get(name)
        if found is None or found[0] != memory:
            found = self._views[name] = memory, make(tensor.detach())
        return found[1]

    def __deepcopy__(self, memo: dict[int, object]) -> Views:
        """A copied network has memory of its own."""
        return Views()

    def __getstate__(self) -> dict[str, object]:
        """Views are not part of a stored network."""
        return {"_views": {}}
