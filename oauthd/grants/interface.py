"""What a grant is: it reads one single-use thing and decides; everything shared stands in the token endpoint.

`redeem` refuses without touching what it read. The token endpoint mints, and one atomic step spends the record and
stores the answer; when somebody was faster, `redeem` is asked again and sees what happened.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from oauthd.protocol.authorization_details import Details
from oauthd.protocol.frozen import Frozen
from oauthd.protocol.messages import Parameters
from oauthd.protocol.records import UNBOUND, Binding, Client, Generations, Grant
from oauthd.protocol.standing import NOWHERE, Standing
from oauthd.stores.interface import Commit, Ref, Stored, Write

MINTED_LATER = 60
"""Seconds by which a grant without refresh tokens outlives its access token, which is minted after the decision."""


def lives(client: Client, usual: int) -> int:
    """Seconds that an access token of the client lives at most, where others live `usual` seconds."""
    return usual if client.access_lifetime is None else client.access_lifetime


class Ask(Frozen, frozen=True):
    """One token request after client authentication.

    :ivar generations: those of the world and the client, read before the client was.
    :ivar now: whole seconds; one instant for the whole request.
    :ivar exact_now: the same instant with fractions.
    :ivar attempt: random; by it a retried commit recognises itself.
    :ivar source: address of the caller.
    :ivar binding: what the sender has proved to hold, for its tokens to be bound to.
    """

    client: Client
    parameters: Parameters
    generations: Generations
    now: int
    exact_now: float
    attempt: str
    source: str
    binding: Binding = UNBOUND


class OnBehalf(Frozen, frozen=True):
    """Of whom a token speaks that was exchanged for another one (RFC 8693), whose grant it is on, if any.

    :ivar named: the `sub` where it is no user; "" else.
    :ivar act: who acts, and `may_act`: who may.
    :ivar until: the end of the token that it was exchanged for.
    """

    until: int
    user_id: str = ""
    username: str = ""
    named: str = ""
    auth_time: int = 0
    acr: str = ""
    act: dict[str, Any] = {}
    may_act: dict[str, Any] = {}


class Redemption(Frozen, frozen=True):
    """What a grant decided, not yet done.

    :ivar grant: the grant as it will stand; None for a machine token that needs none, and for one that stays.
    :ivar standing: the grant that stays as it is.
    :ivar holds: does the decision hold for the next request of the same client in the same words, too? None: never.
    :ivar scope: of the access token.
    :ivar generations: those the tokens are issued under.
    :ivar commit: the condition and the writes of the grant's own; refresh token and grant are added to it.
    :ivar refresh: hand out a refresh token.
    :ivar refresh_scope: what the refresh token can give at most.
    :ivar same_refresh: the refresh token presented stays in use (no rotation).
    :ivar nonce: for the id token of this answer.
    :ivar details: authorization details of the access token; the token endpoint settles them.
    :ivar keeps: what is written of the finished answer, too; None for nothing.
    :ivar issued: `issued_token_type` of the answer (RFC 8693 section 2.2.1); "" where it has none.
    :ivar on_behalf: in place of a grant, where the token that was presented tells all; its details are settled then.
    :ivar stands: what the access token stands on besides, as do the tokens that were presented for it.
    :ivar again: looked at once more when all is written, where what ends meanwhile may not hear of it: does it stand?
    :ivar auth_req_id: of an answer that is pushed, which says what it answers (CIBA Core section 10.3.1).
    """

    secret = ("same_refresh", "keeps", "auth_req_id")

    scope: tuple[str, ...]
    generations: Generations
    grant_id: str = ""
    grant: Grant | None = None
    standing: Grant | None = None
    holds: Callable[[], bool] | None = None
    audience: tuple[str, ...] = ()
    commit: Commit = Commit()
    refresh: bool = False
    refresh_scope: tuple[str, ...] = ()
    refresh_audience: tuple[str, ...] = ()
    same_refresh: str = ""
    nonce: str = ""
    details: Details = ()
    keeps: Callable[[bytes], Write[Any]] | None = None
    issued: str = ""
    on_behalf: OnBehalf | None = None
    stands: Standing = NOWHERE
    again: Callable[[], Awaitable[bool]] | None = None
    auth_req_id: str = ""


class Repeated(Frozen, frozen=True):
    """The answer was given before and is given again, byte for byte."""

    secret = ("body",)

    body: bytes


class GrantType(Protocol):
    """A file of this folder.

    :ivar grant_type: its name on the wire.
    """

    grant_type: str

    @property
    def varies(self) -> str | None:
        """Of a grant that is asked for again and again: the parameter that differs then, "" for none; else None."""
        ...

    def redeem(self, ask: Ask) -> Awaitable[Redemption | Repeated]:
        """Decide; refuse with an `OAuthError`. Writes nothing that a correct repeat would miss."""
        ...


@runtime_checkable
class GrantAtOnce(GrantType, Protocol):
    """A grant that can decide without a coroutine, where the ordinary case is at hand: a third of the cost."""

    def reads(self, ask: Ask) -> tuple[Ref[Any], ...] | None:
        """The records that it decides by; None for a request that `redeem` is to refuse."""
        ...

    def redeem_at_once(self, ask: Ask, found: Sequence[Stored[Any] | None]) -> Redemption | None:
        """Decide as `redeem` by what was read; None for everything but the ordinary case, which `redeem` decides."""
        ...
