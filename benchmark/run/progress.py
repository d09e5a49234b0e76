"""Shows how far a run is and how long it may take: redrawn on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import heapq
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from benchmark.contracts import Job
from benchmark.run.phrases import duration, in_few, last_line
from benchmark.run.plan import PlannedJob
from benchmark.run.schedule import Places, grouped
from benchmark.run.task import JobResult

Jobs = tuple[Job, ...]
"""Those of a group, which run and end together."""
EVERY_SECONDS, EVERY_SHARE = 30.0, 0.05
"""Without a terminal, how often lines are repeated: so many seconds, later so much of the time passed."""
_WORDS = {
    "done": "done",
    "failed": "FAILED",
    "timeout": "TIMED OUT",
    "killed": "KILLED",
    "out-of-memory": "OUT OF MEMORY",
    "elsewhere": "left to another run",
    "left out": "left out",
}


class Progress:
    """A context manager that is told of each finished job, and has one line for each data set.

    Parameters
    ----------
    planned
        The jobs of this run, in the order in which they start.
    workers
        How many of them run at a time.
    console
        Where to write; whether it is a terminal decides how.
    accelerators
        How many devices run groups beside the others.
    """

    def __init__(
        self, planned: Sequence[PlannedJob], workers: int, console: Console, accelerators: int = 0
    ) -> None:
        self.console = console
        self.planned = {job.job: job.expected for job in planned}
        groups = grouped(planned)
        self.places = Places.of(groups, workers, accelerators)
        self.place = {tuple(job.job for job in g): self.places.on_accelerator(g) for g in groups}
        """Of each group, whether it is on an accelerator."""
        self.group_of = {job: jobs for jobs in self.place for job in jobs}
        self.waiting = {
            kind: {jobs: None for jobs, place in self.place.items() if place == kind}
            for kind, _ in self.places.each()
        }
        self.running: dict[Jobs, float] = {}
        self.spent: dict[Jobs, float] = {}
        self.ended: dict[Job, str] = {}
        self.open = Counter(job.dataset for job in self.planned)
        self.took: dict[str, float] = {}
        """Seconds of the run by when each data set was through."""
        self.measured: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.said: set[tuple[str, str, str]] = set()
        self.begun = self.told = time.monotonic()
        self.live: Live | None = None
        self.lock = threading.Lock()  # the terminal is redrawn by a thread
        self._start()

    def __enter__(self) -> Self:
        if self.console.is_interactive:
            self.live = Live(get_renderable=self._drawn, console=self.console, refresh_per_second=2)
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def finished(self, result: JobResult) -> None:
        """Count a job, learn from its time, and show it."""
        with self.lock:
            self._count(result)
            lines = [] if result.status == "done" else self._trouble(result)
            if self.live is None:
                lines += self._due(result.job.dataset)
        for line in lines:
            self.console.print(escape(line), soft_wrap=True, highlight=False)

    def expected(self, job: Job) -> float | None:
        """Return the seconds of a job with its group: as others of its kind in this run, else as planned."""
        if measured := self.measured.get((job.dataset, job.method)):
            return statistics.median(measured)
        planned = self.planned[job]
        return None if planned is None else planned.seconds

    def _count(self, result: JobResult) -> None:
        job = result.job
        jobs = self.group_of[job]
        self.ended[job] = result.status
        if result.status == "done":
            self.spent[jobs] = self.spent.get(jobs, 0.0) + result.seconds
        if all(one in self.ended for one in jobs):
            self.running.pop(jobs, None)
            self.waiting[self.place[jobs]].pop(jobs, None)
            if jobs in self.spent:
                self.measured[job.dataset, job.method].append(self.spent.pop(jobs))
        self._start()
        self.open[job.dataset] -= 1
        if not self.open[job.dataset]:
            self.took[job.dataset] = time.monotonic() - self.begun

    def _start(self) -> None:
        """Note what runs now: groups start in their order, as soon as there is a place for them."""
        for kind, number in self.places.each():
            free = number - sum(self.place[jobs] == kind for jobs in self.running)
            while self.waiting[kind] and free > 0:
                jobs = next(iter(self.waiting[kind]))
                del self.waiting[kind][jobs]
                self.running[jobs] = time.monotonic()
                free -= 1

    def _trouble(self, result: JobResult) -> list[str]:
        """Tell of each failure; of jobs that were only left out, of one per method and reason."""
        job = result.job
        key = job.dataset, job.method, result.error
        if result.status in ("elsewhere", "left out") and key in self.said:
            return []
        self.said.add(key)
        after = f" after {duration(result.seconds)}" if result.seconds else ""
        reason = f": {last_line(result.error)}" if result.error else ""
        return [f"{job.dataset} {job.method} seed {job.seed} {_WORDS[result.status]}{after}{reason}"]

    def _due(self, dataset: str) -> list[str]:
        """Return what to print now where nothing is redrawn: a data set that is through, or all that run."""
        now = time.monotonic()
        if now - self.told >= max(EVERY_SECONDS, EVERY_SHARE * (now - self.begun)):
            self.told = now
            begun = {job.dataset for job in (*self.ended, *(jobs[0] for jobs in self.running))}
            return self._lines([name for name in self.open if name in begun - {*self.took} | {dataset}])
        return self._lines([dataset])[:1] if dataset in self.took else []

    def _drawn(self) -> Group:
        with self.lock:
            lines = self._lines(tuple(self.open))
        return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))

    def _lines(self, datasets: Sequence[str]) -> list[str]:
        left = self._left()
        lines = [self._line(name, left.get(name)) for name in datasets]
        if len(self.open) > 1 and len(self.ended) < len(self.planned):
            ended = f"{len(self.ended)}/{len(self.planned)} jobs ended"
            lines.append(f"all: {ended}, {_time_left(max(left.values(), default=None))}")
        return lines

    def _line(self, dataset: str, left: float | None) -> str:
        jobs = [job for job in self.planned if job.dataset == dataset]
        counts = Counter(self.ended[job] for job in jobs if job in self.ended)
        unfinished = [job for job in jobs if self.ended.get(job) != "done"]
        seeds, methods = ({getattr(job, kind) for job in jobs} for kind in ("seed", "method"))
        whole_seeds = len(seeds - {job.seed for job in unfinished})
        whole_methods = len(methods - {job.method for job in unfinished})
        text = (
            f"{dataset}: {counts.pop('done', 0)}/{len(jobs)} jobs, {whole_methods}/{len(methods)} methods, "
            f"{whole_seeds}/{len(seeds)} seeds done"
        )
        text += "".join(f", {number} {_WORDS[status]}" for status, number in counts.items())
        if dataset in self.took:
            return f"{text}; ended after {duration(self.took[dataset])}"
        running = [
            f"{jobs[0].method} seed{'s' if len(jobs) > 1 else ''} {in_few([job.seed for job in jobs])}"
            for jobs in self.running
            if jobs[0].dataset == dataset
        ]
        return f"{text}, {_time_left(left)}" + (f"; running {', '.join(running)}" if running else "")

    def _left(self) -> dict[str, float]:
        """Return in how many seconds the last job of each data set should end; nothing if nobody knows."""
        open_groups = [*self.running, *self.waiting[False], *self.waiting[True]]
        known = {jobs: s for jobs in open_groups if (s := self.expected(jobs[0]))}
        if not known:
            return {}
        # Groups that nobody can judge yet count like the average of the others.
        usual = statistics.mean(known.values())
        left: dict[str, float] = {}

        def add(jobs: Jobs, start: float) -> float:
            end = start + known.get(jobs, usual)
            left[jobs[0].dataset] = max(left.get(jobs[0].dataset, 0.0), end)
            return end

        now = time.monotonic()
        for kind, number in self.places.each():
            running = [(jobs, began) for jobs, began in self.running.items() if self.place[jobs] == kind]
            free_at = [max(add(jobs, began - now), 0.0) for jobs, began in running]
            free_at += [0.0] * (number - len(free_at))
            heapq.heapify(free_at)
            for jobs in self.waiting[kind]:
                heapq.heapreplace(free_at, add(jobs, free_at[0]))
        return left


def _time_left(seconds: float | None) -> str:
    if seconds is None:
        return "time left unknown"
    return f"about {duration(max(seconds, 1.0))} left"
