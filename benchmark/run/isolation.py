"""Runs functions in a child process with hard limits of time and memory; it knows no job and no record.

`signal.alarm` neither works outside a main thread nor breaks a long C call, and a crash must not take the
worker along, hence a process. A fork server keeps libraries imported, so a child starts in milliseconds.

Memory is what the child and its own children hold in RAM, looked at ten times a second. The system's own
limit, `RLIMIT_AS`, counts addresses instead: CUDA and memory maps take many times what they use, and each of
the child's children would get the whole limit again.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

import psutil

from benchmark.run.memory import out_of_memory_kills, resident
from benchmark.run.scratch import claim_folder

LOOK_SECONDS = 0.1
"""How often the memory of a child that has a limit is looked at."""
SERVER_KILLED = 255
"""The exit code that multiprocessing gives a child whose fork server was killed, be it alive or not."""
LONGEST_WAIT = 2_147_483
"""Seconds, 24 days: waiting counts milliseconds in 32 bits, and no job takes so long."""


@dataclass(frozen=True)
class Outcome:
    """How a child ended."""

    reason: Literal["finished", "raised", "timeout", "out-of-memory", "killed", "exited"]
    value: Any = None
    """What the function returned, when it finished."""
    message: str = ""
    """The traceback, the limit that was passed, or the signal or exit code that ended the child."""
    seconds: float = 0.0


class Stopped(BaseException):
    """What a call raises whose child was stopped from outside: how it ended means nothing."""


class Child:
    """A process that makes calls one after another, each within limits; it starts when it is needed.

    One that dies, or is killed at a limit, is replaced by the next call. Use it as a context manager, so that
    nothing goes on computing after an exception.

    Parameters
    ----------
    preload
        Modules that the fork server imports once, the first time that it is needed in this process.
    first
        Function and arguments of a call that `ready` makes in each new process before all others.
    """

    def __init__(
        self, preload: Sequence[str] = (), first: tuple[Callable[..., Any], tuple[Any, ...]] = (bool, ())
    ) -> None:
        self.preload, self.first = preload, first
        self.stopped = threading.Event()
        self._process: Any = None
        self._pipe: Any = None
        self._readied = Outcome("finished")
        self._kill_it: Callable[[], None] | None = None

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.end(kill=kind is not None)

    def ready(self) -> Outcome:
        """Start the process if there is none, and return how its first call ended."""
        if self._process is None or self._pipe.poll():
            self._readied = self.call(*self.first)
        return self._readied

    def call(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        *,
        time_limit: float | None = None,
        memory_limit: int | None = None,
    ) -> Outcome:
        """Call `function(*arguments)` there and wait for it; see `run_isolated`.

        Raises
        ------
        Stopped
            If another thread called `stop`.
        """
        payload, kills = pickle.dumps((function, arguments)), out_of_memory_kills()
        try:
            if self._process is not None and self._pipe.poll():  # no answer is due: it died meanwhile
                self.end(kill=True)
            if self._process is None:
                self._start()
            started = time.perf_counter()  # only now: a new fork server first ends its imports
            with suppress(OSError):  # it died just now, which is looked at below
                self._pipe.send_bytes(payload)
            passed = _watch(self._pipe, self._process, started, time_limit, memory_limit)
            outcome = passed or _received(self._pipe, self._process, out_of_memory_kills() > kills)
            outcome = replace(outcome, seconds=time.perf_counter() - started)
            if self.stopped.is_set():
                raise Stopped
        except BaseException:  # also on Ctrl-C: nothing may go on computing
            self.end(kill=True)
            raise
        if outcome.reason not in ("finished", "raised"):
            self.end(kill=True)
        return outcome

    def stop(self) -> None:
        """Kill it, from another thread than the one that calls; that one's calls raise `Stopped`."""
        self.stopped.set()
        if (kill := self._kill_it) is not None:
            kill()

    def _start(self) -> None:
        context = _context(self.preload)
        self._pipe, childs = context.Pipe()
        self._process = context.Process(target=_child, args=(childs,))
        try:
            self._process.start()
        except (EOFError, ConnectionError):  # the fork server was killed before it made the child
            self._process.start()
        childs.close()
        # What other threads start looks at all children, and would take this one's exit code from here.
        multiprocessing.process._children.discard(self._process)  # type: ignore[attr-defined]
        with suppress(psutil.NoSuchProcess):
            self._kill_it = partial(_kill, psutil.Process(self._process.pid))
        if self.stopped.is_set():
            raise Stopped

    def end(self, *, kill: bool = False) -> None:
        """Let the process end, which it does once nothing more can come, or make it."""
        if self._process is None:
            return
        process, self._process, self._kill_it = self._process, None, None
        self._pipe.close()
        if not kill:
            process.join()
        _kill_tree(process)


