"""When a message is sent again."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.delivery import Outcome, outcome, wait


class DeliveryTests(SynchronousTestCase):
    """The rules."""

    def test_outcomes(self) -> None:
        """What fails for a while is tried again, what is refused or sent elsewhere is not."""
        for found, statuses in {
            Outcome.DONE: (200, 202, 204),
            Outcome.AGAIN: (408, 425, 429, 500, 502, 503, 504, 599),
            Outcome.REFUSED: (300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 413, 415, 451),
        }.items():
            self.assertEqual({outcome(status) for status in statuses}, {found})

    def test_waits(self) -> None:
        """Waits grow up to the longest, chance makes them shorter by no more than a half, and never nothing."""
        waits = [wait(tries, 5.0, 3600.0, 0.0) for tries in range(1, 100)]
        self.assertEqual(waits[:6], [5.0, 20.0, 80.0, 320.0, 1280.0, 3600.0])
        self.assertTrue(all(one <= other for one, other in pairwise(waits)))
        self.assertEqual(waits[-1], 3600.0)
        self.assertEqual(wait(3, 5.0, 3600.0, 1.0), 40.0)
        self.assertEqual(wait(3, 5.0, 3600.0, 0.5), 60.0)
