"""The client registration endpoint (RFC 7591 section 3, OpenID Connect Registration section 3).

Order: who registers, what, how often, what can only be seen elsewhere; then a software statement that counts once and a
use of the initial access token are spent, and the client stored. A stranger is counted by the source address before
anything is fetched from an address of its own. A client that registered itself ends when nobody uses it, and there is
an end to how many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from attrs import frozen
from msgspec.structs import replace

from oauthd.config import RegistrationSettings
from oauthd.endpoints.registration import STATEMENT, Registration
from oauthd.events import Events
from oauthd.proofs.registrant import Registrant, Registrants
from oauthd.protocol import opaque
from oauthd.protocol.errors import TOO_MANY_REQUESTS
from oauthd.protocol.json_body import read_json
from oauthd.protocol.messages import Request, Response, json_response
from oauthd.protocol.records import UNLIMITED, Client, Limits
from oauthd.protocol.registration_policy import RegistrationPolicy
from oauthd.protocol.seals import Seals
from oauthd.shedding import Room
from oauthd.stores import kinds, tallies
from oauthd.stores.clients import Clients
from oauthd.stores.interface import IStore

HOUR = 3600
NETWORKS = 16
"""As how many IPv6 networks a site counts, a /48, which has 65536 of them (RFC 6177 tells how sites come by these)."""


@frozen
class Quota:
    """Counts what strangers make this server do."""

    store: IStore
    seals: Seals
    limit: int
    clock: Callable[[], float]

    async def count(self, request: Request) -> None:
        """Count a registration, or a change of one for which others are called.

        :raises OAuthError: `too_many_requests`.
        """
        source = request.connection.source
        ref = tallies.of_source(self.seals, "registrations", source)
        what = "clients were registered from this address"
        await tallies.change(self.store, ref, 1, self.limit, int(self.clock()), what, HOUR)
        site = _site(source)  # counted last, so that one who is refused takes nothing from his neighbours
        if site:
            ref = tallies.of_source(self.seals, "registrations of a site", site)
            what = "clients were registered from this network"
            await tallies.change(self.store, ref, 1, self.limit * NETWORKS, int(self.clock()), what, HOUR)


@frozen
class Register:
    """Registers clients.

    :ivar address: of this endpoint, absolute; that of a client's configuration is below it.
    """

    registration: Registration
    registrants: Registrants
    clients: Clients
    quota: Quota
    events: Events
    room: Room
    settings: RegistrationSettings
    address: str
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]

    async def __call__(self, request: Request) -> Response:
        """Answer a registration request."""
        self.room.register()
        registrant = await self.registrants.of(request)
        request.query.refuse_repeats()
        body = read_json(request)
        statement = await self.registration.statement(body)
        client = await self.registration.read(body, self._policy(registrant), statement=statement)
        await self._count(request, registrant)
        await self.registration.check_sector(client)
        await self.registration.statements.spend(statement)
        if registrant.initial is not None:
            await self.registrants.tokens.spend(registrant.initial.token_id)
        token = opaque.make(opaque.REGISTRATION, self.entropy)
        ends = int(self.clock()) + self.settings.unclaimed_after if self.settings.unclaimed_after else None
        new = replace(client, registration=kinds.digest(token), limits=limits_of(registrant), unused_until=ends)
        made, secret = await self.clients.register(new)
        self.events.tell("client.created", client_id=made.client_id, **(registrant.facts or {}))
        answer = self.registration.told(made) | configuration(self.address, made, token) | told_secret(secret)
        if body.get(STATEMENT) is not None:
            answer[STATEMENT] = body[STATEMENT]  # RFC 7591 section 3.2.1: unmodified
        return json_response(answer, 201)

    def _policy(self, registrant: Registrant) -> RegistrationPolicy:
        if registrant.administrator:
            return RegistrationPolicy(reserved=True)
        return policy_of(self.settings).under(limits_of(registrant))

    async def _count(self, request: Request, registrant: Registrant) -> None:
        """Count a client of a stranger's, and refuse one too many.

        :raises OAuthError: `too_many_requests`.
        """
        # A tenth is left for those whom somebody vouches for, or strangers could keep them out together.
        most = self.settings.most - (self.settings.most // 10 if registrant.stranger else 0)
        if not registrant.administrator and await self.clients.registered() >= most:
            raise TOO_MANY_REQUESTS("there are too many registered clients", headers={"Retry-After": str(HOUR)})
        if registrant.stranger:
            await self.quota.count(request)


def _site(address: str) -> str:
    """The first address of the /48 of an IPv6 address; "" for others."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return str(IPv6Network((int(found), 48), strict=False)[0]) if isinstance(found, IPv6Address) else ""


def limits_of(registrant: Registrant) -> Limits:
    """The limits of the initial access token."""
    initial = registrant.initial
    return UNLIMITED if initial is None else Limits(initial.scopes, initial.grant_types, initial.auth_methods)


def policy_of(settings: RegistrationSettings) -> RegistrationPolicy:
    """The operator's limits."""
    return RegistrationPolicy(
        scopes=settings.scopes or None,
        grant_types=settings.grant_types,
        auth_methods=settings.auth_methods or None,
        require=settings.require,
    )


def configuration(address: str, client: Client, token: str) -> dict[str, Any]:
    """Where a client changes its registration, and by what right (RFC 7592 section 3)."""
    return {"registration_client_uri": f"{address}/{client.client_id}", "registration_access_token": token}


def told_secret(secret: str | None) -> dict[str, Any]:
    """A new secret, which has no end (RFC 7591 section 3.2.1)."""
    return {} if secret is None else {"client_secret": secret, "client_secret_expires_at": 0}
