"""How often something was tried within a window: counted before it is done, so that parallel tries share one count."""

from __future__ import annotations

from msgspec.structs import replace

from oauthd.protocol.errors import TOO_MANY_REQUESTS
from oauthd.protocol.records import Tally
from oauthd.stores.interface import Commit, IStore, Ref, Stored, Write

WINDOW = 60  # seconds
RETRIES = 20


async def change(
    store: IStore, ref: Ref[Tally], by: int, limit: int | None, now: int, what: str, window: int = WINDOW
) -> None:
    """Change a count; a window begins with the first try in it.

    :param limit: what the count may reach; None for any.
    :param what: was tried too often, in the words of the error.
    :param window: seconds from the first try on.
    :raises OAuthError: `too_many_requests` with Retry-After.
    """
    for _ in range(RETRIES):
        (stored,) = await store.get(ref)
        tally = stored.record if stored else Tally(0, now + window)
        if limit is not None and tally.count >= limit:
            wait = str(max(1, tally.expires_at - now))
            raise TOO_MANY_REQUESTS(f"too many {what}", headers={"Retry-After": wait})
        if stored is None and by < 0:
            return
        if await _swap(store, ref, stored, replace(tally, count=max(0, tally.count + by))):
            return
    raise TOO_MANY_REQUESTS(f"too many {what} at once", headers={"Retry-After": "1"})


async def _swap(store: IStore, ref: Ref[Tally], stored: Stored[Tally] | None, tally: Tally) -> bool:
    write = (Write(ref, tally),)
    if stored is None:
        return await store.commit(Commit(absent=(ref,), writes=write))
    return await store.commit(Commit(expected=(stored,), writes=write))
