"""Work on a device that is launched once and then replayed as a CUDA graph; it knows no training.

A small network's step is a chain of kernels each of which takes less time than its launch. Captured, the
whole chain is one launch. What Python does meanwhile is not repeated: work may read and write only tensors
that stay where they are, and numbers of the host are frozen into it. On a CPU the work is simply called.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

WARM_UPS = 2
"""Calls before the capture, in which libraries set themselves up and optimisers make their averages."""


class Replay:
    """Does the same work again and again; nothing but the calls changes anything.

    Parameters
    ----------
    work : what is done, on tensors alone.
    changed : returns the tensors that it changes and a later call reads again. One that the first call makes
        counts as zeros before it.
    generators : sources of the random numbers that it draws, on the device.
    """

    def __init__(
        self,
        work: Callable[[], None],
        changed: Callable[[], Iterable[Tensor]],
        generators: Sequence[torch.Generator] = (),
    ) -> None:
        self._work, self._changed, self._generators = work, changed, generators
        self._again: Callable[[], None] | None = None

    def __call__(self) -> None:
        """Do the work."""
        if self._again is None:
            self._again = self._captured()
        self._again()

    def _captured(self) -> Callable[[], None]:
        kept = {id(tensor): (tensor, tensor.detach().clone()) for tensor in self._changed()}
        states = [generator.get_state() for generator in self._generators]

        @torch.no_grad()
        def undo() -> None:
            for tensor in self._changed():
                tensor.copy_(kept[id(tensor)][1]) if id(tensor) in kept else tensor.zero_()
            for generator, state in zip(self._generators, states, strict=True):
                generator.set_state(state)

        device = next(iter(self._changed())).device
        return capture(self._work, undo, device, self._generators)


def capture(
    work: Callable[[], None],
    undo: Callable[[], None],
    device: torch.device,
    generators: Sequence[torch.Generator],
) -> Callable[[], None]:
    """Do the work a few times and undo it, and return what does it again."""
    if device.type != "cuda":
        _warm_up(work, undo)
        return work
    # One stream for both, so that cuBLAS has its handle and workspace there before the capture.
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        _warm_up(work, undo)
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        graph.register_generator_state(generator)
    with torch.cuda.graph(graph, stream=stream):
        work()
    return graph.replay


def _warm_up(work: Callable[[], None], undo: Callable[[], None]) -> None:
    with warnings.catch_warnings():
        # Optimisers that can be captured warn where they are not.
        warnings.filterwarnings("ignore", message=".*capturable=True")
        for _ in range(WARM_UPS):
            work()
            undo()
