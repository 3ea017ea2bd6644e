"""A record that many may change at once: read, decided upon, and written only where it is still as it was read.

Who decides walks over the readings, and leaves when the step was carried out or is not to be:

    async for stored in readings(store, ref):
        if stored is None:
            raise NOT_FOUND("it is gone")
        if await swap(store, ref, stored, changed(stored.record)):
            return
    raise CONFLICT("it is being changed by others; try again")

What is given in a session is given by `give`, which takes it back where the session has ended in the same moment.

Left to the caller: what to say when others were faster each time, and steps over several records (`IStore.commit`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from oauthd.stores.interface import Commit, IStore, Ref, Stored, Write

R = TypeVar("R")

TRIES = 20
"""How often somebody else may be faster before a caller gives up. One of them has come through each time."""


async def readings(store: IStore, ref: Ref[R], tries: int = TRIES) -> AsyncIterator[Stored[R] | None]:
    """The record as it is now, None for none; read anew for each round of a loop.

    :raises StoreUnavailable: when the store does not answer.
    """
    for _ in range(tries):
        (stored,) = await store.get(ref)
        yield stored


async def swap(store: IStore, ref: Ref[R], stored: Stored[R] | None, record: R | None, *more: Write[Any]) -> bool:
    """Write a record where it is as it was read; False where it is not, and nothing was written.

    :param stored: as it was read; None where there was none.
    :param record: what is to stand there; None to remove it.
    :param more: what is written in the same step, of the same slot.
    :raises StoreUnavailable: when nobody knows whether it was done.
    """
    return await store.commit(
        Commit(
            expected=() if stored is None else (stored,),
            absent=(ref,) if stored is None else (),
            writes=more if record is None else (Write(ref, record), *more),
            forgets=(ref,) if record is None else (),
        )
    )


async def give(
    store: IStore,
    ref: Ref[R],
    stored: Stored[R],
    record: R,
    *,
    given: Write[Any],
    still: Callable[[], Awaitable[None]],
) -> bool:
    """As `swap`, and something is given in the same step, for as long as something else goes on.

    Who ended that meanwhile has not seen what was given: it is taken back where that has ended or nobody knows.

    :param still: raises where it has ended; asked before anything else that may fail.
    :raises StoreUnavailable: when nobody knows whether it was done, or whether it goes on; whatever `still` raises.
    """
    done = True
    try:
        done = await swap(store, ref, stored, record, given)
    finally:  # where nobody knows whether it was done, it may have been
        if done:
            await _kept_while(store, given.ref, still)
    return done


async def _kept_while(store: IStore, ref: Ref[Any], still: Callable[[], Awaitable[None]]) -> None:
    try:
        await still()
    except Exception:
        await store.forget(ref)
        raise
