"""Runs groups on accelerators, in one lasting process for each; what a group is, it leaves to `worker`.

A process starts, which takes ten seconds and more, before it waits for its device, and is replaced when it
dies. Those that wait for it are threads of the run's own process, so that no death but that one ends them.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from benchmark.run.accelerator import warm_up
from benchmark.run.backends import AGAIN, BackendError, Call
from benchmark.run.devices import DevicePool
from benchmark.run.isolation import Child, Stopped
from benchmark.run.phrases import last_line
from benchmark.run.task import JobResult
from benchmark.run.worker import supervise

Ended = Callable[[tuple[JobResult, ...]], None]


@contextmanager
def on_devices(
    calls: Iterable[Call], devices: DevicePool, most: int, modules: Sequence[str], ended: Ended
) -> Iterator[None]:
    """Run calls while the body of the `with` runs, one after another on each device, and wait for their end.

    Parameters
    ----------
    calls
        Of jobs that use a device.
    devices, most
        Where, and on how many of them.
    modules
        What jobs import.
    ended
        Is told how the jobs of each call ended, in any of several threads.

    Raises
    ------
    BackendError
        If calls are left and no device can be used.
    """
    waiting = _Waiting(calls)
    lasting = {
        device: Child(modules, (warm_up, (device, tuple(modules)))) for device in devices.accelerators[:most]
    }
    with ThreadPoolExecutor(max(len(lasting), 1), "device") as threads:
        serving = [
            threads.submit(_serve, child, DevicePool((device,), devices.lock_dir), waiting, ended)
            for device, child in lasting.items()
        ]
        try:
            yield
            for one in serving:
                one.result()
            if lasting and waiting.take():
                raise BackendError(f"no device can be used any more, as said above; {AGAIN}")
        except BaseException:  # also Ctrl-C, of which the threads know nothing
            for child in lasting.values():
                child.stop()
            raise


class _Waiting:
    """Calls that several threads take from."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self.calls, self.lock = iter(calls), threading.Lock()

    def take(self) -> Call | None:
        with self.lock:
            return next(self.calls, None)


def _serve(child: Child, own: DevicePool, waiting: _Waiting, ended: Ended) -> None:
    """Run calls on one device until there are none, or it cannot be used."""
    try:
        with child:
            while True:
                if (started := child.ready()).reason == "raised":
                    print(f"{own.devices[0]} cannot be used: {last_line(started.message)}", file=sys.stderr)
                    return
                if (call := waiting.take()) is None:
                    return
                results = supervise(call.tasks, own, call.deadline, child)
                if child.stopped.is_set():
                    return
                ended(results)
    except Stopped:
        return
