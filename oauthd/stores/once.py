"""What counts once: assertions, proofs and request objects (RFC 7523 section 3 rule 7, RFC 9449 section 11.1).

Whoever has verified one spends it here, before anything is granted. The first one in the whole world wins, however many
copies arrive at however many processes at the same moment: the store decides, in one step.

A value is remembered by its digest, as long as whoever presents it again would still be believed. Where the reply of
the store is lost nobody knows, and nobody is let in: the caller must make a new one, and could in any case.
"""

from __future__ import annotations

import hashlib

from attrs import frozen

from oauthd.protocol import records
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, IStore, Ref, Write


@frozen
class Once:
    """Remembers what was used."""

    store: IStore

    async def use(self, purpose: str, value: str, until: int) -> bool:
        """Is this the first use? One exchange with the store.

        :param purpose: what sort of thing it is: the same value counts once for each.
        :param value: what it is known by, whose it is included; of any length.
        :param until: wall-clock seconds from when on it is refused for its age, leeway included.
        :raises StoreUnavailable: when it is not known.
        """
        ref = _ref(purpose, value)
        return await self.store.commit(Commit(absent=(ref,), writes=(Write(ref, records.Once(until)),)))

    async def was_used(self, purpose: str, value: str) -> bool:
        """Was it used? For whoever wants to tell early; it counts only by `use`."""
        (stored,) = await self.store.get(_ref(purpose, value))
        return stored is not None


def _ref(purpose: str, value: str) -> Ref[records.Once]:
    return kinds.ONCE.at(hashlib.sha256(f"{purpose}\0{value}".encode("utf-8", "surrogatepass")).digest())
