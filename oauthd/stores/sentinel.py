"""The primary by Sentinel: whoever connects is connected to the server that the sentinels name at that moment.

All sentinels are asked at once, and the answer of the newest configuration (the highest epoch) counts: one that has
not heard of a failover yet does not lead back to the old primary. A majority is waited for, or whoever answers in time;
so one that is away costs nothing. While anybody watches, the question is repeated each second, on connections that are
kept for it: an old primary that stands still, or is cut off from the sentinels but not from us, is left without waiting
for it to fail.

Refused: an answer older than what was heard before, unless most of the sentinels agree on it (they were set up anew).
Whether the server there is a primary indeed is found out by the greeting (`oauthd.stores.pool`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import hiredis
from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

WATCH = 1.0  # seconds between two questions while all is well
PATIENCE = 0.5  # seconds for a sentinel at most, connecting included

Place = tuple[str, int]
Words = tuple[str, ...]


class NoPrimary(Exception):
    """No sentinel names a primary; the text says why, without any value."""


@frozen
class _Answer:
    """What a sentinel says: where the primary is (None: it does not know the service), by which configuration."""

    place: Place | None
    epoch: int


@implementer(IStreamClientEndpoint)
class Sentinels:
    """The primary of a service, as an endpoint.

    :param places: hosts and ports of the sentinels.
    :param reach: makes the endpoint of one server, sentinel or primary.
    :param timeout: seconds for an answer at most.
    :param user: name of an ACL user of the sentinels, and `password` their password; None for none.
    :ivar place: where the primary was said to be; None until it was.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        places: Sequence[Place],
        service: str,
        reach: Callable[[str, int], IStreamClientEndpoint],
        timeout: float = PATIENCE,
        user: str | None = None,
        password: str | None = None,
    ) -> None:
        self._reactor = reactor
        self._places = tuple(places)
        self._reach = reach
        self._patience = min(timeout, PATIENCE)
        self._greeting: list[Words] = []
        if password:
            self._greeting.append(("AUTH", user, password) if user else ("AUTH", password))
        self._commands: list[Words] = [
            ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service),
            ("SENTINEL", "MASTER", service),
        ]
        self.place: Place | None = None
        self._epoch = -1
        self._asking: Deferred[Any] | None = None
        self._asked: list[Deferred[Any]] = []
        self._lines: dict[Place, _Line] = {}
        self._waiting: list[Deferred[Place]] = []
        self._watchers: list[Callable[[], None]] = []
        self._watching = LoopingCall(self._look)
        self._watching.clock = reactor
        self._looking: Deferred[Any] | None = None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803 - Twisted's name
        """Ask where the primary is, and connect to it; see the interface."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> Any:
        place = await self._ask()
        protocol: Any = await self._reach(*place).connect(factory)
        if place != self.place:  # it moved while we connected; whoever made the connection tries again
            protocol.transport.abortConnection()
        return protocol

    def watch(self, moved: Callable[[], None]) -> None:
        """Call `moved` as soon as the primary is somewhere else, until `unwatch`."""
        self._watchers.append(moved)
        if not self._watching.running:
            self._watching.start(WATCH, now=False)

    def unwatch(self, moved: Callable[[], None]) -> None:
        """End what `watch` began."""
        if moved in self._watchers:
            self._watchers.remove(moved)
        if not self._watchers and self._watching.running:
            self._watching.stop()
            if self._looking is not None:
                self._looking.cancel()
            self._rest()

    def _rest(self) -> None:
        """Keep no connection and no question, where nobody watches."""
        for each in self._asked:
            each.cancel()
        for place, line in list(self._lines.items()):
            self._leave(place, line)

    def _look(self) -> Deferred[Any]:
        self._looking = Deferred.fromCoroutine(self._ask_again())
        return self._looking

    async def _ask_again(self) -> None:
        with suppress(NoPrimary, CancelledError):  # who connects is told
            await self._ask()

    # one question at a time, for all who want to know

    def _ask(self) -> Deferred[Place]:
        waiting: Deferred[Place] = Deferred(self._give_up)
        self._waiting.append(waiting)
        if self._asking is None:
            asking = self._asking = Deferred.fromCoroutine(self._survey())
            asking.addBoth(self._tell)
        return waiting

    def _give_up(self, waiting: Deferred[Place]) -> None:
        self._waiting.remove(waiting)
        if not self._waiting and self._asking is not None:
            self._asking.cancel()

    def _tell(self, outcome: Place | Failure) -> None:
        self._asking = None
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(outcome)

    async def _survey(self) -> Place:
        answers: list[_Answer] = []
        problems: list[str] = []
        enough: Deferred[None] = Deferred()
        left = len(self._places)

        def ended(outcome: _Answer | Failure) -> None:
            nonlocal left
            left -= 1
            if isinstance(outcome, Failure):
                problems.append(_words(outcome))
            else:
                answers.append(outcome)
            if not enough.called and (not left or self._is_majority(answers)):
                enough.callback(None)

        for each in self._asked:  # who has not answered the last one by now: a connection takes one question at a time
            each.cancel()
        self._asked = [Deferred.fromCoroutine(self._question(place)) for place in self._places]
        for each in self._asked:
            each.addTimeout(self._patience, self._reactor).addBoth(ended)
        try:
            await enough
        finally:
            if not self._watchers:  # else the slower ones may answer still, and keep their connections
                self._rest()
        return self._judge(answers, problems)

    def _is_majority(self, answers: Sequence[_Answer]) -> bool:
        return 2 * len(answers) > len(self._places)

    def _judge(self, answers: Sequence[_Answer], problems: Sequence[str]) -> Place:
        known = [answer for answer in answers if answer.place is not None]
        if not known:
            if answers:
                raise NoPrimary("the sentinels do not know the service")
            raise NoPrimary(f"no sentinel answers ({', '.join(sorted(set(problems)))})")
        newest = max(known, key=lambda answer: answer.epoch)
        if self.place is not None and newest.epoch < self._epoch and not self._is_majority(known):
            return self.place
        assert newest.place is not None  # noqa: S101 (for the type checker)
        before, self.place, self._epoch = self.place, newest.place, newest.epoch
        if before not in (None, self.place):
            self._log.info("the sentinels name another primary")
            for moved in tuple(self._watchers):
                moved()
        return self.place

    async def _question(self, place: Place) -> _Answer:
        line = self._lines.get(place)
        commands = self._commands
        if line is None or line.lost is not None:
            line = self._lines[place] = _Line()
            commands = [*self._greeting, *commands]
        try:
            if line.transport is None:
                await self._reach(*place).connect(line.factory)
            *greeted, primary, configuration = await line.ask(commands)
            for reply in (*greeted, primary):
                if isinstance(reply, hiredis.ReplyError):
                    raise NoPrimary(str(reply).split(" ")[0])
        except BaseException:  # cancelled, too: whatever comes on it now belongs to this question
            self._leave(place, line)
            raise
        return _Answer(None if primary is None else (primary[0].decode(), int(primary[1])), _epoch(configuration))

    def _leave(self, place: Place, line: _Line) -> None:
        if self._lines.get(place) is line:
            del self._lines[place]
        if line.transport is not None:
            line.transport.abortConnection()


class _Line(Protocol):
    """A connection to a sentinel: one question at a time.

    :ivar lost: why it ended; None while it stands.
    """

    transport: Any = None

    def __init__(self) -> None:
        self.factory = Factory.forProtocol(lambda: self)
        self.factory.noisy = False
        self._reader = hiredis.Reader()
        self._read: list[Any] = []
        self._count = 0
        self.lost: Failure | None = None
        self._replies: Deferred[list[Any]] = Deferred()

    def ask(self, commands: Sequence[Words]) -> Deferred[list[Any]]:
        """Send commands; their replies."""
        self._read, self._count, self._replies = [], len(commands), Deferred()
        if self.lost is not None:
            self._replies.errback(self.lost)
        else:
            self.transport.write(b"".join(map(hiredis.pack_command, commands)))  # type: ignore[arg-type]
        return self._replies

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Read, until all replies are there."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._read.append(reply)
        except hiredis.ProtocolError:
            self._fail(NoPrimary("what it says is not the Redis protocol"))
        if len(self._read) == self._count and not self._replies.called:
            self._replies.callback(self._read)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """Without all replies, this is the answer."""
        self.lost = reason
        if self._count:
            self._fail(reason)

    def _fail(self, problem: Failure | Exception) -> None:
        if not self._replies.called:
            self._replies.errback(problem)


def _epoch(configuration: object) -> int:
    """The configuration's epoch; 0 where the sentinel does not tell."""
    if isinstance(configuration, list):
        facts = dict(zip(configuration[::2], configuration[1::2], strict=False))
        epoch = facts.get(b"config-epoch", b"0")
        return int(epoch) if epoch.isdigit() else 0
    return 0


def _words(failure: Failure) -> str:
    return str(failure.value) if isinstance(failure.value, NoPrimary) else type(failure.value).__name__
