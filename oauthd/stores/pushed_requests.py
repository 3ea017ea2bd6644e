"""Authorization requests that clients pushed, and that wait for their browser (RFC 9126).

A request_uri is found by its digest, works for the client that pushed it and for nobody else, and brings one grant: the
step that stores the grant spends it. Until then a browser may come with it again, for people reload pages; a flow that
began while it could be used may end later, so its record stays as long as such a flow lasts.

The grant takes its id from the request_uri: so both share a slot, and one script writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from msgspec.structs import replace

from oauthd.protocol import opaque
from oauthd.protocol.messages import Connection
from oauthd.protocol.records import Client, PushedRequest, Spent
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds, tallies
from oauthd.stores.interface import IStore, Ref, Stored, Write
from oauthd.stores.swap import readings, swap

URN = "urn:ietf:params:oauth:request_uri:"  # RFC 9126 section 2.2
MOST_PUSHED = 1000  # requests that one source may push in a minute for clients that anybody can name


@frozen
class PushedRequests:
    """Keeps them.

    :ivar lifetime: seconds that a request_uri can be used.
    :ivar flow: seconds that the flow of a browser may last.
    """

    store: IStore
    seals: Seals
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    lifetime: int
    flow: int

    async def push(self, client: Client, parameters: dict[str, str], jkt: str, source: Connection) -> str:
        """Keep a request that has been checked; its request_uri.

        :param jkt: thumbprint of the DPoP key that was shown with it, "" for none.
        :raises OAuthError: `too_many_requests` when so many have come from a source that anybody may be.
        """
        now = int(self.clock())
        if not client.confidential or client.described:
            what = "requests were pushed"
            await tallies.count_source(self.store, self.seals, source, "requests pushed", MOST_PUSHED, now, what)
        value = opaque.make(opaque.PUSHED_REQUEST, self.entropy, opaque.new_grant_id(self.entropy))
        ends = now + self.lifetime
        record = PushedRequest(client.client_id, parameters, expires_at=ends, jkt=jkt, usable_until=ends)
        await self.store.put(Write(_ref(value), record))
        return URN + value

    async def open(self, request_uri: str, client_id: str) -> Stored[PushedRequest] | None:
        """The request, kept for as long as the flow that begins now may last; None where it cannot be used.

        :param request_uri: begins with `URN`.
        """
        value = request_uri.removeprefix(URN)
        if opaque.parse(opaque.PUSHED_REQUEST, value) is None:
            return None
        async for stored in readings(self.store, _ref(value)):
            now = int(self.clock())
            if stored is None or stored.record.spent is not None or stored.record.usable_until <= now:
                return None
            if stored.record.client_id != client_id:  # RFC 9126 section 2.2: bound to the client that posted it
                return None
            kept = replace(stored.record, expires_at=max(stored.record.expires_at, now + self.flow))
            if await swap(self.store, stored.ref, stored, kept):
                return stored
        return None

    async def is_spent(self, ref: Ref[PushedRequest]) -> bool:
        """Was it used, or is it forgotten? For whoever wants to tell early; what counts is `spend`."""
        (stored,) = await self.store.get(ref)
        return stored is None or stored.record.spent is not None

    async def spend(self, ref: Ref[PushedRequest], writes: Sequence[Write[Any]]) -> bool:
        """Store what the request led to, and spend it, in one step; False when it was used before.

        :param writes: of its slot.
        """
        attempt = opaque.new_identifier(self.entropy)
        async for stored in readings(self.store, ref):
            if stored is None or stored.record.spent is not None:
                return False
            spent = replace(stored.record, parameters={}, spent=Spent(attempt, int(self.clock())))
            if await swap(self.store, ref, stored, spent, *writes):
                return True
        return False


def _ref(value: str) -> Ref[PushedRequest]:
    return kinds.pushed_request(opaque.parse(opaque.PUSHED_REQUEST, value) or "", value)


def noted(ref: Ref[PushedRequest]) -> str:
    """A reference as a flow remembers it: not the request_uri, which could be used."""
    return f"{ref.slot} {ref.ident.hex()}"


def named(note: str) -> Ref[PushedRequest]:
    """What `noted` noted."""
    slot, _, ident = note.partition(" ")
    return kinds.PUSHED_REQUEST.at(bytes.fromhex(ident), slot)
