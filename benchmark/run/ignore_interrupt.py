"""Imported first by a worker's fork server: Ctrl-C reaches every process of a terminal; the parent decides.

A fork server that is still importing would only print a traceback over the parent's message.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
