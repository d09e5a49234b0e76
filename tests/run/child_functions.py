"""What tests run in other processes; apart, so that those need not import pytest for it."""

import os
import signal
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


def kill_the_fork_server(note, seconds):
    Path(note).write_text(str(os.getpid()))
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(seconds)
    return "done"


def grow(note, mib):
    Path(note).write_text(str(os.getpid()))
    held = [bytearray(b"x") * 2**20 for _ in range(mib)]
    if mib > 100:
        time.sleep(60)
    del held


def grow_in_a_child(note, mib):
    program = f"held = [bytearray(b'x') * 2**20 for _ in range({mib})]; import time; time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", program])
    Path(note).write_text(f"{os.getpid()} {child.pid}")
    child.wait()


def use(pool, seconds):
    with pool.lease(timeout=60) as device:
        started = time.monotonic()
        time.sleep(seconds)
        return device, started, time.monotonic()
