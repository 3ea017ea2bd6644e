"""What rows come to: rates beside those of the constants, and single figures."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from tests.bench.load import Reading


@frozen
class Goal:
    """What a rate is held against; 0 for nothing.

    :ivar nginx: at most this many times the CPU of nginx returning a constant.
    :ivar klein: at least this many times cheaper than Klein returning a constant.
    """

    nginx: float = 0.0
    klein: float = 0.0

    @property
    def text(self) -> str:
        """In words."""
        parts = [f"<= {self.nginx:g} x nginx"] * bool(self.nginx) + [f"Klein >= {self.klein:g} x"] * bool(self.klein)
        return ", ".join(parts)

    def met(self, rate: Rate) -> bool | None:
        """Does the rate meet it? None where there is no goal."""
        if not self.nginx and not self.klein:
            return None
        cheap = not self.nginx or rate.to_nginx <= self.nginx
        return cheap and (not self.klein or rate.klein_to_us >= self.klein)


@frozen
class Rate:
    """One kind of request, in rounds in which each server was driven in turn.

    :ivar what: what was asked, in a few words.
    :ivar ours: one reading for each round; `nginx` and `klein` (which may be empty) those of the same rounds.
    """

    what: str
    goal: Goal
    ours: Sequence[Reading]
    nginx: Sequence[Reading]
    klein: Sequence[Reading] = ()

    @property
    def to_nginx(self) -> float:
        """CPU of a request in that of nginx."""
        return quietest(self.ours).cpu / quietest(self.nginx).cpu

    @property
    def klein_to_us(self) -> float:
        """CPU of Klein's request in ours; 0 where Klein was not driven."""
        if not self.klein:
            return 0.0
        return quietest(self.klein).cpu / quietest(self.ours).cpu

    @property
    def failed(self) -> int:
        """Requests that went wrong, at us."""
        return sum(reading.found.failed for reading in self.ours)

    @property
    def met(self) -> bool | None:
        """Is the goal met? Answers that were no success meet none."""
        return False if self.failed else self.goal.met(self)


@frozen
class Figure:
    """Something else that was measured.

    :ivar what: what, in a few words.
    :ivar found: what it came to, as people read it.
    :ivar goal: in words; `met` says whether it is, None for no goal.
    """

    what: str
    found: str
    goal: str = ""
    met: bool | None = None


@frozen
class Skipped:
    """A row that could not be run, and why."""

    what: str
    reason: str


Result = Rate | Figure | Skipped


def quietest(readings: Sequence[Reading]) -> Reading:
    """Of several rounds the cheapest: what else goes on in a machine only ever adds to what a request costs."""
    return min(readings, key=lambda reading: reading.cpu)
