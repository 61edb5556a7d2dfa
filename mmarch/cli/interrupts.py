"""Ctrl-C within a second, also while LLVM or linked code runs and Python cannot raise anything."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from mmarch import waiting
from mmarch.errors import Interrupted

GRACE = 0.6  # seconds that Python has to end by itself


def die(number: signal.Signals) -> NoReturn:
    """End by a signal, at once, from any thread: no other is waited for, and a shell's loop around us ends too."""
    ctypes.CDLL(None).signal(int(number), None)  # SIG_DFL; Python's own signal() is for the main thread alone
    os.kill(os.getpid(), number)
    os._exit(128 + number)


@contextmanager
def interruptible(what: str) -> Iterator[None]:
    """Interrupted, which says `what`, on Ctrl-C; the process ends if its code does not come back in time."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    left = threading.Event()
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(reader, left, what), daemon=True)
    watcher.start()
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Interrupted(_said(what, *getattr(stop, "__notes__", ())[:1])) from None
    finally:
        left.set()
        signal.set_wakeup_fd(before)
        os.close(writer)
        watcher.join()
        os.close(reader)


def _watch(reader: int, left: threading.Event, what: str) -> None:
    """The kernel's handler writes the number of the signal even while the main thread is in C."""
    while number := os.read(reader, 1):
        if number[0] == signal.SIGINT and not left.wait(GRACE):
            for child in multiprocessing.active_children():
                child.kill()
            cursor = "\r\x1b[K\x1b[?25h" if sys.stderr.isatty() else ""  # a bar hides it
            os.write(2, f"{cursor}mmarch: {_said(what, waiting.now())}\n".encode())
            die(signal.SIGINT)


def _said(what: str, step: str = "") -> str:
    """With the step that was being taken."""
    return f"interrupted: {what}" + (f", {step}" if step else "")
