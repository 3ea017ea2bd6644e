"""A worker's log on its way to the parent: nothing is lost of an event that the log would show."""

from __future__ import annotations

import io
import json
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from oauthd.runtime.logs import json_line, text_line
from oauthd.runtime.output import Output
from oauthd.runtime.relaying import FINISHED, LONGEST, Lines, Relay, event_of, line_of


class RelayTests(SynchronousTestCase):
    """Events from one process in another one's log."""

    def relayed(self, *arguments: Any, **facts: Any) -> dict[str, Any]:
        """An event that worker 3 has logged, as the parent sees it."""
        seen: list[dict[str, Any]] = []
        observer: Any = seen.append
        Logger(namespace="oauthd", observer=observer).emit(*arguments, **facts)
        return event_of(line_of(seen[0]), 3)

    def test_text(self) -> None:
        """Its line is that of the parent's own events, but for the worker's number."""
        event = self.relayed(LogLevel.warn, "{what} costs {sum:.2f}", what="{brace}", sum=1.5, other=[1])
        self.assertEqual(formatEvent(event), "{brace} costs 1.50")
        self.assertRegex(str(text_line(event)), r"^\S+ \[oauthd#warn worker 3\] \{brace\} costs 1\.50\n$")
        self.assertEqual((event["log_level"], event["what"], event["sum"]), (LogLevel.warn, "{brace}", 1.5))
        self.assertNotIn("other", event)

    def test_json(self) -> None:
        """As JSON it has the number as a member."""
        told = json.loads(str(json_line(self.relayed(LogLevel.info, "text"))))
        self.assertEqual((told["worker"], told["source"], told["level"]), (3, "oauthd", "info"))

    def test_trace(self) -> None:
        """The trace of a failure comes along."""
        try:
            raise RuntimeError("a reason")
        except RuntimeError:
            failure = Failure()
        event = self.relayed(LogLevel.critical, "it failed", log_failure=failure)
        self.assertIn("RuntimeError: a reason", str(text_line(event)))
        self.assertIn("RuntimeError: a reason", json.loads(str(json_line(event)))["failure"])

    def test_two_lines(self) -> None:
        """An event with ends of lines, or that would forge one, is one line on its way."""
        line = line_of({"log_time": 1.0, "log_format": "one\ntwo\r\x00", "log_level": LogLevel.info})
        self.assertEqual(line.count("\n"), 1)
        self.assertEqual(formatEvent(event_of(line, 1)), "one\ntwo\r\x00")

    def test_legacy(self) -> None:
        """An event of twisted.python.log has no place of its own."""
        event = event_of(line_of({"log_time": 1.0, "log_namespace": "log_legacy", "log_format": "Port closed"}), 2)
        self.assertIn("[worker 2] Port closed", str(text_line(event)))

    def test_no_event(self) -> None:
        """Whatever else a worker prints is no event."""
        for line in ("", "Fatal Python error", "{}", "[]", "7", '{"level": "loud", "source": ""}'):
            with self.assertRaises(ValueError):
                event_of(line, 1)

    def test_in_order(self) -> None:
        """Events and finished lines keep their order, and bad news does not wait."""
        file, clock = io.StringIO(), Clock()
        relay = Relay(Output(file, clock, lambda: True))
        relay.finished("first\n")
        relay({"log_time": 1.0, "log_format": "second", "log_level": LogLevel.info})
        self.assertEqual(file.getvalue(), "")
        relay({"log_time": 1.0, "log_format": "third", "log_level": LogLevel.error})
        one, two, three = file.getvalue().splitlines()
        self.assertEqual(one, f"{FINISHED}first")
        self.assertEqual([formatEvent(event_of(line, 1)) for line in (two, three)], ["second", "third"])


class LinesTests(SynchronousTestCase):
    """What a pipe brings has no respect for lines."""

    def test_parts(self) -> None:
        """Lines are put together from parts; the last one may lack its end."""
        lines = Lines()
        self.assertEqual(lines.take(b"on"), [])
        self.assertEqual(lines.take(b"e\ntwo\n\nth"), [b"one", b"two"])
        self.assertEqual(lines.end(), [b"th"])
        self.assertEqual(lines.end(), [])

    def test_without_end(self) -> None:
        """A line without end does not fill the memory."""
        lines = Lines()
        self.assertEqual(lines.take(b"x" * LONGEST), [])
        self.assertEqual(lines.take(b"x"), [b"x" * (LONGEST + 1)])
        self.assertEqual(lines.end(), [])
