"""Pairwise subjects (OpenID Connect Core section 8.1): clients of different sectors know a person by different names.

A pairwise `sub` is an HMAC of sector and user under a salt of this store. The salt is made once, by the first node, and
kept in the store sealed with the master key; a node that starts with a newer master key in front seals it anew. So
subjects stay the same over restarts and over a rotation of the master key. They are other ones after the store was
emptied, and cannot be made again where every master key that sealed the salt is lost.

Nobody finds the user by such a subject without the salt (8.1: not reversible by any party but us), and two clients of
one sector see the same one. A user id is never handed out beside it.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from attrs import define, field
from msgspec.structs import replace

from oauthd.protocol.records import Client, Salt
from oauthd.protocol.redirects import RedirectUri
from oauthd.protocol.seals import SealBroken, Seals
from oauthd.sealed_keys import MasterKeyMismatch
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, IStore, Stored, StoreUnavailable, Write

SALT: Final = kinds.SALT.at(b"", "world")
TYPES: Final = ("public", "pairwise")
_PURPOSE = "salt of pairwise subjects"
_OCTETS = 32
_TRIES = 20


@define(eq=False)
class Subjects:
    """What each client is told a person is called. Call `open` once before anything else."""

    store: IStore
    seals: Seals
    entropy: Callable[[int], bytes]
    _salt: bytes = field(default=b"", init=False, repr=False)

    async def open(self) -> None:
        """Read the salt, or make it.

        :raises MasterKeyMismatch: when no master key at hand opens it.
        :raises StoreUnavailable: when the store does not answer.
        """
        for _ in range(_TRIES):
            (stored,) = await self.store.get(SALT)
            if stored is None:
                made = Salt(self.seals.seal(_PURPOSE, self.entropy(_OCTETS)))
                await self.store.commit(Commit(absent=(SALT,), writes=(Write(SALT, made),)))
                continue  # whoever was first: what stands there counts
            if await self._opened(stored):
                return
        raise StoreUnavailable("the salt of pairwise subjects keeps changing")

    async def _opened(self, stored: Stored[Salt]) -> bool:
        """Take the salt, sealed by today's first master key; False when another node sealed it meanwhile."""
        sealed = stored.record.sealed
        try:
            salt = self.seals.open(_PURPOSE, sealed)
        except SealBroken:
            raise MasterKeyMismatch(
                "the salt of pairwise subjects is sealed with a master key that is not given: add the old one"
            ) from None
        if not self.seals.is_current(sealed):
            anew = replace(stored.record, sealed=self.seals.seal(_PURPOSE, salt))
            if not await self.store.commit(Commit(expected=(stored,), writes=(Write(SALT, anew),))):
                return False
        self._salt = salt
        return True

    def of(self, client: Client, user_id: str) -> str:
        """The `sub` of a user for a client; "" for no user.

        :raises RuntimeError: before `open`.
        """
        if client.subject_type != "pairwise" or not user_id:
            return user_id
        if not self._salt:
            raise RuntimeError("the salt of pairwise subjects was not read")
        # Neither a host nor a user id has a zero in it, so no two pairs make the same octets.
        named = f"{sector(client)}\x00{user_id}".encode("utf-8", "surrogatepass")
        return base64.urlsafe_b64encode(hmac.digest(self._salt, named, "sha256")).rstrip(b"=").decode()


def sector(client: Client) -> str:
    """The sector identifier (section 8.1): as registered, else the one host of all redirect URIs, else the client."""
    # All applications on a person's own device have its addresses: these stand for none of them.
    hosts = {"" if RedirectUri(uri).native else urlsplit(uri).hostname for uri in client.redirect_uris}
    alone = hosts.pop() if len(hosts) == 1 else ""
    return client.sector or alone or client.client_id
