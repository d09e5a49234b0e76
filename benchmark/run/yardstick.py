"""How fast this machine is: the processor seconds of one fixed piece of work; it knows no method and no job.

The work is a mix of what fits are made of: large and small matrix products, passes over memory, and Python.
It runs as a program of its own, several at a time, since jobs that run side by side compete for memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
TIMES = 5


def yardstick_seconds(processes: int, times: int = TIMES) -> float:
    """Return the mean processor seconds of the work when as many processes as jobs do it at a time.

    In each process the fastest of some `times` counts, the least disturbed.

    Raises
    ------
    subprocess.CalledProcessError
        If a process cannot do it; its own message stands on standard error.
    """
    command = [sys.executable, str(Path(__file__)), str(times)]
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    # In sessions of their own, as Ctrl-C reaches every process of a terminal's, and this one decides.
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
        for _ in range(processes)
    ]
    try:
        answers = [process.communicate()[0] for process in started]
    except BaseException:
        for process in started:
            process.kill()
        raise
    for process in started:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
    return sum(map(float, answers)) / processes


def work(times: int) -> float:
    """Do the work some times, and return the processor seconds of the fastest."""
    generator = np.random.default_rng(0)
    large = generator.random((768, 768), dtype=np.float32)
    batch, weights = (generator.random(shape, dtype=np.float32) for shape in ((64, 128), (128, 128)))
    memory = np.ones(4_000_000)
    seconds = []
    for _ in range(times):
        started = time.process_time()
        for _ in range(12):
            large @ large
        for _ in range(1500):
            np.tanh(batch @ weights)
        for _ in range(6):
            memory = memory * 0.5 + 1.0
        total = 0
        for k in range(1_000_000):
            total += k % 7
        seconds.append(time.process_time() - started)
    return min(seconds)


if __name__ == "__main__":
    print(work(int(sys.argv[1])))
