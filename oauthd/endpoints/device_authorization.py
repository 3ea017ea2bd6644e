"""The device authorization endpoint (RFC 8628 section 3.1).

A device asks, and shows a code that a person types elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from oauthd.config import DeviceSettings
from oauthd.events import Events
from oauthd.limits import Limits
from oauthd.proofs.client_authentication import ClientAuthentication
from oauthd.protocol import authorization, opaque, user_code
from oauthd.protocol.authorization import Context
from oauthd.protocol.authorization_details import DetailsTypes
from oauthd.protocol.errors import TEMPORARILY_UNAVAILABLE
from oauthd.protocol.messages import Request, Response, json_response
from oauthd.protocol.records import DeviceCode, UserCode
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds, tallies
from oauthd.stores.clients import Clients
from oauthd.stores.interface import Commit, IStore, Write
from oauthd.stores.scopes import ScopeCatalogue

TRIES = 5  # user codes are drawn from 2**34: a second collision in a row is as good as impossible
MOST_ASKED = 1000  # devices of one source that may ask in a minute for clients that anybody can name


@frozen
class DeviceAuthorization:
    """Hands out a device code and a user code."""

    store: IStore
    seals: Seals
    authentication: ClientAuthentication
    clients: Clients
    scopes: ScopeCatalogue
    details: DetailsTypes
    events: Events
    limits: Limits
    settings: DeviceSettings
    issuer: str
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]

    async def __call__(self, request: Request) -> Response:
        """Answer a device authorization request (section 3.2)."""
        form = request.form
        form.refuse_repeats(authorization.REPEATABLE)
        client = (await self.authentication.client(request)).client
        self.limits.begin("device", client, self.settings.lifetime)
        resources = await self.clients.resources() if "resource" in form else {}
        context = Context(
            form, client, await self.scopes.all(), resources=frozenset(resources), details=self.details
        )
        asked = authorization.check(authorization.DEVICE, context)
        now = int(self.clock())
        if not client.confidential:
            what = "devices asked"
            await tallies.count_source(self.store, self.seals, request.connection, what, MOST_ASKED, now, what)
        grant_id = opaque.new_grant_id(self.entropy)
        value = opaque.make(opaque.DEVICE_CODE, self.entropy, grant_id)
        expires_at = now + self.settings.lifetime
        code = await self._user_code(grant_id, value, expires_at)
        record = DeviceCode(
            client_id=client.client_id,
            scope=asked.scope,
            audience=asked.audience,
            details=asked.details,
            user_code=code,
            interval=self.settings.interval,
            expires_at=expires_at,
        )
        await self.store.put(Write(kinds.device_code(grant_id, value), record))
        self.events.tell("device.requested", client_id=client.client_id)
        shown = user_code.shown(code)
        return json_response(
            {
                "device_code": value,
                "user_code": shown,
                "verification_uri": f"{self.issuer}/device",
                "verification_uri_complete": f"{self.issuer}/device?user_code={shown}",
                "expires_in": self.settings.lifetime,
                "interval": self.settings.interval,
            }
        )

    async def _user_code(self, grant_id: str, value: str, expires_at: int) -> str:
        """A user code that no other device shows now."""
        for _ in range(TRIES):
            code = user_code.new(self.entropy)
            pointer = Write(kinds.user_code(code), UserCode(grant_id, kinds.digest(value), expires_at))
            if await self.store.commit(Commit(absent=(pointer.ref,), writes=(pointer,))):
                return code
        raise TEMPORARILY_UNAVAILABLE("no user code is free", headers={"Retry-After": "1"})
