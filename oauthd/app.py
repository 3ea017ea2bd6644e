"""The wiring: one readable list of what oauthd is made of, each part with what it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from oauthd.config import Settings, key_retirement
from oauthd.config.listeners import is_loopback
from oauthd.endpoints.authorize import Authorize
from oauthd.endpoints.device_authorization import DeviceAuthorization
from oauthd.endpoints.end_session import EndSession
from oauthd.endpoints.interface import Endpoint
from oauthd.endpoints.introspect import Introspect
from oauthd.endpoints.jwks import Jwks
from oauthd.endpoints.metadata import Metadata
from oauthd.endpoints.revoke import Revoke
from oauthd.endpoints.token import Token
from oauthd.endpoints.userinfo import Userinfo
from oauthd.events import Events
from oauthd.grants.authorization_code import AuthorizationCode
from oauthd.grants.client_credentials import ClientCredentials
from oauthd.grants.device_code import Device
from oauthd.grants.password import Password
from oauthd.grants.refresh_token import Refresh
from oauthd.guessing import Guessing
from oauthd.keys import Keys
from oauthd.minting import PASSWORD, Minting
from oauthd.pages.browser import Browser
from oauthd.pages.consent import ConsentPage
from oauthd.pages.device import DevicePage
from oauthd.pages.error import ErrorPage
from oauthd.pages.home import Home
from oauthd.pages.login import Login
from oauthd.pages.logout import LogoutPage
from oauthd.pages.rendering import Pages
from oauthd.pages.static import Static
from oauthd.passwords import Passwords
from oauthd.proofs.bearer import Bearer
from oauthd.proofs.client_authentication import ClientAuthentication
from oauthd.proofs.client_secret_basic import ClientSecretBasic
from oauthd.proofs.client_secret_post import ClientSecretPost
from oauthd.proofs.id_token_hint import IdTokenHint
from oauthd.proofs.none import NoProof
from oauthd.protocol import jose
from oauthd.protocol.cookies import Cookie
from oauthd.protocol.errors import TEMPORARILY_UNAVAILABLE, ErrorKind
from oauthd.protocol.lockout import Policy
from oauthd.protocol.seals import Seals
from oauthd.runtime.threads import PoolFull
from oauthd.sign_in import SignIn
from oauthd.stores.clients import Clients
from oauthd.stores.consents import Consents
from oauthd.stores.interface import IStore, StoreUnavailable
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.sessions import Interactions, Sessions
from oauthd.stores.tokens import Tokens
from oauthd.stores.users import Users
from oauthd.web.application import Edge, build
from oauthd.web.channel import Limits
from oauthd.web.errors import Errors
from oauthd.web.routes import ROUTES
from oauthd.web.shield import Shield
from oauthd.web.site import Access, Site
from oauthd.web.sources import Sources

InThread = Callable[..., Awaitable[Any]]

MEMBERS: Mapping[str, str] = {
    "authorization_endpoint": "authorize",
    "token_endpoint": "token",
    "introspection_endpoint": "introspect",
    "revocation_endpoint": "revoke",
    "device_authorization_endpoint": "device_authorization",
    "userinfo_endpoint": "userinfo",
    "end_session_endpoint": "end_session",
    "jwks_uri": "jwks",
}
"""Member of the metadata document -> endpoint, whose advertised path it names."""

UNAVAILABLE: Mapping[type[Exception], ErrorKind] = {
    StoreUnavailable: TEMPORARILY_UNAVAILABLE,
    PoolFull: TEMPORARILY_UNAVAILABLE,
}
"""Failures of lower layers that are no bugs: the caller is told to come back."""


@frozen
class World:
    """What the parts are made with: settings, and all that comes from outside the process.

    :ivar clock: wall-clock seconds.
    :ivar hashing: runs password hashes.
    :ivar signing: runs RSA signatures.
    """

    settings: Settings
    issuer: str
    store: IStore
    seals: Seals
    events: Events
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    hashing: InThread
    signing: InThread


class Application:
    """Every part of the server, made once; an attribute each, so that whoever needs one finds it by name."""

    def __init__(self, world: World) -> None:
        settings, store, seals, events = world.settings, world.store, world.seals, world.events
        clock, entropy, issuer = world.clock, world.entropy, world.issuer
        longest = settings.tokens.refresh_absolute
        # Browsers take Secure cookies from https and from loopback names.
        secure = issuer.startswith("https:") or is_loopback(urlsplit(issuer).hostname or "")

        # stores
        self.clients = Clients(store, seals, clock, entropy, settings.clients.secret_overlap, longest)
        self.users = Users(store, clock, entropy)
        self.scopes = ScopeCatalogue(store)
        self.tokens = Tokens(store, clock)
        self.consents = Consents(store, clock, settings.sessions.consent_lifetime)
        self.sessions = Sessions(store, clock, entropy, settings.sessions.idle, settings.sessions.absolute)
        self.interactions = Interactions(
            store, seals, Cookie.named("oauthd_browser", secure), clock, entropy, settings.sessions.interaction_lifetime
        )

        # keys, passwords, tokens
        self.keys = Keys(
            store=store,
            seals=seals,
            clock=clock,
            in_thread=world.signing,
            period=settings.keys.rotation_period,
            announce=settings.keys.announce,
            retirement=key_retirement(settings),
        )
        self.passwords = Passwords(_hasher(settings), world.hashing)
        policy = Policy(
            delayed_from=settings.users.lock_free_failures + 1,
            locked_from=settings.users.lock_after,
            lock=float(settings.users.lock_time),
        )
        self.sign_in = SignIn(store, self.users, self.passwords, seals, events, clock, policy)
        self.guessing = Guessing(store, seals, settings.device, clock)
        self.minting = Minting(issuer, settings, self.keys, clock, entropy, world.signing)

        # proofs
        methods = (ClientSecretBasic(self.clients), ClientSecretPost(self.clients))
        self.authentication = ClientAuthentication(self.clients, methods, NoProof(), events)
        self.bearer = Bearer(self.tokens, issuer)
        self.hints = IdTokenHint(self.keys, issuer)

        # grants
        access, tokens = settings.tokens.access_lifetime, settings.tokens
        self.refresh = Refresh(store, self.tokens, events, seals, tokens.refresh_grace, tokens.refresh_idle)
        self.grants = {
            grant.grant_type: grant
            for grant in (
                AuthorizationCode(store, self.tokens, events, access),
                ClientCredentials(self.clients, self.scopes, entropy, longest),
                Password(store, self.clients, self.scopes, self.sign_in, entropy, longest, access),
                self.refresh,
                Device(store, self.tokens, access),
            )
        }

        # pages
        self.pages = Pages()
        session_cookie = Cookie.named("oauthd_session", secure)
        browser = Browser(self.pages, self.users, self.sessions, self.interactions, session_cookie)
        authorize = _advertised("authorize")

        self.endpoints: Mapping[str, Endpoint] = {
            # protocol endpoints
            "authorize": Authorize(
                store=store,
                clients=self.clients,
                users=self.users,
                scopes=self.scopes,
                sessions=self.sessions,
                interactions=self.interactions,
                consents=self.consents,
                hints=self.hints,
                events=events,
                settings=settings,
                issuer=issuer,
                path=authorize,
                session_cookie=session_cookie,
                clock=clock,
                entropy=entropy,
            ),
            "token": Token(
                store, self.authentication, self.grants, self.refresh, self.minting, events, clock, entropy
            ),
            "introspect": Introspect(self.authentication, self.tokens, issuer),
            "revoke": Revoke(self.authentication, self.tokens, events),
            "device_authorization": DeviceAuthorization(
                store=store,
                authentication=self.authentication,
                clients=self.clients,
                scopes=self.scopes,
                events=events,
                settings=settings.device,
                issuer=issuer,
                clock=clock,
                entropy=entropy,
            ),
            "userinfo": Userinfo(self.bearer, self.users, settings.userinfo),
            "end_session": EndSession(
                self.clients, self.sessions, self.interactions, self.hints, events, session_cookie
            ),
            "jwks": Jwks(self.keys),
            "metadata": Metadata(
                issuer=issuer,
                endpoints={member: _advertised(name) for member, name in MEMBERS.items()},
                grant_types=tuple(self.grants),
                methods=[method.method for method in methods],
                id_token_algorithms=jose.ALGORITHMS,
                acr_values=[PASSWORD],
            ),
            # pages
            "home": Home(browser, issuer),
            "login": Login(
                browser, self.clients, self.sign_in, authorize, Cookie.named("oauthd_known", secure), clock
            ),
            "consent": ConsentPage(
                browser,
                self.clients,
                self.scopes,
                self.consents,
                events,
                authorize,
                settings.userinfo.identity_with_openid,
            ),
            "device": DevicePage(
                browser, store, self.clients, self.scopes, self.guessing, events, settings, clock
            ),
            "logout": LogoutPage(browser, self.clients, events),
            "static": Static(self.pages),
        }

    def site(self, settings: Settings, reactor: IReactorTime, access: Access) -> Site:
        """The HTTP factory over all of it."""
        errors = Errors(ErrorPage(self.pages), UNAVAILABLE)
        sources = Sources(settings.server.trusted_proxies)
        shield = Shield(reactor, errors.unheard, settings.server.answer_timeout)
        edge = Edge(errors, sources, shield, access, reactor)
        return Site(build([r for r in ROUTES if all(e in self.endpoints for e in r.endpoints.values())], self.endpoints, edge), shield, reactor, _limits(settings), access)


def _advertised(endpoint: str) -> str:
    """The first path of the row that an endpoint serves."""
    return next(route.paths[0] for route in ROUTES if endpoint in route.endpoints.values())


def _hasher(settings: Settings) -> PasswordHasher:
    users = settings.users
    return PasswordHasher(
        time_cost=users.hash_time, memory_cost=users.hash_memory, parallelism=users.hash_parallelism
    )


def _limits(settings: Settings) -> Limits:
    server = settings.server
    return Limits(
        body=server.body_limit,
        connections=server.max_connections,
        head_seconds=server.header_timeout,
        body_seconds=server.body_timeout,
        idle_seconds=server.idle_timeout,
    )
