"""How often something was tried within a window: counted before it is done, so that parallel tries share one count."""

from __future__ import annotations

from msgspec.structs import replace

from oauthd.protocol.errors import TOO_MANY_REQUESTS
from oauthd.protocol.records import Tally
from oauthd.stores.interface import IStore, Ref
from oauthd.stores.swap import readings, swap

WINDOW = 60  # seconds


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
