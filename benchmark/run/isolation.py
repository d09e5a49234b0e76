"""Runs one function in a child process with a hard time limit; it knows nothing of jobs or records.

`signal.alarm` neither works outside a main thread nor breaks a long C call, and a crash must not take the
worker along, hence a process. A fork server keeps libraries imported, so a child starts in milliseconds.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

import psutil

LONGEST_WAIT = 2_147_483
"""Seconds, 24 days: waiting counts milliseconds in 32 bits, and no job takes so long."""


@dataclass(frozen=True)
class Outcome:
    """How a child ended."""

    reason: Literal["finished", "raised", "timeout", "died"]
    value: Any = None
    """What the function returned, when it finished."""
    message: str = ""
    """The traceback, the time limit that was passed, or the signal that ended the child."""
    seconds: float = 0.0


def run_isolated(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    *,
    time_limit: float | None = None,
    preload: Sequence[str] = (),
) -> Outcome:
    """Call `function(*arguments)` in a child process and wait for it.

    Parameters
    ----------
    function, arguments
        Picklable; so must be what the function returns.
    time_limit
        Seconds after which the child and its own children are killed; None for no limit.
    preload
        Modules that the fork server imports once, the first time that it is needed in this process.
    """
    context = _context(preload)
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sender, pickle.dumps((function, arguments))))
    started = time.perf_counter()
    child.start()
    sender.close()
    try:
        bounded = time_limit is not None and time_limit < LONGEST_WAIT
        ready = wait([receiver, child.sentinel], time_limit if bounded else None)
        seconds = time.perf_counter() - started
        if not ready:
            return Outcome(
                "timeout", message=f"killed after the time limit of {time_limit:g} s", seconds=seconds
            )
        return _received(receiver, child, seconds)
    finally:  # also on Ctrl-C: nothing may go on computing
        _kill_tree(child)
        receiver.close()


def _received(receiver: Connection, child: Any, seconds: float) -> Outcome:
    try:
        finished, content = pickle.loads(receiver.recv_bytes())
    except EOFError:
        child.join()
        return Outcome("died", message=_death(child.exitcode), seconds=seconds)
    child.join()
    if finished:
        return Outcome("finished", content, seconds=seconds)
    return Outcome("raised", message=content, seconds=seconds)


def _death(exitcode: int) -> str:
    if exitcode >= 0:
        return f"the job's process ended by itself with exit code {exitcode}"
    name = signal.Signals(-exitcode).name
    hint = "; the system does this when memory runs out" if name == "SIGKILL" else ""
    return f"the job's process was ended by signal {name}{hint}"


def _child(sender: Connection, payload: bytes) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C the parent decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        function, arguments = pickle.loads(payload)
        answer = pickle.dumps((True, function(*arguments)))
    except BaseException:
        answer = pickle.dumps((False, traceback.format_exc()))
    sender.send_bytes(answer)
    sender.close()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _context(preload: Sequence[str]) -> Any:
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        # joblib's workers would pass this name on, and a fresh child does not know it.
        multiprocessing.set_start_method(None, force=True)
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def _kill_tree(child: Any) -> None:
    if child.pid is None:
        return
    try:
        process = psutil.Process(child.pid)
        descendants = process.children(recursive=True)
    except psutil.NoSuchProcess:
        descendants = []
    if child.is_alive():
        child.kill()
    for descendant in descendants:
        if descendant.is_running():
            descendant.kill()
    child.join()
