"""Leases devices to jobs across processes, one job per device; it knows no job and no method.

A lease is a file lock: the operating system releases it when its holder dies, however it dies.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from filelock import FileLock, Timeout

from benchmark.files import temporary_folder
from benchmark.run.locks import require_locks

POLL_SECONDS = 0.2


class DeviceError(ValueError):
    """A device that was asked for and is not there."""


@dataclass(frozen=True)
class DevicePool:
    """Devices that jobs share; `cpu` needs no lease, and several jobs may use it at once."""

    devices: tuple[str, ...]
    lock_dir: Path

    @property
    def accelerators(self) -> tuple[str, ...]:
        """The devices of which each takes one job at a time."""
        return () if self.devices == ("cpu",) else self.devices

    @contextmanager
    def lease(self, timeout: float | None = None, over: Event | None = None) -> Iterator[str]:
        """Wait for a free device and hold it.

        Raises
        ------
        TimeoutError
            If none became free within `timeout` seconds, where None is for ever, or before `over` was set.
        """
        if not self.accelerators:
            yield "cpu"
            return
        device, lock = self._wait(timeout, over or Event())
        try:
            yield device
        finally:
            lock.release()

    def _wait(self, timeout: float | None, over: Event) -> tuple[str, FileLock]:
        self.lock_dir.mkdir(parents=True, exist_ok=True)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            for device in self.devices:
                lock = FileLock(self.lock_dir / f"{device.replace(':', '-')}.lock", is_singleton=False)
                try:
                    lock.acquire(blocking=False)
                except Timeout:
                    continue
                return device, lock
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"no device of {', '.join(self.devices)} became free within {timeout:g} s")
            if over.wait(POLL_SECONDS):
                raise TimeoutError("nobody waits for a device any more")


def parse_devices(text: str, cuda_count: int) -> tuple[str, ...]:
    """Read `auto`, `cpu`, `cuda` (all), `cuda:0` or `cuda:0,1` on a machine with `cuda_count` GPUs.

    Raises
    ------
    DeviceError
        If the text is none of these, or names a GPU that is not there.
    """
    lowered = text.lower()
    every = tuple(f"cuda:{k}" for k in range(cuda_count))
    if lowered == "cpu" or (lowered == "auto" and not every):
        return ("cpu",)
    if lowered in ("auto", "cuda"):
        if not every:
            raise DeviceError("--device cuda: torch finds no GPU here; use --device cpu")
        return every
    kind, _, numbers = lowered.partition(":")
    if kind != "cuda" or not all(part.strip().isdecimal() for part in numbers.split(",")):
        raise DeviceError(f"--device {text!r} not understood: write auto, cpu, cuda, cuda:0 or cuda:0,1")
    chosen = tuple(f"cuda:{int(part)}" for part in numbers.split(","))
    if missing := [device for device in chosen if device not in every]:
        raise DeviceError(
            f"--device {text!r}: {', '.join(missing)} not here (torch finds {', '.join(every) or 'no GPU'})"
        )
    return tuple(dict.fromkeys(chosen))


def available_pool(text: str, lock_dir: Path | None = None) -> DevicePool:
    """Return the pool that `--device` asks for; its locks are shared by all runs of this user.

    Raises
    ------
    DeviceError
        If a device is not there, or could not be locked.
    """
    cuda_count = 0
    if text.lower() != "cpu":
        import torch

        cuda_count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    pool = DevicePool(parse_devices(text, cuda_count), lock_dir or temporary_folder("m3la-devices"))
    if pool.accelerators:
        try:
            require_locks(pool.lock_dir)
        except OSError as error:
            raise DeviceError(
                f"{pool.lock_dir}: devices cannot be locked there ({error}); name another folder in $TMPDIR, "
                "or use --device cpu"
            ) from error
    return pool
