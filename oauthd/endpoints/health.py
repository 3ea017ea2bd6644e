"""Health, for whoever watches processes and balances load: does it live, and should it get requests?

Neither asks the store anything: what is told is what the process knows already, so that a probe costs nothing and
cannot wait. A store that is away makes a process unready, since it would answer 503; memory that cannot be proven fresh
does not, since answers then come from the store. Nothing that is told helps anybody in: words, no addresses.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from oauthd.metrics import ProofFacts
from oauthd.protocol.messages import NO_STORE, Request, Response, json_response


def _no() -> bool:
    return False


def _nothing() -> str:
    return ""


@frozen
class Condition:
    """What a process knows of itself.

    :ivar away: gives the reason, in a word, why the store does not answer; "" while it does.
    :ivar stopping: was the process told to end?
    """

    away: Callable[[], str] = _nothing
    stopping: Callable[[], bool] = _no


@frozen
class Live:
    """200 as long as anything is answered at all."""

    async def __call__(self, request: Request) -> Response:
        """Answer."""
        return json_response({"live": True})


@frozen
class Ready:
    """200 when requests will be served, 503 when they had better go elsewhere."""

    condition: Condition
    proof: ProofFacts

    async def __call__(self, request: Request) -> Response:
        """Answer."""
        away, stopping, age = self.condition.away(), self.condition.stopping(), self.proof.age()
        ready = not (away or stopping)
        told = {
            "ready": ready,
            "stopping": stopping,
            "store": {"state": "away", "reason": away} if away else {"state": "ok"},
            "proof": {"state": self._proof(age), "age": None if age is None else round(age, 3)},
        }
        if ready:
            return json_response(told)
        return json_response(told, 503, (*NO_STORE, ("Retry-After", "1")))

    def _proof(self, age: float | None) -> str:
        if age is None:
            return "none"
        return "fresh" if age < self.proof.longest else "stale"
