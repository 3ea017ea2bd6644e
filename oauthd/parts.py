"""The wiring, first part: what the endpoints are made of. Stores, keys, passwords, tokens and proofs.

A new client authentication method is a line here. `oauthd.app` makes the endpoints over these parts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from attrs import field, frozen
from twisted.internet.interfaces import IReactorTime

from oauthd.ciba import CibaRequests
from oauthd.config import Settings, key_retirement, token_policy
from oauthd.config.listeners import is_loopback
from oauthd.deliveries import Deliveries, Maker
from oauthd.endpoints.health import Condition
from oauthd.endpoints.token_reuse import TokenReuse
from oauthd.events import Events
from oauthd.fetcher import Fetcher, Outward, Posting
from oauthd.guessing import Guessing
from oauthd.keys import Keys
from oauthd.limits import Limits
from oauthd.metrics import Counts
from oauthd.minting import Minting
from oauthd.nested_jwt import NestedJwts
from oauthd.passwords import Passwords
from oauthd.proofs.administrator import Administrator
from oauthd.proofs.assertions import Assertions
from oauthd.proofs.authentication_request import AuthenticationRequests
from oauthd.proofs.bearer import Bearer
from oauthd.proofs.binding import Bindings
from oauthd.proofs.client_authentication import ClientAuthentication
from oauthd.proofs.client_keys import ClientKeys
from oauthd.proofs.client_secret_basic import ClientSecretBasic
from oauthd.proofs.client_secret_jwt import ClientSecretJwt
from oauthd.proofs.client_secret_post import ClientSecretPost
from oauthd.proofs.dpop import Proofs
from oauthd.proofs.id_token_hint import IdTokenHint
from oauthd.proofs.interface import Method
from oauthd.proofs.none import NoProof
from oauthd.proofs.private_key_jwt import PrivateKeyJwt
from oauthd.proofs.request_object import RequestObjects
from oauthd.proofs.self_signed_tls_client_auth import SelfSignedTlsClientAuth
from oauthd.proofs.tls_client_auth import TlsClientAuth
from oauthd.protocol import jose
from oauthd.protocol.authorization_details import DetailsTypes
from oauthd.protocol.client_documents import Hosts
from oauthd.protocol.cookies import Cookie
from oauthd.protocol.dpop import Nonces, Rules
from oauthd.protocol.introspection import active
from oauthd.protocol.lockout import Policy
from oauthd.protocol.opaque import new_identifier
from oauthd.protocol.profile import LATE, PROMPT
from oauthd.protocol.seals import Seals
from oauthd.sign_in import SignIn
from oauthd.sign_out import SORT as LOGOUT
from oauthd.sign_out import LogoutTokens, SignOut
from oauthd.stateless_tokens import StatelessTokens
from oauthd.stores.answers import Answers
from oauthd.stores.cache import Cache
from oauthd.stores.clients import Clients
from oauthd.stores.consents import Consents
from oauthd.stores.initial_access import InitialAccessTokens
from oauthd.stores.interface import IStore
from oauthd.stores.once import Once
from oauthd.stores.outbox import Outbox
from oauthd.stores.pushed_requests import PushedRequests
from oauthd.stores.resources import ResourceGenerations
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.sessions import Interactions, Sessions
from oauthd.stores.shares import Shares
from oauthd.stores.status_lists import StatusLists
from oauthd.stores.status_sweep import StatusSweep
from oauthd.stores.tokens import Tokens
from oauthd.stores.users import Users
from oauthd.subjects import Subjects
from oauthd.web.client_certificates import Certificates
from oauthd.web.routes import paths_of

InThread = Callable[..., Awaitable[Any]]

LONGEST_MEMORY = 400 * 86400
"""Seconds for which a deleted client is remembered at least: an access token may outlive any grant, and settings may
have let both live longer before."""


@frozen
class World:
    """What the parts are made with: settings, and all that comes from outside the process.

    :ivar cache: what is kept in memory of the store; it counts only while somebody proves that it is fresh.
    :ivar reactor: for what is to be done in the next turn.
    :ivar clock: wall-clock seconds.
    :ivar hashing: runs password hashes.
    :ivar signing: runs RSA signatures.
    :ivar agent: what documents of clients are fetched with; None: whatever calls public hosts.
    :ivar certificates: finds the certificates of callers.
    :ivar counts: what this process counts.
    :ivar condition: what it knows of itself.
    :ivar workers: how many processes of this node serve.
    :ivar shares: what they share of limits; None for one that is alone.
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
    agent: Any = None
    certificates: Certificates = Certificates()
    counts: Counts = field(factory=Counts)
    condition: Condition = field(factory=Condition)
    workers: int = 1
    shares: Shares | None = None


