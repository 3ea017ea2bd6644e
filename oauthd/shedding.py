"""What is refused first when there is too much of everything: whatever begins something that may be left unfinished.

A store that is full takes no token and no revocation of a user any more, so what anybody can begin and leave ends
before: sign-ins, pushed requests, device codes from one mark on, registrations from another. Likewise when the event
loop is late for a while: sign-ins and their like cost a hundred times what an introspection does. Introspection,
revocation, and flows under way go on to the end.
"""

from __future__ import annotations

from attrs import define, field

from oauthd.config import LimitSettings
from oauthd.events import Events
from oauthd.metrics import LimitCounts
from oauthd.protocol.errors import TEMPORARILY_UNAVAILABLE, OAuthError

STORE_WAIT, LOOP_WAIT = 15, 5  # seconds after which it may be tried again
LOOKS = 4  # of the probe, four a second: so long must the loop be late


@define(eq=False)
class Room:
    """How much the store can still take.

    :ivar used: bytes that it uses.
    :ivar most: bytes that it may use; 0 for unknown, or no bound.
    :ivar is_full: does its server take nothing more? Then that one says so, to whoever would write.
    """

    settings: LimitSettings
    events: Events
    counts: LimitCounts
    used: int = field(default=0, init=False)
    most: int = field(default=0, init=False)
    is_full: bool = field(default=False, init=False)
    _sheds: bool = field(default=False, init=False)

    def know(self, used: int, most: int) -> None:
        """What the server tells of itself."""
        self.used, self.most = used, most or self.settings.store_bytes
        self.is_full = 0 < most <= used
        self.counts.used, self.counts.most = self.used, self.most
        sheds = self._is_beyond(self.settings.shed_unfinished_at)
        if sheds != self._sheds:
            self._sheds = sheds
            self.events.tell("shedding.began" if sheds else "shedding.ended", reason="store")

    def begin(self) -> None:
        """Something begins that may be left unfinished.

        :raises OAuthError: `temporarily_unavailable` with Retry-After.
        """
        self._judge(self.settings.shed_unfinished_at)

    def register(self) -> None:
        """A client registers itself, or somebody begins what hardly anybody leaves unfinished.

        :raises OAuthError: `temporarily_unavailable` with Retry-After.
        """
        self._judge(self.settings.shed_registration_at)

    def _judge(self, percent: int) -> None:
        if self._is_beyond(percent) and not self.is_full:
            self.counts.shed["store"] += 1
            raise _refusal(STORE_WAIT)

    def _is_beyond(self, percent: int) -> bool:
        return bool(percent and self.most) and self.used * 100 >= self.most * percent


@define(eq=False)
class Overload:
    """Is the event loop late, and not just once?

    :ivar mark: seconds from which on it is late; 0 for never.
    """

    mark: float
    events: Events
    counts: LimitCounts
    late: bool = field(default=False, init=False)
    _looks: int = field(default=0, init=False)

    def look(self, seconds: float) -> None:
        """How late it was at this look."""
        self._looks = self._looks + 1 if self.mark and seconds > self.mark else 0
        if self._looks >= LOOKS and not self.late:
            self.late = True
            self.events.tell("shedding.began", reason="loop")
        elif self.late and not self._looks:
            self.late = False
            self.events.tell("shedding.ended", reason="loop")

    def judge(self) -> None:
        """Something dear begins.

        :raises OAuthError: `temporarily_unavailable` with Retry-After.
        """
        if self.late:
            self.counts.shed["loop"] += 1
            raise _refusal(LOOP_WAIT)


def _refusal(seconds: int) -> OAuthError:
    # RFC 6749 section 4.1.2.1 has the word, RFC 9110 section 10.2.3 the field.
    return TEMPORARILY_UNAVAILABLE("the server has too much to do at the moment", headers={"Retry-After": str(seconds)})
