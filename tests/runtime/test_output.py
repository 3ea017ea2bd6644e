"""Lines reach the file of the log in order, together where they can wait, at once where they cannot."""

from __future__ import annotations

import io
import os
from pathlib import Path
from threading import Thread
from typing import Any

from twisted.internet.task import Clock
from twisted.python import threadable
from twisted.python.logfile import LogFile
from twisted.trial.unittest import SynchronousTestCase

from oauthd.runtime.output import MANY, SOON, Output


class Full(io.StringIO):
    """A file on a disk without room."""

    def write(self, text: str) -> int:
        """Fail."""
        raise OSError(28, "No space left on device")


class OutputTests(SynchronousTestCase):
    """In the reactor's thread, as a server is."""

    def setUp(self) -> None:
        """A file, a clock, and this thread as the reactor's."""
        threadable.registerAsIOThread()
        self.clock = Clock()
        self.runs = True
        self.file = io.StringIO()
        self.output = self.of(self.file)

    def of(self, file: Any) -> Output:
        """An output to that file."""
        return Output(file, self.clock, lambda: self.runs)

    @property
    def written(self) -> str:
        """What is in the file."""
        return self.file.getvalue()

    def test_together(self) -> None:
        """Lines wait a moment, and are written in their order."""
        self.output.soon("one\n")
        self.clock.advance(SOON / 2)
        self.output.soon("two\n")
        self.assertEqual(self.written, "")
        self.clock.advance(SOON / 2)
        self.assertEqual(self.written, "one\ntwo\n")
        self.output.soon("three\n")
        self.clock.advance(SOON)
        self.assertEqual(self.written, "one\ntwo\nthree\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_urgent(self) -> None:
        """Bad news is written at once, after what happened before it."""
        self.output.soon("one\n")
        self.output.now("bad\n")
        self.assertEqual(self.written, "one\nbad\n")
        self.clock.advance(SOON)
        self.assertEqual(self.written, "one\nbad\n")

    def test_many(self) -> None:
        """So many lines wait and no more: the next one is written with all of them, in order."""
        for number in range(MANY + 1):
            self.output.soon(f"{number}\n")
        self.assertGreaterEqual(self.written.count("\n"), MANY)
        self.output.flush()
        self.assertEqual(self.written.split(), [str(number) for number in range(MANY + 1)])

    def test_without_a_reactor(self) -> None:
        """Before the reactor runs, and after, nothing waits: twistd forks, and ends."""
        self.runs = False
        self.output.soon("one\n")
        self.assertEqual(self.written, "one\n")
        self.runs = True
        self.output.soon("two\n")
        self.runs = False
        self.output.soon("three\n")
        self.assertEqual(self.written, "one\ntwo\nthree\n")

    def test_other_threads(self) -> None:
        """Lines of other threads are neither lost nor doubled, whatever the reactor's thread does meanwhile."""
        threads = [Thread(target=self._many, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for number in range(2000):
            self.output.soon(f"reactor {number}\n")
            if not number % 100:
                self.clock.advance(SOON)
        for thread in threads:
            thread.join()
        self.clock.advance(SOON)
        lines = self.written.splitlines()
        for name in ("a", "b", "c", "d", "reactor"):
            self.assertEqual(
                [line for line in lines if line.startswith(f"{name} ")], [f"{name} {number}" for number in range(2000)]
            )

    def _many(self, name: str) -> None:
        for number in range(2000):
            self.output.soon(f"{name} {number}\n")

    def test_nowhere_to_write(self) -> None:
        """A full disk and a closed file lose lines, and nobody has to care."""
        full = self.of(Full())
        full.soon("one\n")
        self.clock.advance(SOON)
        full.now("two\n")
        closed = io.StringIO()
        closed.close()
        self.of(closed).now("three\n")

    def test_a_terminal_that_knows_less(self) -> None:
        """What it cannot show is escaped; the lines around it are not lost."""
        raw = io.BytesIO()
        self.of(io.TextIOWrapper(raw, "ascii")).now("before\nné\nafter\n")
        self.assertEqual(raw.getvalue(), b"before\nn\\xe9\nafter\n")

    def test_a_log_file(self) -> None:
        """A file of twistd's is written in UTF-8, whatever stands in a line."""
        path = Path(self.mktemp())
        file = LogFile(path.name, os.path.abspath(path.parent))
        self.of(file).now("né\ud800\n")
        file.close()
        self.assertEqual(path.read_bytes(), "né\\ud800\n".encode())

    def test_rotate(self) -> None:
        """What waits belongs into the old file."""
        path = Path(self.mktemp())
        file = LogFile(path.name, os.path.abspath(path.parent))
        output = self.of(file)
        output.soon("old\n")
        output.rotate()
        output.soon("new\n")
        self.clock.advance(SOON)
        file.close()
        self.assertEqual((Path(f"{path}.1").read_text(), path.read_text()), ("old\n", "new\n"))
