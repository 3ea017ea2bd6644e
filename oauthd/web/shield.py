"""Work that a client cannot break off: each endpoint runs to its end, whoever still listens.

Klein cancels a running handler when the client hangs up, and a cancelled Deferred in the middle of a write would leave
half of it undone. So the work runs in a Deferred of its own, and who waits gets another. A drain asks here whether
anything is still running.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import field, frozen
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from oauthd.protocol.errors import TEMPORARILY_UNAVAILABLE
from oauthd.protocol.messages import Response


class HungUp(CancelledError):
    """The client went away before its answer was ready."""


@frozen
class Shield:
    """Runs work and keeps count of it.

    :ivar clock: for the deadline.
    :ivar unheard: told of a failure that came when nobody waited any more.
    :ivar seconds: how long an answer may take before who waits is told so; the work goes on.
    """

    clock: IReactorTime
    unheard: Callable[[Failure], None]
    seconds: float = 10.0
    _running: set[Deferred[Response]] = field(factory=set, init=False, repr=False)
    _others: list[int] = field(factory=lambda: [0], init=False, repr=False)
    _idle: list[Deferred[None]] = field(factory=list, init=False, repr=False)

    @property
    def running(self) -> int:
        """How many pieces of work are not done, abandoned ones included."""
        return len(self._running) + self._others[0]

    def run(self, work: Awaitable[Response]) -> Deferred[Response]:
        """Start work; the Deferred fires with its outcome.

        It fails with `temporarily_unavailable` after `seconds`, and with `HungUp` when it is cancelled.
        """
        inner = Deferred.fromCoroutine(_awaited(work))
        if inner.called:
            return inner
        waiting: Deferred[Response] = Deferred(lambda waiting: waiting.errback(HungUp()))
        late = self.clock.callLater(self.seconds, self._too_late, waiting)

        def cease(outcome: Response | Failure) -> Response | Failure:
            if late.active():
                late.cancel()
            return outcome

        self._running.add(inner)
        inner.addBoth(self._done, inner, waiting)
        return waiting.addBoth(cease)

    def began(self) -> None:
        """Count work that runs by itself, until it has `ended`; who waits for it is not looked after here."""
        self._others[0] += 1

    def ended(self) -> None:
        """Such work is done."""
        self._others[0] -= 1
        if not (self._others[0] or self._running):
            self._tell_idle()

    def _tell_idle(self) -> None:
        idle, self._idle[:] = self._idle[:], []
        for waiter in idle:
            waiter.callback(None)

    def settled(self) -> Deferred[None]:
        """A Deferred that fires when no work is running, at once if none is."""
        if not self.running:
            return succeed(None)
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        return idle

    @staticmethod
    def _too_late(waiting: Deferred[Response]) -> None:
        waiting.errback(TEMPORARILY_UNAVAILABLE("the answer took too long"))

    def _done(self, outcome: Response | Failure, inner: Deferred[Response], waiting: Deferred[Response]) -> None:
        self._running.discard(inner)
        if not waiting.called:
            waiting.callback(outcome)  # a Failure here is an errback
        elif isinstance(outcome, Failure):
            self.unheard(outcome)
        if not self.running:
            self._tell_idle()


async def _awaited(work: Awaitable[Response]) -> Response:
    return await work
