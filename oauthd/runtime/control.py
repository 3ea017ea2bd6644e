"""The channel between the parent and one worker: JSON messages with a length in front, in both directions.

Either side tells the other a word, with a value where it has one, or asks a question and gets an answer. It is a socket
that only the two have: nothing of it can be seen in a list of processes, so settings and secrets may go through it, and
when one side is gone, however it ended, the other one hears so.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure

log = Logger(namespace="oauthd")


class Unanswered(Exception):
    """The other side did not understand the question, failed over it, or is gone."""


class Control(Int32StringReceiver):
    """One end of the channel.

    :ivar answerers: questions that this side answers -> what gives the answer, a JSON value.
    """

    MAX_LENGTH = 1 << 24

    def __init__(
        self,
        heard: Callable[[str, Any], None],
        gone: Callable[[], None],
        answerers: dict[str, Callable[[], Any]] | None = None,
    ) -> None:
        """Make one end.

        :param heard: called with each word that the other side tells, and its value.
        :param gone: called when the other side is gone.
        """
        self.answerers: dict[str, Callable[[], Any]] = {} if answerers is None else answerers
        self._heard = heard
        self._gone = gone
        self._asked: dict[int, Deferred[Any]] = {}
        self._numbers = itertools.count()

    def tell(self, word: str, value: Any = None) -> None:
        """Tell the other side; lost without a word if it is gone."""
        self._send({"tell": word, "value": value})

    def ask(self, question: str) -> Deferred[Any]:
        """Ask the other side: fires with its answer, fails with `Unanswered`; cancel it when it takes too long."""
        number = next(self._numbers)
        answer: Deferred[Any] = Deferred(lambda _: self._forget(number))
        self._asked[number] = answer
        self._send({"ask": question, "number": number})
        return answer

    def _forget(self, number: int) -> None:
        self._asked.pop(number, None)

    def _send(self, message: dict[str, Any]) -> None:
        if self.transport is not None:
            self.sendString(json.dumps(message).encode())

    def stringReceived(self, string: bytes) -> None:  # noqa: N802 - Twisted's name
        """One message has arrived."""
        message = json.loads(string)
        if "tell" in message:
            self._heard(message["tell"], message["value"])
        elif "ask" in message:
            self._answer(message["ask"], message["number"])
        elif (asked := self._asked.pop(message["number"], None)) is not None:
            if "answer" in message:
                asked.callback(message["answer"])
            else:
                asked.errback(Unanswered())

    def _answer(self, question: str, number: int) -> None:
        told: dict[str, Any] = {"number": number}
        if question in self.answerers:
            try:
                told["answer"] = self.answerers[question]()
            except Exception:
                log.failure("the question {question} could not be answered", question=question)
        self._send(told)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802 - Twisted's name
        """The other side is gone."""
        asked, self._asked = self._asked, {}
        for waiting in asked.values():
            waiting.errback(Unanswered())
        self._gone()


class _Once(Factory):
    """Twisted adopts sockets for factories only."""

    noisy = False

    def __init__(self, control: Control) -> None:
        self.control = control

    def buildProtocol(self, addr: IAddress | None) -> Control:  # noqa: N802 - Twisted's name
        return self.control


def attach(control: Control, reactor: Any, end: socket.socket) -> None:
    """Let a control speak over its end of a pair of sockets, which it takes over."""
    end.setblocking(False)
    reactor.adoptStreamConnection(end.fileno(), socket.AF_UNIX, _Once(control))
    end.close()
