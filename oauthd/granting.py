"""The wiring of grants: what the token endpoint is asked for.

A new grant type is a line here, and a file in `oauthd.grants`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from oauthd.config.trust import TrustedIssuer
from oauthd.grants.authorization_code import AuthorizationCode
from oauthd.grants.ciba import Ciba
from oauthd.grants.client_credentials import ClientCredentials
from oauthd.grants.device_code import Device
from oauthd.grants.interface import GrantType
from oauthd.grants.jwt_bearer import JwtBearer
from oauthd.grants.password import Password
from oauthd.grants.presented import PresentedTokens
from oauthd.grants.refresh_token import Refresh
from oauthd.grants.token_exchange import TokenExchange
from oauthd.grants.vouched import Beginning, People
from oauthd.parts import Parts
from oauthd.protocol import jose
from oauthd.protocol.profile import FAPI2, SIGNING
from oauthd.trusted_jwt import TrustedJwts
from oauthd.web.routes import paths_of


def grants(parts: Parts) -> Mapping[str, GrantType]:
    """The grant types that are on, by their names."""
    world = parts.world
    store, tokens, events, entropy = world.store, parts.tokens, world.events, world.entropy
    lives = world.settings.tokens
    access, longest = lives.access_lifetime, lives.refresh_absolute
    profile = world.settings.server.profile
    found: tuple[GrantType, ...] = (
        AuthorizationCode(store, tokens, events, access, world.settings.clients.pkce_public),
        ClientCredentials(parts.clients, parts.scopes, entropy, longest),
        Password(store, parts.clients, parts.scopes, parts.sign_in, entropy, longest, access, profile),
        Refresh(
            store=store,
            tokens=tokens,
            catalogue=parts.scopes,
            events=events,
            seals=world.seals,
            grace=lives.refresh_grace,
            refresh_idle=lives.refresh_idle,
            profile=profile,
        ),
        Device(store, tokens, access),
        Ciba(store, tokens, access),
        *_for_others(parts),
    )
    # FAPI 2.0 Security Profile section 5.3.2.1: nobody's password is given to a client.
    left_out = {Password.grant_type} if profile == FAPI2 else set()
    return {grant.grant_type: grant for grant in found if grant.grant_type not in left_out}


def _for_others(parts: Parts) -> tuple[GrantType, ...]:
    """Those by which a client that was given somebody's token gets one of its own."""
    world = parts.world
    exchange, bearer = world.settings.exchange, world.settings.jwt_bearer
    people = People(world.store, parts.users, world.settings.tokens.leeway)
    beginning = Beginning(world.entropy, world.settings.tokens.refresh_absolute)
    presented = PresentedTokens(
        store=world.store,
        tokens=parts.tokens,
        clients=parts.clients,
        sessions=parts.sessions,
        id_token=parts.hints.claims,
        jwts=_trusted(parts, exchange.issuers),
        people=people,
        issuer=world.issuer,
    )
    exchanging = TokenExchange(
        presented=presented,
        clients=parts.clients,
        scopes=parts.scopes,
        subjects=parts.subjects,
        details=parts.details,
        beginning=beginning,
        issuer=world.issuer,
    )
    if not bearer.issuers:
        return (exchanging,)
    jwts, leeway = _trusted(parts, bearer.issuers), world.settings.tokens.leeway
    return exchanging, JwtBearer(
        jwts, people, beginning, parts.clients, parts.scopes, parts.once, bearer.longest, leeway
    )


def _trusted(parts: Parts, issuers: tuple[str, ...]) -> TrustedJwts:
    world = parts.world
    found = [TrustedIssuer.of(text) for text in issuers]
    return TrustedJwts(
        issuers={one.issuer: one for one in found if one.issuer != world.issuer},  # our own are no foreigner's
        fetch=partial(parts.fetcher.get, oldest=60.0),  # an issuer's new key counts within a minute
        audiences=(world.issuer, *(base + path for base in parts.bases for path in paths_of("token"))),
        clock=world.clock,
        leeway=world.settings.tokens.leeway,
        algorithms=SIGNING if world.settings.server.profile == FAPI2 else jose.ASYMMETRIC,
    )
