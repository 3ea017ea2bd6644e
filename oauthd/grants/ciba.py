"""Backchannel authentication (CIBA Core sections 10.1 and 11): polled until the person has decided on another device.

Polled as well by clients that are told by ping. Refused are those that tokens are pushed to, which never come here, and
an auth_req_id that was never given out or is another client's. One that is over is known for a while.
"""

from __future__ import annotations

from attrs import frozen

from oauthd.grants import polled
from oauthd.grants.interface import Ask, Redemption
from oauthd.grants.resources import narrowed_audience
from oauthd.protocol import opaque
from oauthd.protocol.ciba import PUSH
from oauthd.protocol.errors import INVALID_GRANT, UNAUTHORIZED_CLIENT
from oauthd.protocol.grant_types import CIBA
from oauthd.stores import kinds
from oauthd.stores.interface import IStore
from oauthd.stores.tokens import Tokens

UNKNOWN = "the auth_req_id is unknown, or it belongs to another client"


@frozen
class Ciba:
    """The grant type of CIBA Core."""

    store: IStore
    tokens: Tokens
    access_lifetime: int

    grant_type = CIBA
    varies = None

    async def redeem(self, ask: Ask) -> Redemption:
        """Tokens for the approved request; otherwise the error that tells what to do."""
        value = ask.parameters.required("auth_req_id")
        if ask.client.ciba_mode in ("", PUSH):  # section 11: unauthorized_client
            raise UNAUTHORIZED_CLIENT("this client is not registered for poll or ping")
        grant_id = opaque.parse(opaque.BACKCHANNEL, value)
        if grant_id is None:
            raise INVALID_GRANT(UNKNOWN)
        stored = await polled.approved(
            self.store,
            ask,
            kinds.backchannel_request(grant_id, value),
            lambda request: request.usable_until,
            INVALID_GRANT(UNKNOWN),
        )
        grant = await polled.standing(self.store, self.tokens, ask, grant_id)
        audience = narrowed_audience(grant.audience, ask.parameters.all("resource"))  # RFC 8707 section 2.2
        return polled.redemption(ask, stored, grant, self.access_lifetime, audience)
