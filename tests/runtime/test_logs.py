"""What the log says, and that nothing a caller sends can forge a line of it."""

from __future__ import annotations

import io
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from oauthd.config import LogSettings
from oauthd.runtime.logs import json_line, observer, text_line, writing


def event(form: str, **facts: Any) -> dict[str, Any]:
    """An event as a logger makes it."""
    made: list[dict[str, Any]] = []
    collect: Any = made.append
    Logger(namespace="oauthd.tests", observer=collect).emit(LogLevel.warn, form, **facts)
    return made[0]


class LineTests(SynchronousTestCase):
    """One event, one line."""

    def test_text(self) -> None:
        """Text is as twistd writes it, with control characters escaped and further lines indented."""
        line = text_line(event("{it}", it="a\x1b[2Jb\x00\x85\u2028c\rd\nforged"))
        assert line is not None
        self.assertRegex(line, r"\A\S+ \[oauthd\.tests#warn\] a\\x1b\[2Jb\\x00\\x85\\u2028c\\rd\n\tforged\n\Z")

    def test_json(self) -> None:
        """JSON is one object a line, whatever is in the message."""
        line = json_line(event("{it}", it='a"\n\x00é'))
        assert line is not None
        self.assertEqual(line.count("\n"), 1)
        told = json.loads(line)
        self.assertEqual(
            {name: told[name] for name in ("level", "source", "message")},
            {"level": "warn", "source": "oauthd.tests", "message": 'a"\n\x00é'},
        )
        self.assertRegex(told["time"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00\Z")

    def test_json_failure(self) -> None:
        """A failure comes with its trace."""
        try:
            raise ValueError("why")
        except ValueError:
            line = json_line(event("it failed", log_failure=Failure()))
        assert line is not None
        self.assertIn("ValueError: why", json.loads(line)["failure"])

    def test_json_worker(self) -> None:
        """What a worker tells says which one it is."""
        line = json_line(event("it", worker=3))
        assert line is not None
        self.assertEqual(json.loads(line)["worker"], 3)

    def test_nothing_to_say(self) -> None:
        """An event without a message is no line."""
        self.assertIsNone(json_line(event("")))
        self.assertIsNone(text_line(event("")))


class ObserverTests(SynchronousTestCase):
    """Where it goes, and from which level on."""

    def setUp(self) -> None:
        """A folder, and a standard output that can be read."""
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.output = io.StringIO()
        self.patch(sys, "stdout", self.output)
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))

    def test_level(self) -> None:
        """What is below the level is left out."""
        written = observer(LogSettings(level="error"), {"nodaemon": True})
        assert written is not None
        log = Logger(namespace="oauthd.tests", observer=written)
        log.warn("quiet")
        log.error("loud")
        self.assertNotIn("quiet", self.output.getvalue())
        self.assertIn("[oauthd.tests#error] loud", self.output.getvalue())

    def test_finished_lines(self) -> None:
        """Lines that are made elsewhere go to the same place, between those of the logger; elsewhere there is none."""
        written = observer(LogSettings(level="warn"), {"nodaemon": True})
        write, log = writing(written), Logger(observer=written)
        assert write is not None
        log.warn("one")
        write("two\n")
        log.error("three")
        found = self.output.getvalue()
        self.assertLess(found.index("one"), found.index("\ntwo\n"))
        self.assertLess(found.index("two"), found.index("three"))
        other: Any = lambda event: None  # noqa: E731
        self.assertEqual((writing(None), writing(other)), (None, None))

    def test_file(self) -> None:
        """In the background it is a file that others cannot read; one that exists keeps its mode and its lines."""
        path = Path(self.folder.name) / "oauthd.log"
        for number in (1, 2):
            written = observer(LogSettings(json=True), {"nodaemon": False, "logfile": str(path)})
            assert written is not None
            Logger(observer=written).info("line {number}", number=number)
        self.assertEqual([json.loads(line)["message"] for line in path.read_text().splitlines()], ["line 1", "line 2"])
        self.assertEqual(path.stat().st_mode & 0o777, 0o640)
        path.chmod(0o600)
        observer(LogSettings(), {"nodaemon": False, "logfile": str(path)})
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_left_to_twistd(self) -> None:
        """Whoever asks twistd for syslog or for a logger of one's own gets that."""
        self.assertIsNone(observer(LogSettings(), {"syslog": True}))
        self.assertIsNone(observer(LogSettings(), {"logger": object()}))

    def test_daemon_without_output(self) -> None:
        """A daemon has no standard output to write to."""
        with self.assertRaises(ValueError):
            observer(LogSettings(), {"nodaemon": False, "logfile": "-"})