class Parts:
    """All that lies below the endpoints, made once; an attribute each, so that whoever needs one finds it by name."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bases = _bases(world)
        # Browsers take Secure cookies from https and from loopback names.
        self.loopback = is_loopback(urlsplit(world.issuer).hostname or "")
        self.secure = world.issuer.startswith("https:") or self.loopback
        self.limits = Limits(
            settings=world.settings.limits,
            workers=world.workers,
            clock=world.cache.monotonic,
            seals=world.seals,
            events=world.events,
            counts=world.counts.limits,
            shares=world.shares,
        )
        self._make_keys(world)
        self._make_stores(world)
        self._make_way_out(world)
        self._make_makers(world)
        self._make_proofs(world)
        self.deliveries = self._deliveries(world)
        self.sign_out = SignOut(world.store, self.sessions, self.clients, self.outbox, world.events, world.issuer)

    def _make_keys(self, world: World) -> None:
        """Keys, and what only they vouch for."""
        settings = world.settings
        self.keys = Keys(
            store=world.store,
            seals=world.seals,
            clock=world.clock,
            in_thread=world.signing,
            period=settings.keys.rotation_period,
            announce=settings.keys.announce,
            retirement=key_retirement(settings),
            algorithms=settings.keys.algorithms,
            encryption=settings.keys.encryption,
        )
        self.stateless = StatelessTokens(self.keys, world.seals, world.issuer, world.clock)

    def _make_stores(self, world: World) -> None:
        settings, store, seals = world.settings, world.store, world.seals
        clock, entropy, sessions = world.clock, world.entropy, settings.sessions
        longest = max(settings.tokens.refresh_absolute, LONGEST_MEMORY)
        self.clients = Clients(
            store=store,
            cache=world.cache,
            seals=seals,
            clock=clock,
            entropy=entropy,
            secret_overlap=settings.clients.secret_overlap,
            keep=longest,
            unused_after=settings.registration.unused_after,
            let_in=_let_in(settings),
        )
        self.initial_access = InitialAccessTokens(store, clock, entropy)
        self.users = Users(store, clock, entropy)
        self.scopes = ScopeCatalogue(store, world.cache)
        self.details = DetailsTypes.of(settings.authorization.details_types)
        write = partial(active, issuer=world.issuer)
        self.answers = Answers(store, world.cache, world.reactor, write, self.stateless.read)
        self.keys.changed.append(self.answers.keys_changed)
        self.once = Once(store)
        self.resources = ResourceGenerations(store, world.cache)
        self.statuses = StatusLists(
            store, clock, entropy, f"{world.issuer}{paths_of('status_list')[0].partition('<')[0]}"
        )
        self.status_sweep = StatusSweep(
            store, clock, world.reactor, new_identifier(entropy), settings.status_lists.ttl, world.counts.status_lists
        )
        self.tokens = Tokens(store, world.cache, clock, self.statuses, self.stateless.read)
        self.outbox = Outbox(store, seals, clock, entropy, settings.outbox)
        self.consents = Consents(store, clock, sessions.consent_lifetime)
        self.sessions = Sessions(store, clock, entropy, sessions.idle, sessions.absolute)
        flow = sessions.interaction_lifetime
        self.pushed = PushedRequests(store, seals, clock, entropy, settings.authorization.pushed_lifetime, flow)
        browser_cookie = Cookie.named("oauthd_browser", self.secure)
        self.interactions = Interactions(store, seals, browser_cookie, clock, entropy, flow, self.limits.room)

    def _make_way_out(self, world: World) -> None:
        """What fetches the documents of clients and tells them things, and what is read from them."""
        agent = world.agent or Outward(world.reactor, world.settings.fetch)
        self.fetcher = Fetcher(agent, world.reactor, world.settings.fetch, world.counts.fetches)
        self.posting = Posting(agent, world.reactor, world.settings.fetch)
        self.client_keys = ClientKeys(self.fetcher, world.cache.monotonic)

    def _make_makers(self, world: World) -> None:
        """Passwords and tokens."""
        settings, store, seals, events, clock = world.settings, world.store, world.seals, world.events, world.clock
        self.passwords = Passwords(_hasher(settings), world.hashing)
        policy = Policy(
            delayed_from=settings.users.lock_free_failures + 1,
            locked_from=settings.users.lock_after,
            lock=float(settings.users.lock_time),
        )
        self.sign_in = SignIn(store, self.users, self.passwords, seals, events, clock, policy, world.entropy)
        self.subjects = Subjects(store, seals, world.entropy)
        self.guessing = Guessing(store, seals, settings.device, clock)
        self.ciba = CibaRequests(
            store=store,
            clients=self.clients,
            scopes=self.scopes,
            details=self.details,
            seals=seals,
            outbox=self.outbox,
            events=events,
            settings=settings,
            clock=clock,
            entropy=world.entropy,
        )
        self.nested = NestedJwts(self.keys, self.client_keys.of, self.clients.open_secrets, world.signing)
        self.minting = Minting(
            issuer=world.issuer,
            settings=settings,
            keys=self.keys,
            clock=clock,
            entropy=world.entropy,
            nested=self.nested,
            users=self.users,
            subjects=self.subjects,
            statuses=self.statuses,
            stateless=self.stateless,
            policy=token_policy(settings),
        )
        self.reuse = TokenReuse(store, seals, self.answers, self.minting, clock)

    def _make_proofs(self, world: World) -> None:
        """How callers show who they are."""
        self.authentication = ClientAuthentication(
            self.clients,
            self._methods(world),
            world.events,
            world.clock,
            world.entropy(32),
            profile=world.settings.server.profile,
            limits=self.limits,
        )
        self.proofs = Proofs(self._proof_rules(world), self.once, world.clock)
        self.bindings = Bindings(self.proofs, profile=world.settings.server.profile)
        self.bearer = Bearer(self.tokens, world.cache, self.proofs, world.issuer)
        recent = world.settings.sessions.administrator_max_age
        self.administrator = Administrator(self.bearer, self.users, world.clock, recent)
        self.hints = IdTokenHint(self.keys, world.issuer, self.clients.open_secrets)
        self.request_objects = RequestObjects(
            keys=self.client_keys,
            fetcher=self.fetcher,
            secrets=self.clients.open_secrets,
            decrypt=self.keys.decrypt,
            once=self.once,
            issuer=world.issuer,
            clock=world.clock,
            leeway=_ahead(world.settings),
        )

        self.authentication_requests = AuthenticationRequests(
            keys=self.client_keys,
            once=self.once,
            issuer=world.issuer,
            clock=world.clock,
            leeway=_ahead(world.settings),
            signed=world.settings.authorization.signed_required,
            profile=world.settings.server.profile,
        )

    def _methods(self, world: World) -> tuple[Method, ...]:
        """The client authentication methods that are on."""
        settings = world.settings.authentication
        signatures = tuple(name for name in settings.algorithms if name in jose.ASYMMETRIC)
        hmacs = tuple(name for name in settings.algorithms if name in jose.HMAC)
        assertions = Assertions(
            bases=self.bases,
            token_paths=paths_of("token"),
            once=self.once,
            clock=world.clock,
            algorithms=settings.algorithms,
            leeway=world.settings.tokens.leeway,
            longest=settings.assertion_lifetime,
            profile=world.settings.server.profile,
        )
        found: tuple[Method, ...] = (
            ClientSecretBasic(self.clients),
            ClientSecretPost(self.clients),
            PrivateKeyJwt(assertions, signatures, self.client_keys),
            ClientSecretJwt(assertions, hmacs, self.clients),
            NoProof(),
            *self._methods_with_certificates(world),
        )
        return tuple(method for method in found if method.method not in settings.off)

    def _methods_with_certificates(self, world: World) -> tuple[Method, ...]:
        mtls = world.settings.mtls
        if not mtls.listen and mtls.proxy_header is None:
            return ()
        by_own = SelfSignedTlsClientAuth(self.client_keys)
        # RFC 8705 section 2.1: somebody must vouch for the names in a certificate
        return (TlsClientAuth(), by_own) if mtls.ca_file is not None or mtls.proxy_vouches else (by_own,)

    def _proof_rules(self, world: World) -> Rules:
        settings = world.settings.dpop
        return Rules(
            origins=self.bases,
            algorithms=settings.algorithms,
            lifetime=settings.proof_lifetime,
            ahead=_ahead(world.settings),
            nonce=settings.nonce,
            nonces=Nonces(partial(world.seals.digests, "dpop nonce"), settings.nonce_lifetime),
        )

    def _makers(self) -> Mapping[str, Maker]:
        """What clients are told, by the sort of the message."""
        world = self.world
        tokens = LogoutTokens(
            issuer=world.issuer,
            settings=world.settings,
            keys=self.keys,
            nested=self.nested,
            subjects=self.subjects,
            clock=world.clock,
            entropy=world.entropy,
        )
        return {LOGOUT: tokens}

    def _deliveries(self, world: World) -> Deliveries:
        settings = world.settings
        return Deliveries(
            outbox=self.outbox,
            clients=self.clients,
            posting=self.posting,
            makers=self._makers(),
            events=world.events,
            clock=world.clock,
            reactor=world.reactor,
            entropy=world.entropy,
            settings=settings.outbox,
            patience=2 * settings.fetch.timeout,
            counts=world.counts.outbox,
        )


def _ahead(settings: Settings) -> int:
    """Seconds by which the clocks of clients may differ from ours."""
    return min(max(settings.tokens.leeway, PROMPT), LATE)


def _let_in(settings: Settings) -> Callable[[str], bool]:
    """Which addresses may describe a client."""
    of = settings.client_documents
    if of.allow == "off":
        return lambda client_id: False
    return Hosts(of.hosts if of.allow == "listed" else None, of.denied).let_in


def _bases(world: World) -> tuple[str, ...]:
    """Where our endpoints are, as clients know them; the issuer first."""
    base = world.settings.mtls.base
    return (world.issuer,) if base is None or base == world.issuer else (world.issuer, base)


def _hasher(settings: Settings) -> PasswordHasher:
    users = settings.users
    return PasswordHasher(time_cost=users.hash_time, memory_cost=users.hash_memory, parallelism=users.hash_parallelism)