def run_isolated(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    *,
    time_limit: float | None = None,
    memory_limit: int | None = None,
    preload: Sequence[str] = (),
) -> Outcome:
    """Call `function(*arguments)` in a child process of its own and wait for it.

    Parameters
    ----------
    function, arguments
        Picklable; so must be what the function returns.
    time_limit
        Seconds after which the child and its own children are killed; None for no limit.
    memory_limit
        Bytes of memory above which they are; None for no limit.
    preload
        As of `Child`.
    """
    with Child(preload) as child:
        return child.call(function, arguments, time_limit=time_limit, memory_limit=memory_limit)


def _watch(
    receiver: Connection, child: Any, started: float, time_limit: float | None, memory_limit: int | None
) -> Outcome | None:
    """Wait for the child's end; return which limit it passed before, if it did."""
    limit = math.inf if time_limit is None else time_limit
    ends, longest = [receiver, child.sentinel], LONGEST_WAIT if memory_limit is None else LOOK_SECONDS
    while (left := started + limit - time.perf_counter()) > 0:
        ready = wait(ends, min(left, longest))
        if receiver in ready or (child.exitcode is not None and not _outlives_its_server(child)):
            return None
        if ready:  # its end has to be looked for now
            ends, longest = [receiver], LOOK_SECONDS
        if memory_limit is not None and (used := resident(child.pid)) > memory_limit:
            mib = f"{used / 2**20:,.0f} MiB, more than the limit of {memory_limit / 2**20:,.0f} MiB"
            return Outcome("out-of-memory", message=f"killed as it used {mib}")
    return Outcome("timeout", message=f"killed after the time limit of {time_limit:g} s")


def _outlives_its_server(child: Any) -> bool:
    """Whether a child lives whose fork server was killed, which multiprocessing takes for its end."""
    if child.exitcode != SERVER_KILLED:
        return False
    try:
        return bool(psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _received(receiver: Connection, child: Any, memory_ran_out: bool) -> Outcome:
    try:
        finished, content = pickle.loads(receiver.recv_bytes())
    except (EOFError, OSError, pickle.UnpicklingError):  # it died before, or while it answered
        child.join()
        return _death(child.exitcode, memory_ran_out)
    return Outcome("finished", content) if finished else Outcome("raised", message=content)


def _death(exitcode: int, memory_ran_out: bool) -> Outcome:
    if exitcode >= 0:
        return Outcome("exited", message=f"the job's process ended by itself with exit code {exitcode}")
    name = signal.Signals(-exitcode).name
    if name == "SIGKILL" and memory_ran_out:
        return Outcome("out-of-memory", message="the system ended the job's process, as memory ran out")
    hint = "; the system does this when memory runs out" if name == "SIGKILL" else ""
    return Outcome("killed", message=f"the job's process was ended by signal {name}{hint}")


def _child(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C the parent decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):  # nothing more can come
        while True:
            pipe.send_bytes(_answer(pipe.recv_bytes()))


def _answer(payload: bytes) -> bytes:
    try:
        function, arguments = pickle.loads(payload)
        return pickle.dumps((True, function(*arguments)))
    except BaseException:
        return pickle.dumps((False, traceback.format_exc()))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def end_with(parent: int) -> None:
    """End this process soon after its parent, which may be killed, now or before this one began.

    joblib's workers would wait for the next job, and go on with the one at hand, for minutes.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        os._exit(1)  # its own children notice

    threading.Thread(target=watch, daemon=True).start()


def _context(preload: Sequence[str]) -> Any:
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        # joblib's workers would pass this name on, and a fresh child does not know it.
        multiprocessing.set_start_method(None, force=True)
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    claim_folder()
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
    elif _outlives_its_server(child):
        descendants.append(psutil.Process(child.pid))
    for descendant in descendants:
        if descendant.is_running():
            descendant.kill()
    child.join()


def _kill(process: psutil.Process) -> None:
    """Kill a process and its descendants, without a look at how it ends."""
    with suppress(psutil.NoSuchProcess):
        for one in (*process.children(recursive=True), process):
            with suppress(psutil.NoSuchProcess):
                one.kill()
