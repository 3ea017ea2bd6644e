"""The file of the log, and how lines get there: together, a little later, because each write is a call of the system.

A line waits for others at most `SOON` seconds, and not at all when it is urgent, when there is no reactor to wait with
(before it runs, and after), or when many wait already. So a process that is killed loses what happened in its last
moments, but no warning and no error. Lines stay in order. A file that cannot be written to loses lines; nothing that is
served fails for it.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import IO, Any

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.python.logfile import BaseLogFile
from twisted.python.threadable import isInIOThread

SOON = 0.2  # seconds
MANY = 200  # lines; far less than a pipe holds, so that a reader which comes soon is not waited for


@define(eq=False)
class Output:
    """Takes finished lines, from any thread.

    :ivar file: of text, or twistd's log file.
    :ivar running: does the reactor run?
    """

    file: IO[Any]
    reactor: IReactorTime
    running: Callable[[], bool]
    _lines: list[str] = field(factory=list)
    _lock: Any = field(factory=Lock)
    _waiting: bool = False

    def __attrs_post_init__(self) -> None:
        """See to it that nothing is left in memory when Python ends."""
        atexit.register(self.flush)

    def soon(self, line: str) -> None:
        """Write a line before long."""
        self._lines.append(line)
        if self._waiting:  # set before a flush to come: it takes this line along
            if len(self._lines) >= MANY or not self.running():
                self.flush()
        elif isInIOThread() and self.running():
            self._waiting = True
            self.reactor.callLater(SOON, self._long_enough)
        else:
            self.flush()

    def _long_enough(self) -> None:
        self._waiting = False
        self.flush()

    def now(self, line: str) -> None:
        """Write a line, and all that wait."""
        self._lines.append(line)
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            count = len(self._lines)
            text = "".join(self._lines[:count])
            del self._lines[:count]  # what another thread has added since stays
            if text:
                with suppress(OSError, ValueError):  # a full disk, a closed pipe: there is nowhere to tell it
                    self._write(text)

    def _write(self, text: str) -> None:
        if isinstance(self.file, BaseLogFile):
            self.file.write(text.encode("utf-8", "backslashreplace"))
        else:
            try:
                self.file.write(text)
            except UnicodeError:  # a terminal that knows less
                self.file.write(text.encode("ascii", "backslashreplace").decode())
        self.file.flush()

    def rotate(self) -> None:
        """Begin a new file."""
        self.flush()
        self.file.rotate()  # type: ignore[attr-defined]
