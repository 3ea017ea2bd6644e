"""What grants have in common whose client polls until a person has decided elsewhere (RFC 8628, CIBA Core).

The first poll is free; only a poll that really came too early raises the interval (RFC 8628 section 3.5, CIBA Core
section 11). A decision is final, and what was approved is redeemed once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from oauthd.grants.interface import MINTED_LATER, Ask, Redemption, lives
from oauthd.protocol.errors import (
    ACCESS_DENIED,
    AUTHORIZATION_PENDING,
    EXPIRED_TOKEN,
    INVALID_GRANT,
    SLOW_DOWN,
    OAuthError,
)
from oauthd.protocol.records import BackchannelRequest, DeviceCode, Grant, Spent
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, IStore, Ref, Stored, Write
from oauthd.stores.swap import readings, swap
from oauthd.stores.tokens import Tokens, extended

SLOWER_BY = 5  # seconds, RFC 8628 section 3.5, CIBA Core section 11
R = TypeVar("R", DeviceCode, BackchannelRequest)


async def approved(
    store: IStore, ask: Ask, ref: Ref[R], until: Callable[[R], int], gone: OAuthError
) -> Stored[R]:
    """What the client polls for, approved; read again when a decision or another poll came in between.

    :param until: when it ends.
    :param gone: for one that is not there.
    :raises OAuthError: what tells the client to wait, or that it is over.
    """
    async for stored in readings(store, ref):
        if stored is None:
            raise gone
        record = stored.record
        if record.client_id != ask.client.client_id or record.spent is not None:
            raise INVALID_GRANT("what is polled for is used, or it belongs to another client")
        if until(record) <= ask.now:
            raise EXPIRED_TOKEN("the person has not decided in time; ask again from the beginning")
        if record.status == "denied":
            raise ACCESS_DENIED("the person denied the request")
        if record.status == "approved":
            return stored
        await _poll(store, ask, stored)
    raise SLOW_DOWN("the client sends many polls at once")


async def _poll(store: IStore, ask: Ask, stored: Stored[R]) -> None:
    """Remember the poll and say that the person has not decided yet; nothing when the record changed meanwhile."""
    record = stored.record
    early = bool(record.polled_at) and ask.exact_now < record.polled_at + record.interval
    interval = record.interval + SLOWER_BY if early else record.interval
    polled = replace(record, polled_at=ask.exact_now, interval=interval)
    kept = await swap(store, stored.ref, stored, polled)
    if kept and early:
        raise SLOW_DOWN("the client polls faster than the interval")
    if kept:
        raise AUTHORIZATION_PENDING("the person has not decided yet")


async def standing(store: IStore, tokens: Tokens, ask: Ask, grant_id: str) -> Grant:
    """The grant that an approval has made.

    :raises OAuthError: `invalid_grant` when it was taken back since.
    """
    (stored,) = await store.get(kinds.grant(grant_id))
    if stored is None or not await tokens.covers(stored.record, ask.generations):
        raise INVALID_GRANT("the authorization has been withdrawn")
    grant: Grant = stored.record
    return grant


def redemption(
    ask: Ask, stored: Stored[R], grant: Grant, access_lifetime: int, audience: tuple[str, ...]
) -> Redemption:
    """The tokens of an approval, which is spent with them."""
    grant_id = stored.ref.slot
    refresh = "refresh_token" in ask.client.grant_types
    until = grant.ends_at if refresh else ask.now + lives(ask.client, access_lifetime) + MINTED_LATER
    spent = replace(stored.record, spent=Spent(ask.attempt, ask.now))
    return Redemption(
        scope=grant.scope,
        generations=grant.generations,
        grant_id=grant_id,
        grant=extended(grant, until),
        audience=audience,
        commit=Commit(expected=(stored,), alive=(kinds.grant(grant_id),), writes=(Write(stored.ref, spent),)),
        refresh=refresh,
        refresh_scope=grant.scope,
        refresh_audience=grant.audience,
    )
