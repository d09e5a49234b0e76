"""How large the page is, and how long it takes to make and to open; machines differ, so no test asks it.

`python -m benchmark.studies.page [flags of run_all.py report]` makes the page in a temporary folder and opens
it in headless Chromium, each time in a fresh window.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OPENED = 5
"""Times; the median is reported."""


def make(page: Path, flags: list[str]) -> tuple[float, float]:
    """Make the page in a process of its own; return its seconds and peak MiB.

    Raises
    ------
    CalledProcessError
        If no page could be made.
    """
    started = time.perf_counter()
    subprocess.run([sys.executable, ROOT / "run_all.py", "report", *flags, "--out", page], check=True)
    seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def load_events(page: Path) -> list[float]:
    """Return when the load event had ended, in milliseconds from the start of navigation, of each opening."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise SystemExit("no Chromium on the path; install one (Debian: apt-get install chromium)")
    times = []
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for _ in range(OPENED):
            context = browser.new_context()
            tab = context.new_page()
            tab.goto(page.as_uri(), wait_until="load")
            tab.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
            times.append(tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
            context.close()
        browser.close()
    return times


def main() -> None:
    """Print size, time and memory of making, and times of opening."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "index.html"
        seconds, mib = make(page, sys.argv[1:])
        times = load_events(page)
        print(f"size: {page.stat().st_size / 1e6:.2f} MB")
        print(f"made in {seconds:.1f} s with at most {mib:.0f} MiB")
        shown = ", ".join(f"{one:.0f}" for one in times)
        print(f"load event: {statistics.median(times):.0f} ms in the median ({shown})")


if __name__ == "__main__":
    main()
