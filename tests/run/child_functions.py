"""What tests run in other processes; apart, so that those need not import pytest for it."""

import os
import subprocess
import sys
import time
from pathlib import Path


def add(a, b):
    return a + b


def fail():
    raise KeyError("lost")


def die(number):
    os.kill(os.getpid(), number)


def exit_quietly():
    os._exit(3)


def hang_with_a_child(note):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(note).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)


def use(pool, seconds):
    with pool.lease(timeout=60) as device:
        started = time.monotonic()
        time.sleep(seconds)
        return device, started, time.monotonic()
