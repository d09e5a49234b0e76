"""What lies in a folder of records beside records, and its removal by name; it reads no record's content.

Each leftover is of one job. It is taken and removed only under that job's lock, so that nothing is taken from
a process that still writes.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.contracts import Job, Record
from benchmark.run.bench import Bench
from benchmark.run.record_file import RECORD_FILE
from benchmark.run.store import CHECKPOINTS, RecordStore

_NAME = re.compile(
    r"(?P<hidden>\.?)(?P<seed>\d+)-(?P<hash>[0-9a-z]+)\.(?P<end>partial|old|(?:broken|outdated)-\d+)"
)
_WHY = {
    "partial": "half-written by a process that was ended",
    "old": "replaced by a process that was ended",
    "broken": "an unreadable record, set aside",
    "outdated": "a record of an older version, set aside",
}


@dataclass(frozen=True)
class Leftover:
    """One folder, or file, that no command reads."""

    store: RecordStore
    path: Path
    why: str
    job: Job
    config_hash: str

    def remove(self) -> bool:
        """Delete it, unless a process is at its job; return whether it is gone."""
        with self.store.lock(self.job, self.config_hash) as mine:
            if mine and self.path.is_dir():
                shutil.rmtree(self.path)
            elif mine:
                self.path.unlink(missing_ok=True)
            return mine


def stores_in(bench: Bench) -> list[RecordStore]:
    """Return the bench's store, and each other one in its folder of results: of refits, of studies."""
    folder, main = bench.results_dir, bench.store
    records = [path for path in folder.rglob(RECORD_FILE) if len(path.relative_to(folder).parts) > 4]
    return [main, *map(RecordStore, sorted({path.parents[3] for path in records} - {main.root}))]


def leftovers(store: RecordStore) -> list[Leftover]:
    """Name what writers that were ended left, and what was set aside, but for what is being written."""
    found = []
    for path in sorted(store.root.glob("[!.]*/[!.]*/*")):
        name = _NAME.fullmatch(path.name)
        if name is None or not path.is_dir() or path.is_symlink():
            continue
        kind = name["end"].partition("-")[0]
        if bool(name["hidden"]) != (kind in ("partial", "old")):
            continue
        job = Job(path.parts[-3], path.parts[-2], int(name["seed"]))
        if not store.is_held(job, name["hash"]):
            found.append(Leftover(store, path, _WHY[kind], job, name["hash"]))
    for left in checkpoints(store):
        record = store.find(left.job, left.config_hash)
        if record and record.status == "done" and not store.is_held(left.job, left.config_hash):
            found.append(left)
    return found


def stale_checkpoints(bench: Bench) -> list[Leftover]:
    """Name what unfinished jobs of the chosen methods and data sets cannot go on from any more."""
    current = {pair: bench.setup(*pair).config_hash for pair in bench.chosen_pairs()}
    return [
        replace(left, why="a checkpoint of other code, options or data")
        for left in checkpoints(bench.store)
        if current.get((left.job.dataset, left.job.method), left.config_hash) != left.config_hash
        and not bench.store.is_held(left.job, left.config_hash)
    ]


def checkpoints(store: RecordStore) -> list[Leftover]:
    """Name the files that unfinished jobs go on from, and those of jobs that have ended since."""
    found = []
    for path in sorted(store.root.glob(f"{CHECKPOINTS}/[!.]*/[!.]*/*")):
        if name := re.fullmatch(r"\.?(?P<seed>\d+)-(?P<hash>[0-9a-z]+)(\..*\.partial)?", path.name):
            job = Job(path.parts[-3], path.parts[-2], int(name["seed"]))
            found.append(Leftover(store, path, "a checkpoint of a job that has ended", job, name["hash"]))
    return found


def stale_leftovers(store: RecordStore, stale: Iterable[Record]) -> list[Leftover]:
    """Name the folders of stale records."""
    return [
        Leftover(
            store,
            store.folder(record.job, record.config_hash),
            "a stale record, of other code, options or data",
            record.job,
            record.config_hash,
        )
        for record in stale
    ]
