"""What becomes of a message to a client: when it is tried again, and when it is not.

OpenID Connect Back-Channel Logout sections 2.5 and 2.8, CIBA Core section 10.2 and RFC 8935 section 2.3: what failed
for a while is sent again, after a while that grows; what the receiver refuses is not.
"""

from __future__ import annotations

from enum import Enum

FACTOR = 4  # by which each wait is longer than the one before
PASSING = (408, 425, 429)
"""Statuses that ask for another attempt, though they are the caller's fault (RFC 9110 section 15.5.9, RFC 8470 section
5.2, RFC 6585 section 4)."""


class Outcome(Enum):
    """What an attempt has come to."""

    DONE = "done"
    AGAIN = "again"
    REFUSED = "refused"


def outcome(status: int) -> Outcome:
    """By the status of the answer.

    Back-Channel Logout section 2.8: 200, and 204 where a framework makes that of it. A redirect is a refusal: it leads
    where nobody has registered that messages go.
    """
    if 200 <= status < 300:
        return Outcome.DONE
    return Outcome.AGAIN if status >= 500 or status in PASSING else Outcome.REFUSED


def wait(tries: int, first: float, longest: float, chance: float) -> float:
    """Seconds until the next attempt.

    :param tries: attempts that have failed, from 1.
    :param chance: from 0 to 1, random: so that what failed together does not come back together. The wait is cut by up
        to a half.
    """
    grown = min(first * float(FACTOR ** min(tries - 1, 20)), longest)
    return grown * (1 - chance / 2)
