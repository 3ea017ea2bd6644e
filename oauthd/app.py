"""The wiring: one readable list of what oauthd is made of, each part with what it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from attrs import field, frozen
from twisted.internet.interfaces import IReactorTime

from oauthd.admin import api as admin
from oauthd.admin.clients import ClientsResource
from oauthd.admin.declarations import Access
from oauthd.admin.keys import KeysResource
from oauthd.admin.profile import ProfileResource
from oauthd.admin.scopes import ScopesResource
from oauthd.admin.tokens import TokensResource
from oauthd.admin.users import PasswordRule, UsersResource
from oauthd.config import Settings, key_retirement
from oauthd.config.listeners import is_loopback
from oauthd.endpoints.authorize import Authorize
from oauthd.endpoints.device_authorization import DeviceAuthorization
from oauthd.endpoints.end_session import EndSession
from oauthd.endpoints.health import Condition, Live, Ready
from oauthd.endpoints.interface import Endpoint
from oauthd.endpoints.introspect import Introspect
from oauthd.endpoints.jwks import Jwks
from oauthd.endpoints.metadata import Metadata
from oauthd.endpoints.register_client import RegisterClient
from oauthd.endpoints.revoke import Revoke
from oauthd.endpoints.token import Token
from oauthd.endpoints.userinfo import Userinfo
from oauthd.events import Events
from oauthd.grants.authorization_code import AuthorizationCode
from oauthd.grants.client_credentials import ClientCredentials
from oauthd.grants.device_code import Device
from oauthd.grants.interface import GrantType
from oauthd.grants.password import Password
from oauthd.grants.refresh_token import Refresh
from oauthd.guessing import Guessing
from oauthd.keys import Keys
from oauthd.metrics import Counts
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
from oauthd.proofs.administrator import Administrator
from oauthd.proofs.bearer import Bearer
from oauthd.proofs.client_authentication import ClientAuthentication
from oauthd.proofs.client_secret_basic import ClientSecretBasic
from oauthd.proofs.client_secret_post import ClientSecretPost
from oauthd.proofs.id_token_hint import IdTokenHint
from oauthd.proofs.none import NoProof
from oauthd.protocol import jose
from oauthd.protocol.cookies import Cookie
from oauthd.protocol.errors import TEMPORARILY_UNAVAILABLE, ErrorKind
from oauthd.protocol.introspection import active
from oauthd.protocol.lockout import Policy
from oauthd.protocol.seals import Seals
from oauthd.runtime.threads import PoolFull
from oauthd.sign_in import SignIn
from oauthd.stores.answers import Answers
from oauthd.stores.cache import Cache
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
from oauthd.web.fastlane import Lane
from oauthd.web.readers import readers
from oauthd.web.routes import ROUTES
from oauthd.web.shield import Shield
from oauthd.web.site import Access as AccessLog
from oauthd.web.site import Site
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

LONGEST_MEMORY = 400 * 86400
"""Seconds for which a deleted client is remembered at least: an access token may outlive any grant, and settings may
have let both live longer before."""

UNAVAILABLE: Mapping[type[Exception], ErrorKind] = {
    StoreUnavailable: TEMPORARILY_UNAVAILABLE,
    PoolFull: TEMPORARILY_UNAVAILABLE,
}
"""Failures of lower layers that are no bugs: the caller is told to come back."""


@frozen
class World:
    """What the parts are made with: settings, and all that comes from outside the process.

    :ivar cache: what is kept in memory of the store; it counts only while somebody proves that it is fresh.
    :ivar reactor: for what is to be done in the next turn.
    :ivar clock: wall-clock seconds.
    :ivar hashing: runs password hashes.
    :ivar signing: runs RSA signatures.
    :ivar counts: what this process counts.
    :ivar condition: what it knows of itself.
    """

    settings: Settings
    issuer: str
    store: IStore
    cache: Cache
    reactor: IReactorTime
    seals: Seals
    events: Events
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    hashing: InThread
    signing: InThread
    counts: Counts = field(factory=Counts)
    condition: Condition = field(factory=Condition)


class Application:
    """Every part of the server, made once; an attribute each, so that whoever needs one finds it by name."""

    def __init__(self, world: World) -> None:
        self.world = world
        # Browsers take Secure cookies from https and from loopback names.
        self.loopback = is_loopback(urlsplit(world.issuer).hostname or "")
        self.secure = world.issuer.startswith("https:") or self.loopback
        self._make_stores(world)
        self._make_makers(world)
        self.authentication = ClientAuthentication(
            self.clients,
            (ClientSecretBasic(self.clients), ClientSecretPost(self.clients)),
            NoProof(),
            world.events,
            world.clock,
            world.entropy(32),
        )
        self.bearer = Bearer(self.tokens, world.cache, world.issuer)
        self.administrator = Administrator(self.bearer, self.users)
        self.hints = IdTokenHint(self.keys, world.issuer)
        self.refresh, self.grants = self._grants(world)
        self.pages = Pages()
        self.session_cookie = Cookie.named("oauthd_session", self.secure)
        self.revoke = Revoke(self.authentication, self.tokens, world.events)
        self.endpoints: Mapping[str, Endpoint] = {
            **self._protocol_endpoints(world),
            **self._browser_endpoints(world),
            **self._pages(world),
            **self._admin(world),
        }

    def _make_stores(self, world: World) -> None:
        settings, store, seals = world.settings, world.store, world.seals
        clock, entropy, sessions = world.clock, world.entropy, settings.sessions
        longest = max(settings.tokens.refresh_absolute, LONGEST_MEMORY)
        self.clients = Clients(store, world.cache, seals, clock, entropy, settings.clients.secret_overlap, longest)
        self.users = Users(store, clock, entropy)
        self.scopes = ScopeCatalogue(store, world.cache)
        self.answers = Answers(store, world.cache, world.reactor, partial(active, issuer=world.issuer))
        self.tokens = Tokens(store, clock)
        self.consents = Consents(store, clock, sessions.consent_lifetime)
        self.sessions = Sessions(store, clock, entropy, sessions.idle, sessions.absolute)
        browser_cookie = Cookie.named("oauthd_browser", self.secure)
        self.interactions = Interactions(store, seals, browser_cookie, clock, entropy, sessions.interaction_lifetime)

    def _make_makers(self, world: World) -> None:
        """Keys, passwords and tokens."""
        settings, store, seals, events, clock = world.settings, world.store, world.seals, world.events, world.clock
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
        self.sign_in = SignIn(store, self.users, self.passwords, seals, events, clock, policy, world.entropy)
        self.guessing = Guessing(store, seals, settings.device, clock)
        self.minting = Minting(world.issuer, settings, self.keys, clock, world.entropy, world.signing)

    def _grants(self, world: World) -> tuple[Refresh, Mapping[str, GrantType]]:
        store, tokens, events, entropy = world.store, self.tokens, world.events, world.entropy
        lives = world.settings.tokens
        access, longest = lives.access_lifetime, lives.refresh_absolute
        refresh = Refresh(
            store, tokens, self.scopes, events, world.seals, lives.refresh_grace, lives.refresh_idle
        )
        found: tuple[GrantType, ...] = (
            AuthorizationCode(store, tokens, events, access),
            ClientCredentials(self.clients, self.scopes, entropy, longest),
            Password(store, self.clients, self.scopes, self.sign_in, entropy, longest, access),
            refresh,
            Device(store, tokens, access),
        )
        return refresh, {grant.grant_type: grant for grant in found}

    def _protocol_endpoints(self, world: World) -> dict[str, Endpoint]:
        settings, events, issuer = world.settings, world.events, world.issuer
        return {
            "token": Token(
                store=world.store,
                cache=world.cache,
                authentication=self.authentication,
                grants=self.grants,
                refresh=self.refresh,
                minting=self.minting,
                events=events,
                clock=world.clock,
                entropy=world.entropy,
            ),
            "introspect": Introspect(
                authentication=self.authentication,
                tokens=self.tokens,
                answers=self.answers,
                cache=world.cache,
                clock=world.clock,
                issuer=issuer,
                counts=world.counts.introspection,
            ),
            "revoke": self.revoke,
            "device_authorization": DeviceAuthorization(
                store=world.store,
                authentication=self.authentication,
                clients=self.clients,
                scopes=self.scopes,
                events=events,
                settings=settings.device,
                issuer=issuer,
                clock=world.clock,
                entropy=world.entropy,
            ),
            "userinfo": Userinfo(self.bearer, self.users, settings.userinfo),
            "register_client": RegisterClient(
                self.clients, self.administrator, events, settings.clients.registration, self.loopback
            ),
            "jwks": Jwks(self.keys),
            "metadata": Metadata(
                issuer=issuer,
                endpoints={member: _advertised(name) for member, name in MEMBERS.items()},
                grant_types=tuple(self.grants),
                methods=[method.method for method in self.authentication.methods],
                id_token_algorithms=jose.ALGORITHMS,
                acr_values=[PASSWORD],
            ),
            "health.live": Live(),
            "health.ready": Ready(world.condition, world.counts.proof),
        }

    def _browser_endpoints(self, world: World) -> dict[str, Endpoint]:
        return {
            "authorize": Authorize(
                store=world.store,
                clients=self.clients,
                users=self.users,
                scopes=self.scopes,
                sessions=self.sessions,
                interactions=self.interactions,
                consents=self.consents,
                hints=self.hints,
                events=world.events,
                settings=world.settings,
                issuer=world.issuer,
                path=_advertised("authorize"),
                session_cookie=self.session_cookie,
                clock=world.clock,
                entropy=world.entropy,
            ),
            "end_session": EndSession(
                self.clients, self.sessions, self.interactions, self.hints, world.events, self.session_cookie
            ),
        }

    def _pages(self, world: World) -> dict[str, Endpoint]:
        settings, events, authorize = world.settings, world.events, _advertised("authorize")
        browser = Browser(self.pages, self.users, self.sessions, self.interactions, self.session_cookie)
        known_cookie = Cookie.named("oauthd_known", self.secure)
        named = settings.userinfo.identity_with_openid
        return {
            "home": Home(browser, world.issuer),
            "login": Login(browser, self.clients, self.sign_in, authorize, known_cookie, world.clock),
            "consent": ConsentPage(browser, self.clients, self.scopes, self.consents, events, authorize, named),
            "device": DevicePage(
                browser, world.store, self.clients, self.scopes, self.guessing, events, settings, world.clock
            ),
            "logout": LogoutPage(browser, self.clients, events),
            "static": Static(self.pages),
        }

    def _admin(self, world: World) -> Mapping[str, Endpoint]:
        settings, events, issuer = world.settings, world.events, world.issuer
        owner_scopes = ("account", "read_write") if settings.userinfo.account_by_read_write else ("account",)
        access = Access(self.administrator, self.bearer, self.users, owner_scopes)
        rule = PasswordRule(settings.users.password_min_length, settings.users.password_max_length)
        knows = self.sign_in.knows_password
        resources = (
            ClientsResource(
                clients=self.clients,
                scopes=self.scopes,
                tokens=self.tokens,
                events=events,
                grant_types=tuple(self.grants),
                id_token_algorithms=jose.ALGORITHMS,
                issuer=issuer,
                machine_refresh=settings.clients.machine_refresh,
            ),
            UsersResource(self.users, self.tokens, self.passwords, events, rule),
            ProfileResource(self.users, self.tokens, self.passwords, events, rule, knows),
            ScopesResource(self.scopes, events),
            TokensResource(self.tokens, self.clients, self.users, events, access, self.revoke.end, self.revoke),
            KeysResource(self.keys, events),
        )
        places = [(path, route.endpoints) for route in ROUTES for path in route.paths]
        return admin.endpoints(resources, access, issuer, places)

    def site(
        self,
        settings: Settings,
        reactor: IReactorTime,
        access: AccessLog,
        asked: AccessLog | None = None,
        heard: AccessLog | None = None,
    ) -> Site:
        """The HTTP factory over all of it.

        :param access: told of each request on the ordinary path.
        :param asked: told of those that the fast lane answers after a look into the store; None for the same.
        :param heard: told of those that it answers from memory; None for nobody.
        """
        errors = Errors(ErrorPage(self.pages), UNAVAILABLE)
        sources = Sources(settings.server.trusted_proxies)
        shield = Shield(reactor, errors.unheard, settings.server.answer_timeout)
        edge = Edge(errors, sources, shield, access, reactor)
        limits, lane = _limits(settings), None
        if settings.cache.lane:
            lane = Lane(
                limits=limits,
                clock=self.world.clock,
                trusts=sources.trusts,
                asked=asked or access,
                readers=readers(reactor),
                heard=heard,
                counts=self.world.counts.lane,
            )
        return Site(build(ROUTES, self.endpoints, edge), shield, reactor, limits, access, lane)


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
