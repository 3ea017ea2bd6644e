"""How often something was tried within a window: counted before it is done, so that parallel tries share one count."""

from __future__ import annotations

from msgspec.structs import replace

from oauthd.protocol.errors import TOO_MANY_REQUESTS
from oauthd.protocol.lockout import canonical_source
from oauthd.protocol.messages import Connection
from oauthd.protocol.records import Tally
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds
from oauthd.stores.interface import IStore, Ref
from oauthd.stores.swap import readings, swap

WINDOW = 60  # seconds


def of_source(seals: Seals, purpose: str, source: str) -> Ref[Tally]:
    """The count of one source of requests, which is known by a digest alone.

    :param purpose: what is counted: each has a count of its own.
    :param source: its address, in any spelling.
    """
    return kinds.TALLY.at(seals.digest(purpose, canonical_source(source).encode())[:16])


async def change(
    store: IStore, ref: Ref[Tally], by: int, limit: int | None, now: int, what: str, window: int = WINDOW
) -> None:
    """Change a count; a window begins with the first try in it.

    :param limit: what the count may reach; None for any.
    :param what: was tried too often, in the words of the error.
    :param window: seconds from the first try on.
    :raises OAuthError: `too_many_requests` with Retry-After.
    """
    async for stored in readings(store, ref):
        tally = stored.record if stored else Tally(0, now + window)
        if limit is not None and tally.count >= limit:
            wait = str(max(1, tally.expires_at - now))
            raise TOO_MANY_REQUESTS(f"too many {what}", headers={"Retry-After": wait})
        if stored is None and by < 0:
            return
        if await swap(store, ref, stored, replace(tally, count=max(0, tally.count + by))):
            return
    raise TOO_MANY_REQUESTS(f"too many {what} at once", headers={"Retry-After": "1"})


async def count_source(
    store: IStore, seals: Seals, connection: Connection, purpose: str, limit: int, now: int, what: str
) -> None:
    """Count what anybody can begin and leave, and what is kept until it ends by itself, by where it comes from.

    Whoever sits at this machine is not counted.

    :param purpose: as `of_source`.
    :raises OAuthError: `too_many_requests` with Retry-After.
    """
    if connection.source and not connection.local:
        await change(store, of_source(seals, purpose, connection.source), 1, limit, now, what)
