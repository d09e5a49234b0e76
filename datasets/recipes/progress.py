"""Shows on a terminal how far a recipe is; it knows neither images nor features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from datasets.recipes.pipeline import Report


def progress_on(console: Console) -> Report:
    """Return a report that draws one bar per stage on a terminal, and one line per stage elsewhere."""

    def report(items: Iterable[Any], total: int, label: str) -> Iterator[Any]:
        if not console.is_terminal:
            console.print(f"{label} ...")
            yield from items
            return
        columns = (
            TextColumn("{task.description:26}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        with Progress(*columns, console=console) as bars:
            yield from bars.track(items, total=total, description=label)

    return report
