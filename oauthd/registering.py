"""The wiring of registration: who registers clients, what clients may say of themselves, and those that documents
describe.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from attrs import evolve

from oauthd.config import RegistrationSettings
from oauthd.endpoints.client_configuration import ClientConfiguration
from oauthd.endpoints.described_clients import DescribedClients
from oauthd.endpoints.interface import Endpoint
from oauthd.endpoints.register import Quota, Register
from oauthd.endpoints.registration import Registration
from oauthd.parts import Parts
from oauthd.proofs.registrant import Registrants
from oauthd.proofs.software_statement import SoftwareStatements
from oauthd.protocol import client_metadata, jose
from oauthd.protocol.profile import CLIENT_AUTHENTICATION, FAPI2, SIGNING
from oauthd.web.routes import paths_of

_SIGNED = ("id_token_algorithms", "userinfo_algorithms", "response_algorithms", "introspection_algorithms")
"""Where clients say what signs statements to them."""


def registration_of(parts: Parts, offered: client_metadata.Offered, usual: str) -> Registration:
    """What clients may be registered with.

    :param offered: what clients may say that they use.
    :param usual: what signs for those who say nothing.
    """
    world, settings = parts.world, parts.world.settings.registration
    if strict := world.settings.server.profile == FAPI2:  # sections 5.3.2.1 item 6 and 5.4.1
        signing = tuple(name for name in SIGNING if name in parts.keys.algorithms)
        usual = usual if usual in signing else next(iter(signing), usual)
        offered = evolve(offered, **dict.fromkeys(_SIGNED, signing), ciba_algorithms=SIGNING)
    return Registration(
        scopes=parts.scopes,
        statements=SoftwareStatements(
            issuers=dict(pair.split(" ", 1) for pair in settings.statement_issuers),
            fetch=partial(parts.fetcher.get, oldest=60.0),  # an issuer's new key counts within a minute
            once=parts.once,
            issuer=world.issuer,
            each_once=settings.statements_once,
            clock=world.clock,
            algorithms=SIGNING if strict else jose.ASYMMETRIC,
        ),
        fetch=partial(parts.fetcher.get, oldest=0.0, stranger=True),  # as it is now, not as another client saw it
        fetching=world.settings.fetch,
        issuer=world.issuer,
        offered=offered,
        table=client_metadata.rows(offered),
        algorithm=usual,
    )


def registering(parts: Parts, registration: Registration, registrants: Registrants) -> Mapping[str, Endpoint]:
    """The endpoints by which clients register and manage themselves."""
    world = parts.world
    settings, address = _settings(parts), world.issuer + paths_of("register")[0]
    quota = Quota(world.store, world.seals, settings.per_source, world.clock)
    return {
        "register": Register(
            registration=registration,
            registrants=registrants,
            clients=parts.clients,
            quota=quota,
            events=world.events,
            room=parts.limits.room,
            settings=settings,
            address=address,
            clock=world.clock,
            entropy=world.entropy,
        ),
        "client_configuration": ClientConfiguration(
            registration=registration,
            clients=parts.clients,
            scopes=parts.scopes,
            tokens=parts.tokens,
            quota=quota,
            events=world.events,
            settings=settings,
            address=address,
            entropy=world.entropy,
        ),
    }


def described_clients(parts: Parts, registration: Registration) -> DescribedClients:
    """The clients that documents describe."""
    world = parts.world
    return DescribedClients(
        clients=parts.clients,
        scopes=parts.scopes,
        tokens=parts.tokens,
        registration=registration,
        fetch=partial(parts.fetcher.get, stranger=True, failures=False),
        store=world.store,
        seals=world.seals,
        events=world.events,
        settings=world.settings.client_documents,
        registering=_settings(parts),
        clock=world.clock,
    )


def _settings(parts: Parts) -> RegistrationSettings:
    """Under FAPI 2.0 with the authentication that its section 5.3.2.1 item 6 allows, unless less is set."""
    settings = parts.world.settings.registration
    if parts.world.settings.server.profile != FAPI2:
        return settings
    return evolve(settings, auth_methods=settings.auth_methods or CLIENT_AUTHENTICATION)
