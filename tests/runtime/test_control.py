"""The channel between parent and worker: words, questions, and what is heard of an end."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from oauthd.runtime.control import Control, Unanswered, attach


class End:
    """One end, which writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.next: Deferred[tuple[str, Any]] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self.control = Control(self._heard, lambda: self.gone.callback(None))

    def _heard(self, word: str, value: Any) -> None:
        self.heard.append((word, value))
        waiting, self.next = self.next, Deferred()
        waiting.callback((word, value))


class ControlTests(TestCase):
    """Two ends on a real pair of sockets."""

    def setUp(self) -> None:
        """Make them."""
        self.near, self.far = End(), End()
        for end, one in zip((self.near, self.far), socket.socketpair(), strict=True):
            attach(end.control, reactor, one)
        self.addCleanup(self.close)

    async def close(self) -> None:
        """Close both."""
        for end in (self.near, self.far):
            assert end.control.transport is not None
            end.control.transport.loseConnection()
            if not end.gone.called:
                await end.gone

    async def test_words(self) -> None:
        """Words and their values arrive in order, in both directions, large ones too."""
        large = {"settings": ["x" * 1000] * 1000}
        self.near.control.tell("start", large)
        self.near.control.tell("stop")
        self.assertEqual(await self.far.next, ("start", large))
        while len(self.far.heard) < 2:
            await self.far.next
        self.assertEqual(self.far.heard[1], ("stop", None))
        self.far.control.tell("ready")
        self.assertEqual(await self.near.next, ("ready", None))

    async def test_questions(self) -> None:
        """Each question gets its own answer."""
        counts = iter(range(10))
        self.far.control.answerers["count"] = lambda: next(counts)
        self.far.control.answerers["name"] = lambda: {"name": "far"}
        asked = [self.near.control.ask(question) for question in ("count", "name", "count")]
        self.assertEqual([await one for one in asked], [0, {"name": "far"}, 1])

    async def test_unknown_question(self) -> None:
        """A question that nobody knows has no answer, and says so at once."""
        with self.assertRaises(Unanswered):
            await self.near.control.ask("what")

    async def test_failing_answerer(self) -> None:
        """Who fails over a question is logged, and the channel goes on."""
        nothing: dict[str, int] = {}
        self.far.control.answerers["odd"] = lambda: nothing["here"]
        with self.assertRaises(Unanswered):
            await self.near.control.ask("odd")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.far.control.tell("still here")
        await self.near.next

    async def test_given_up(self) -> None:
        """Who gives up waiting is not disturbed by an answer that comes later."""
        self.far.control.answerers["count"] = lambda: 1
        asked = self.near.control.ask("count")
        asked.cancel()
        late = self.near.control.ask("count").addTimeout(0, reactor)
        for one in (asked, late):
            one.addErrback(lambda failure: failure.trap(Exception))
        await deferLater(reactor, 0.05)
        self.assertEqual(await self.near.control.ask("count"), 1)

    async def test_other_side_gone(self) -> None:
        """When the other side goes, this one hears so, and every question that is open fails."""
        asked = self.near.control.ask("count")
        assert self.far.control.transport is not None
        self.far.control.transport.loseConnection()
        with self.assertRaises(Unanswered):
            await asked
        await self.near.gone
        self.near.control.tell("hello")  # into the void
        with self.assertRaises(TimeoutError):
            await self.near.control.ask("count").addTimeout(0.01, reactor)
