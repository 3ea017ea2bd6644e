"""Device code (RFC 8628 section 3.4): polled until the person has decided on another screen."""

from __future__ import annotations

from attrs import frozen

from oauthd.grants import polled
from oauthd.grants.interface import Ask, Redemption
from oauthd.protocol import opaque
from oauthd.protocol.errors import EXPIRED_TOKEN, INVALID_GRANT
from oauthd.protocol.grant_types import DEVICE_CODE
from oauthd.stores import kinds
from oauthd.stores.interface import IStore
from oauthd.stores.tokens import Tokens


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
        gone = EXPIRED_TOKEN("the device code has expired")  # well-formed, so it was ours
        stored = await polled.approved(
            self.store, ask, kinds.device_code(grant_id, value), lambda device: device.expires_at, gone
        )
        grant = await polled.standing(self.store, self.tokens, ask, grant_id)
        return polled.redemption(ask, stored, grant, self.access_lifetime, grant.audience)
