"""Which events and requests are written, and that a line says what it says and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatTime, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from oauthd.config import LogSettings
from oauthd.events import Event
from oauthd.runtime.journal import Journal

NOW = 1_800_000_000.25
ISSUED = Event("token.issued", {"grant_type": "password", "client_id": "app", "user_id": None})
SIGNED_OUT = Event("sign_out", {"user_id": "7", "client_id": None})


class JournalCase(SynchronousTestCase):
    """Lines end up in a list."""

    def setUp(self) -> None:
        """No line."""
        self.lines: list[str] = []
        self.clock = Clock()
        self.clock.advance(NOW)

    def journal(self, worker: int | None = None, **settings: Any) -> Journal:
        """A journal with these settings of the log."""
        return Journal(LogSettings(**settings), self.lines.append, worker, self.clock.seconds)


class LineTests(JournalCase):
    """What a line looks like."""

    def tell(self, journal: Journal, event: Event) -> str:
        """The line of an event."""
        assert journal.event is not None
        journal.event(event)
        return self.lines.pop()

    def test_text(self) -> None:
        """Text is as twistd writes it, in local time; facts that are none are left out."""
        journal, stamp = self.journal(), formatTime(NOW)
        self.assertEqual(self.tell(journal, SIGNED_OUT), f'{stamp} [oauthd#info] sign_out user_id="7"\n')
        assert journal.access is not None
        journal.access("GET", "/a/<b>", 404, 0.00123)
        self.assertEqual(self.lines.pop(), f"{stamp} [oauthd#info] GET /a/<b> 404 1.2ms\n")

    def test_time_goes_on(self) -> None:
        """Each line has its own second."""
        journal = self.journal()
        for _ in range(3):
            self.assertEqual(self.tell(journal, SIGNED_OUT).split()[0], formatTime(self.clock.seconds()))
            self.clock.advance(0.9)

    def test_json(self) -> None:
        """JSON has the parts as members, besides the text; the facts of an event under one, where no name collides."""
        journal = self.journal(json=True)
        event = Event("sign_in.failed", {"source": "192.0.2.1", "tries": 3, "user_id": None})
        usual = {"time": "2027-01-15T08:00:00.250+00:00", "level": "info", "source": "oauthd"}
        self.assertEqual(
            json.loads(self.tell(journal, event)),
            usual
            | {"message": 'sign_in.failed source="192.0.2.1" tries=3', "event": "sign_in.failed"}
            | {"facts": {"source": "192.0.2.1", "tries": 3}},
        )
        assert journal.access is not None
        journal.access("GET", "/a", 200, 0.0456)
        self.assertEqual(
            json.loads(self.lines.pop()),
            usual | {"message": "GET /a 200 45.6ms", "method": "GET", "route": "/a", "status": 200, "ms": 45.6},
        )

    def test_worker(self) -> None:
        """Where there are several processes a line says which one it is from."""
        self.assertIn(" [oauthd#info worker 3] sign_out ", self.tell(self.journal(3), SIGNED_OUT))
        self.assertEqual(json.loads(self.tell(self.journal(3, json=True), SIGNED_OUT))["worker"], 3)

    @given(st.dictionaries(st.sampled_from(["client_id", "source", "scope"]), st.text()))
    def test_nothing_is_forged(self, facts: dict[str, str]) -> None:
        """Whatever the facts are, an event is one line of visible ASCII, from which they can be read again."""
        for form in (False, True):
            line = self.tell(self.journal(json=form), Event("sign_out", facts))
            self.assertRegex(line, r"\A[ -~]+\n\Z")
            if form:
                self.assertEqual(json.loads(line)["facts"], facts)


class ChoiceTests(JournalCase):
    """What is written at all."""

    def written(self, told: Callable[..., object] | None, *facts: Any) -> bool:
        """Is there a line after this was told?"""
        if told is not None:
            told(*facts)
        found, self.lines[:] = bool(self.lines), []
        return found

    def test_levels(self) -> None:
        """Events and requests are information: with a higher level nobody is told of them."""
        for level, expected in (("debug", True), ("info", True), ("warn", False), ("critical", False)):
            journal = self.journal(level=level, access="all")
            for told in (journal.event, journal.access, journal.lane):
                self.assertEqual(told is not None, expected, level)

    def test_left_out(self) -> None:
        """Tokens are left out unless somebody wants them; what is left out is for the settings to say."""
        usual, other = self.journal(), self.journal(leave_out=("sign_out",))
        self.assertFalse(self.written(usual.event, ISSUED))
        self.assertTrue(self.written(usual.event, SIGNED_OUT))
        self.assertTrue(self.written(other.event, ISSUED))
        self.assertFalse(self.written(other.event, SIGNED_OUT))

    def test_access(self) -> None:
        """Requests are written where the settings say so: on the ordinary path, on both, or on none."""
        for access, ordinary, lane in (("ordinary", True, False), ("all", True, True), ("off", False, False)):
            journal = self.journal(access=access)
            self.assertEqual((journal.access is not None, journal.lane is not None), (ordinary, lane), access)

    def test_every(self) -> None:
        """Of requests, each so many is written, whichever way they took."""
        journal = self.journal(access="all", access_every=3)
        written = [
            self.written(told, "GET", "/", 200, 0.1)
            for told in (journal.access, journal.lane, journal.access, journal.lane, journal.lane, journal.access)
        ]
        self.assertEqual(written, [False, False, True, False, False, True])


class OtherLogTests(SynchronousTestCase):
    """A log that is not ours."""

    def setUp(self) -> None:
        """Somebody who listens to Twisted's logger."""
        self.events: list[LogEvent] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def test_through_the_logger(self) -> None:
        """It gets the same events and requests through Twisted's logger, and judges levels itself."""
        journal = Journal(LogSettings(level="error"))
        assert journal.event is not None
        assert journal.access is not None
        journal.event(ISSUED)
        journal.event(SIGNED_OUT)
        journal.access("GET", "/a", 200, 0.001)
        self.assertEqual(
            [(event["line"], event["log_namespace"]) for event in self.events],
            [('sign_out user_id="7"', "oauthd"), ("GET /a 200 1.0ms", "oauthd")],
        )
        self.assertEqual((self.events[0]["facts"], self.events[1]["status"]), ({"user_id": "7"}, 200))
