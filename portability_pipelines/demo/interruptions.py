"""Signals that end the program, heard at any moment, whoever else puts handlers in place."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import FrameType, TracebackType
from typing import NoReturn

from portability_pipelines.domain.errors import PortabilityError

GRACE_SECONDS = 5
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOPPED = b"Stopped. Nothing half-written counts; run it again to go on.\n"


def heeding_signals(work: Callable[[ExitStack, Callable[[], None]], int]) -> int:
    """Do ``work`` and give its exit code; 1 where it is refused, with a line that says why.

    Where a signal ends it, the process leaves with 128 and the signal's number. ``work`` is given a
    stack for what is to be closed in any case, and what raises where a signal has come, to be
    called wherever somebody else may have heard it.
    """
    code = 1
    opened = ExitStack()
    interruptions = Interruptions(opened.close)
    try:
        with opened, interruptions:
            code = work(opened, interruptions.check)
    except PortabilityError as error:
        if not interruptions.heard:
            sys.stderr.write(f"{error}\n")
    except BaseException:
        # Libraries make other errors of an interruption; all of them mean the same.
        if not interruptions.heard:
            raise
    if interruptions.heard:
        interruptions.leave()
    return code


class Interruptions:
    """While its context lasts, the first signal raises ``KeyboardInterrupt`` in the main thread.

    Dagster has handlers of its own while a job runs and forgets what comes at a bad moment, and
    Python drops what is raised in a destructor. So what counts is the pipe in which the interpreter
    notes a signal before any handler gets it. Where the context does not end within
    ``GRACE_SECONDS`` of a signal, the process ends all the same: ``close`` is called by another
    thread then. SIGHUP is not heard where this process was started deaf to it, as by nohup.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._raised = False
        self._ended = threading.Event()
        self._leaving = threading.Lock()
        self._stderr = os.dup(2)
        self._noted, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def __enter__(self) -> Interruptions:
        for number in _SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._raise)
        sys.unraisablehook = self._dropped
        threading.Thread(target=self._leave_if_stuck, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self._ended.set()

    @property
    def heard(self) -> bool:
        """Whether a signal has come."""
        return bool(select.select([self._noted], [], [], 0)[0])

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` where a signal has come, whatever became of it."""
        if self.heard:
            raise KeyboardInterrupt

    def leave(self) -> NoReturn:
        """Close, say so in one line, and end the process with 128 and the number of the signal.

        At once, because the threads of libraries may keep an interpreter from ending.
        """
        with self._leaving:
            try:
                self._close()
            finally:
                with suppress(OSError):  # the terminal may be gone
                    os.write(self._stderr, _STOPPED)
                os._exit(128 + os.read(self._noted, 1)[0])

    def _raise(self, _: int, __: FrameType | None) -> None:
        if not self._raised:
            self._raised = True
            raise KeyboardInterrupt

    def _dropped(self, dropped: sys.UnraisableHookArgs) -> None:
        """Tell of what was raised in a destructor, unless it was an interruption: that is noted."""
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            sys.__unraisablehook__(dropped)

    def _leave_if_stuck(self) -> None:
        select.select([self._noted], [], [])
        if not self._ended.wait(GRACE_SECONDS):
            self.leave()
