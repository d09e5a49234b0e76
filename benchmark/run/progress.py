"""Shows how far a run is and how long it may still take: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from benchmark.contracts import Job
from benchmark.run.plan import PlannedJob
from benchmark.run.times import Expected
from benchmark.run.worker import JobResult
from benchmark.words import one_line


class Progress:
    """A context manager that is told of each finished job.

    Parameters
    ----------
    planned
        The jobs of this run.
    workers
        How many of them run at a time.
    console
        Where to write; whether it is a terminal decides between a bar and lines.
    """

    def __init__(self, planned: Sequence[PlannedJob], workers: int, console: Console) -> None:
        self.console = console
        self.workers = max(workers, 1)
        self.planned = {job.job: job.expected for job in planned}
        self.remaining = dict.fromkeys(self.planned)
        self.total = len(planned)
        self.measured: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.bar: Bar | None = None
        self.task = TaskID(0)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}"),
                console=self.console,
            )
            self.task = self.bar.add_task("jobs", total=self.total, left=self._left())
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def finished(self, result: JobResult) -> None:
        """Count a job, learn from its time, and show it."""
        job = result.job
        self.remaining.pop(job, None)
        if result.status == "done":
            self.measured[job.dataset, job.method].append(result.seconds)
        count = self.total - len(self.remaining)
        took = f" in {duration(result.seconds)}" if result.seconds else ""
        reason = f": {last_line(result.error)}" if result.error else ""
        line = f"{job.dataset} {job.method} seed {job.seed} {_WORDS[result.status]}{took}{reason}"
        if self.bar is None:
            self.console.print(
                escape(f"[{count}/{self.total}] {line}; {self._left()}"), soft_wrap=True, highlight=False
            )
            return
        if result.status != "done":
            self.bar.console.print(escape(line), soft_wrap=True, highlight=False)
        self.bar.update(self.task, completed=count, left=self._left())

    def _left(self) -> str:
        times = [self.expected(job) for job in self.remaining]
        if not times:
            return "nothing left"
        known = [seconds for seconds in times if seconds is not None]
        if not known:
            return "time left unknown"
        # Jobs that nobody can judge yet count like the average of the others.
        seconds = max(statistics.mean(known) * len(times) / self.workers, max(known))
        return f"about {duration(seconds)} left"

    def expected(self, job: Job) -> float | None:
        """Return the seconds that a job should take: as others of its kind in this run, else as planned."""
        if measured := self.measured.get((job.dataset, job.method)):
            return statistics.median(measured)
        planned = self.planned[job]
        return None if planned is None else planned.seconds


_WORDS = {
    "done": "done",
    "failed": "FAILED",
    "timeout": "TIMED OUT",
    "elsewhere": "left to another run",
    "left out": "left out",
}


def last_line(text: str) -> str:
    """Return the last line of a traceback: what went wrong."""
    lines = text.strip().splitlines()
    return one_line(lines[-1]) if lines else ""


def duration(seconds: float) -> str:
    """Write a time for people: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def about(expected: Expected) -> str:
    """Write an expected time with its range: `about 18 min (14 to 23)`."""
    size, unit = next((size, unit) for size, unit in _UNITS if expected.most >= 2 * size or size == 1)
    middle, least, most = (
        f"{value:.1f}" if value < 10 else f"{value:.0f}"
        for value in (expected.seconds / size, expected.least / size, expected.most / size)
    )
    return f"about {middle} {unit} ({least} to {most})"


_UNITS = ((3600, "h"), (60, "min"), (1, "s"))
