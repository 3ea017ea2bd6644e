"""Device code (RFC 8628 section 3.4): polled until the person has decided on another screen.

Denial is final. The first poll is free; only a poll that really came too early raises the interval (section 3.5).
"""

from __future__ import annotations

from attrs import frozen
from msgspec.structs import replace

from oauthd.grants.interface import MINTED_LATER, Ask, Redemption
from oauthd.protocol import opaque
from oauthd.protocol.errors import ACCESS_DENIED, AUTHORIZATION_PENDING, EXPIRED_TOKEN, INVALID_GRANT, SLOW_DOWN
from oauthd.protocol.grant_types import DEVICE_CODE
from oauthd.protocol.records import DeviceCode, Grant, Spent
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, IStore, Ref, Stored, Write
from oauthd.stores.swap import readings, swap
from oauthd.stores.tokens import Tokens, extended

SLOWER_BY = 5  # seconds, RFC 8628 section 3.5


@frozen
class Device:
    """The grant type of RFC 8628."""

    store: IStore
    tokens: Tokens
    access_lifetime: int

    grant_type = DEVICE_CODE
    varies = None

    async def redeem(self, ask: Ask) -> Redemption:
        """Tokens for the approved device; otherwise the error that tells what to do."""
        value = ask.parameters.required("device_code")
        grant_id = opaque.parse(opaque.DEVICE_CODE, value)
        if grant_id is None:
            raise INVALID_GRANT("the device code is unknown")
        stored = await self._approved(ask, kinds.device_code(grant_id, value))
        (stored_grant,) = await self.store.get(kinds.grant(grant_id))
        device: DeviceCode = stored.record
        if stored_grant is None or not await self.tokens.covers(stored_grant.record, ask.generations):
            raise INVALID_GRANT("the authorization has been withdrawn")
        grant: Grant = stored_grant.record
        refresh = "refresh_token" in ask.client.grant_types
        until = grant.ends_at if refresh else ask.now + self.access_lifetime + MINTED_LATER
        spent = replace(device, spent=Spent(ask.attempt, ask.now))
        return Redemption(
            scope=grant.scope,
            generations=grant.generations,
            grant_id=grant_id,
            grant=extended(grant, until),
            audience=grant.audience,
            commit=Commit(expected=(stored,), alive=(kinds.grant(grant_id),), writes=(Write(stored.ref, spent),)),
            refresh=refresh,
            refresh_scope=grant.scope,
            refresh_audience=grant.audience,
        )

    async def _approved(self, ask: Ask, ref: Ref[DeviceCode]) -> Stored[DeviceCode]:
        """The device, approved; read again when a decision or another poll came in between."""
        async for stored in readings(self.store, ref):
            if stored is None:
                raise EXPIRED_TOKEN("the device code has expired")  # well-formed, so it was ours
            device = stored.record
            if device.client_id != ask.client.client_id or device.spent is not None:
                raise INVALID_GRANT("the device code is used, or it belongs to another client")
            if device.status == "denied":
                raise ACCESS_DENIED("the person denied the request")
            if device.status == "approved":
                return stored
            await self._poll(ask, stored)
        raise SLOW_DOWN("the device sends many polls at once")

    async def _poll(self, ask: Ask, stored: Stored[DeviceCode]) -> None:
        """Remember the poll and say that the person has not decided yet; nothing when the device changed meanwhile."""
        device = stored.record
        early = bool(device.polled_at) and ask.exact_now < device.polled_at + device.interval
        interval = device.interval + SLOWER_BY if early else device.interval
        polled = replace(device, polled_at=ask.exact_now, interval=interval)
        kept = await swap(self.store, stored.ref, stored, polled)
        if kept and early:
            raise SLOW_DOWN("the device polls faster than the interval")
        if kept:
            raise AUTHORIZATION_PENDING("the person has not decided yet")
