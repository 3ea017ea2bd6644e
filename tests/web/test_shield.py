"""Work that a client cannot break off."""

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.errors import INVALID_GRANT, TEMPORARILY_UNAVAILABLE, OAuthError
from oauthd.protocol.messages import Response
from oauthd.web.shield import HungUp, Shield


class Shielded(SynchronousTestCase):
    """`Shield`."""

    def setUp(self) -> None:
        """A shield of ten seconds."""
        self.clock = Clock()
        self.unheard: list[Failure] = []
        self.shield = Shield(self.clock, self.unheard.append, 10)

    def test_outcomes_pass_through(self) -> None:
        """What work gives or raises is what who waits gets, at once or later, and no timer is left."""
        self.assertEqual(self.successResultOf(self.shield.run(succeed(Response(200)))).status, 200)
        later: Deferred[Response] = Deferred()
        failing: Deferred[Response] = Deferred()
        waiting, refused = self.shield.run(later), self.shield.run(failing)
        self.assertEqual(self.shield.running, 2)
        later.callback(Response(201))
        failing.errback(INVALID_GRANT("why"))
        self.assertEqual(self.successResultOf(waiting).status, 201)
        self.failureResultOf(refused, OAuthError)
        self.assertEqual((self.shield.running, self.clock.getDelayedCalls(), self.unheard), (0, [], []))

    def test_a_hang_up_leaves_the_work_alone(self) -> None:
        """Cancelling ends the waiting and not the work, which is counted until it is done."""
        steps: list[str] = []
        write: Deferred[None] = Deferred()

        async def work() -> Response:
            steps.append("begun")
            await write
            steps.append("written")
            return Response(200)

        waiting = self.shield.run(work())
        waiting.cancel()
        self.failureResultOf(waiting, HungUp)
        self.assertEqual((steps, self.shield.running), (["begun"], 1))
        write.callback(None)
        self.assertEqual((steps, self.shield.running), (["begun", "written"], 0))
        self.assertEqual((self.unheard, self.clock.getDelayedCalls()), ([], []))

    def test_work_that_takes_too_long(self) -> None:
        """After its time who waits is told to come back, and the work goes on."""
        later: Deferred[Response] = Deferred()
        waiting = self.shield.run(later)
        self.clock.advance(9.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.1)
        self.assertEqual(self.failureResultOf(waiting, OAuthError).value.kind, TEMPORARILY_UNAVAILABLE)
        self.assertEqual(self.shield.running, 1)
        later.callback(Response(200))
        self.assertEqual(self.shield.running, 0)

    def test_failures_that_nobody_waits_for(self) -> None:
        """A failure of abandoned work is handed over, once."""
        later: Deferred[Response] = Deferred()
        waiting = self.shield.run(later)
        waiting.cancel()
        self.failureResultOf(waiting, HungUp)
        later.errback(ZeroDivisionError())
        self.assertEqual([failure.type for failure in self.unheard], [ZeroDivisionError])

    def test_settled(self) -> None:
        """Whoever asks is told when nothing is running, at once if nothing is."""
        self.successResultOf(self.shield.settled())
        first: Deferred[Response] = Deferred()
        second: Deferred[Response] = Deferred()
        self.shield.run(first)
        self.shield.run(second)
        settled = [self.shield.settled(), self.shield.settled()]
        first.callback(Response(200))
        self.assertNoResult(settled[0])
        second.callback(Response(200))
        for each in settled:
            self.successResultOf(each)
