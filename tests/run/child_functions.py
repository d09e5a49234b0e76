"""What tests of isolation run in child processes; apart, so that a child need not import pytest for it."""

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
