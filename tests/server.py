"""The whole server in this process: the real `Application` and site on a real Valkey, with a clock that tests turn.

    class SomeTests(ServerCase):
        async def test_it(self) -> None:
            app = await self.server.client()
            alice = await self.server.user("alice")
            tokens = await self.server.signed_in(app, alice)
            self.server.clock.advance(1800)
            self.assertEqual(await self.server.introspect(tokens["access_token"]), {"active": False})

Time stands still unless a test advances it. Random numbers are counted, so each run is the same. Argon2 runs at its
cheapest. What takes long is done once in a process for each set of settings: signing keys, routes, templates; a test
gets an empty database, in which only what a founded store holds is restored, and a connection of its own. After each
test the database is looked through for keys that would stay for ever.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from attrs import field, frozen, mutable
from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface import implementer

import oauthd.app
from oauthd import surface
from oauthd.app import Application
from oauthd.config import Settings, UserSettings
from oauthd.events import Event, Events
from oauthd.pages.rendering import Pages
from oauthd.parts import World
from oauthd.protocol import jose
from oauthd.protocol.pkce import challenge_of
from oauthd.protocol.records import Client, Scope, User
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds, naming
from oauthd.stores.cache import Cache
from oauthd.stores.connection import RedisConnection
from oauthd.stores.interface import Claims, Commit, IStore, Page, Ref, Stored, StoreUnavailable, Write
from oauthd.stores.redis import RedisStore
from oauthd.stores.scopes import FIRST
from oauthd.web.client_certificates import Certificates, ProxyHeader
from tests.valkey import fresh_database
from tests.wire import HERE, Answer, Form, Http, Pairs

ISSUER = "http://localhost:8000"
NOW = 1_800_000_000.25  # where the clock begins; the database's own is somewhere else
PATIENCE = 20.0  # seconds for a connection, on a machine that has other things to do
REDIRECT = "https://app.example/cb"
PASSWORD = "correct horse battery"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
GRANTS = ("authorization_code", "refresh_token", "client_credentials", DEVICE_GRANT)
CHEAP = UserSettings(hash_memory=7168, hash_time=1, hash_parallelism=1)

vars(oauthd.app)["Pages"] = functools.cache(Pages)  # compiling templates takes long


class Counting:
    """Random octets that are none: a hash of how often they were asked for."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Count from the beginning again."""
        self._calls = itertools.count()

    def __call__(self, count: int) -> bytes:
        """That many octets, never the same (of eight or more) twice."""
        seed = b"%d" % next(self._calls)
        return hashlib.shake_256(seed).digest(count)


class Here:
    """Stands for the thread pools: runs work at once, and remembers keys, which take long to make and to load."""

    _made: dict[tuple[str, int], jose.KeyPair] = {}
    _loaded: dict[tuple[Any, ...], Any] = {}

    def __init__(self) -> None:
        self._generated: dict[str, int] = {}

    async def __call__(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """The outcome of the work."""
        if work is jose.generate:
            return self._key(*arguments)
        if getattr(work, "__module__", "") == "oauthd.sealed_keys":
            if (work, *arguments) not in self._loaded:
                self._loaded[(work, *arguments)] = work(*arguments)
            return self._loaded[(work, *arguments)]
        return work(*arguments)

    def _key(self, algorithm: str) -> jose.KeyPair:
        number = self._generated[algorithm] = self._generated.get(algorithm, 0) + 1
        if (algorithm, number) not in self._made:
            self._made[algorithm, number] = jose.generate(algorithm)
        return self._made[algorithm, number]


@implementer(IStore)
class Watched:
    """A store that can lose a commit, before it is carried out or after.

    :ivar crash_before: how many commits from now on never reach the database.
    :ivar crash_after: how many are carried out, but their reply is lost.
    """

    def __init__(self, connection: RedisConnection, clock: Clock) -> None:
        self._clock = clock
        self.use(connection)

    def use(self, connection: RedisConnection) -> None:
        """Go on with another connection."""
        self._store = RedisStore(connection, self._clock.seconds)
        self.crash_before = 0
        self.crash_after = 0

    async def listed(self) -> None:
        """Wait for what is still to be written of lists."""
        await self._store.indexes.written()

    async def get(self, *refs: Ref[Any]) -> tuple[Stored[Any] | None, ...]:
        """Read."""
        return await self._store.get(*refs)

    async def records(self, kind: Any, idents: Any) -> Any:
        """Read records of one kind."""
        return await self._store.records(kind, idents)

    async def get_with_generations(self, refs: Any, subjects: Any) -> Any:
        """Read records and generations."""
        return await self._store.get_with_generations(refs, subjects)

    async def present(self, refs: Any) -> Any:
        """See which records stand."""
        return await self._store.present(refs)

    async def put(self, *writes: Write[Any]) -> None:
        """Write."""
        await self._store.put(*writes)

    async def forget(self, *refs: Ref[Any]) -> None:
        """Remove."""
        await self._store.forget(*refs)

    async def bury(self, *writes: Write[Any]) -> None:
        """Write the end of something."""
        await self._store.bury(*writes)

    async def scan(self, index: str, cursor: str | None = None, limit: int = 100) -> Page[Any]:
        """List."""
        return await self._store.scan(index, cursor, limit)

    async def commit(self, commit: Commit) -> bool:
        """Commit, unless it is to be lost."""
        (done,) = await self.commits((commit,))
        return done

    async def commits(self, commits: Sequence[Commit]) -> list[bool]:
        """Commit several, unless one of them is to be lost: then all are."""
        if self.crash_before:
            self.crash_before -= 1
            raise StoreUnavailable("lost before")
        done = await self._store.commits(commits)
        if self.crash_after:
            self.crash_after -= 1
            raise StoreUnavailable("lost after")
        return done

    async def count(self, index: str) -> int:
        """How long a list is."""
        return await self._store.count(index)

    async def enqueue(self, due: float, *writes: Write[Any]) -> None:
        """Queue."""
        await self._store.enqueue(due, *writes)

    async def claim(self, slot: str, until: float, most: int) -> Claims:
        """Take what is due."""
        return await self._store.claim(slot, until, most)

    async def requeue(self, write: Write[Any], held: float, due: float | None) -> bool:
        """Queue again."""
        return await self._store.requeue(write, held, due)

    async def dequeue(self, ref: Ref[Any]) -> None:
        """Take out of the queue."""
        await self._store.dequeue(ref)

    async def next_number(self, name: str) -> int:
        """Count."""
        return await self._store.next_number(name)

    async def generations(self, client_id: str, user_id: str = "") -> Any:
        """Today's generations."""
        return await self._store.generations(client_id, user_id)

    async def begin(self, subject: str) -> int:
        """Begin a generation."""
        return await self._store.begin(subject)

    async def confirm(self) -> None:
        """Confirm what was ended."""
        await self._store.confirm()

    async def raise_generation(self, subject: str) -> int:
        """Raise a generation."""
        return await self._store.raise_generation(subject)

    async def end(self, subject: str, keep: int) -> None:
        """End a generation."""
        await self._store.end(subject, keep)


@frozen
class App:
    """A registered client and its secret."""

    record: Client
    secret: str

    @property
    def client_id(self) -> str:
        """Its id."""
        return self.record.client_id

    @property
    def basic(self) -> tuple[str, str] | None:
        """What it authenticates with; None for a public one."""
        return (self.client_id, self.secret) if self.secret else None

    @property
    def redirect_uri(self) -> str:
        """Its first redirect URI."""
        return self.record.redirect_uris[0]


@frozen
class Person:
    """A user and the password."""

    record: User
    password: str = PASSWORD

    @property
    def user_id(self) -> str:
        """The `sub`."""
        return self.record.user_id

    @property
    def username(self) -> str:
        """The name."""
        return self.record.username


@mutable(eq=False)
class Browser:
    """A browser: keeps cookies, follows redirects on this server, sends forms."""

    server: Server
    cookies: dict[str, str] = field(factory=dict)
    source: str = HERE

    async def get(self, target: str, query: Pairs = (), **more: Any) -> Answer:
        """GET without following."""
        return await self._send("GET", target, query=query, **more)

    async def post(self, target: str, form: Pairs, **more: Any) -> Answer:
        """POST a form without following."""
        return await self._send("POST", target, form=form, **more)

    async def open(self, target: str, query: Pairs = ()) -> Answer:
        """GET, and follow redirects as long as they stay here."""
        return await self.follow(await self.get(target, query))

    async def follow(self, answer: Answer) -> Answer:
        """Follow redirects as long as they stay here."""
        for _ in range(10):
            if answer.status != 303 or not answer.location.startswith("/"):
                return answer
            answer = await self.get(answer.location)
        raise AssertionError("redirects go round in circles")

    async def submit(self, page: Answer, decision: str, **fields: str) -> Answer:
        """Press the button of that decision, and follow."""
        return await self.follow(await self.press(page, decision, **fields))

    async def press(self, page: Answer, decision: str, **fields: str) -> Answer:
        """Press the button of that decision ("" where there is none)."""
        form = form_of(page, decision)
        pressed = {"decision": decision} if decision else {}
        return await self.post(form.action, form.fields | fields | pressed)

    async def sign_in(self, page: Answer, person: Person) -> Answer:
        """Fill in the sign-in page, and follow."""
        return await self.submit(page, "login", login=person.username, password=person.password)

    async def finish(self, answer: Answer, person: Person) -> Answer:
        """Go through all pages, agreeing, until the answer leads away from here."""
        answer = await self.follow(answer)
        for _ in range(5):
            if answer.status != 200:
                return answer
            if "password" in form_of(answer).fields:
                answer = await self.sign_in(answer, person)
            else:
                answer = await self.submit(answer, "allow")
        raise AssertionError("the pages have no end")

    async def _send(self, method: str, target: str, **more: Any) -> Answer:
        sent = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = [*more.pop("headers", ()), *([("Cookie", sent)] if sent else [])]
        answer = await self.server.http.request(method, target, headers=headers, source=self.source, **more)
        self.cookies |= answer.cookies
        self.cookies = {name: value for name, value in self.cookies.items() if value}
        return answer


def form_of(page: Answer, decision: str = "") -> Form:
    """The form of a page that has this button."""
    for form in page.forms:
        if not decision or decision in form.decisions:
            return form
    raise AssertionError(f"the page (status {page.status}) has no such form")


@mutable(eq=False)
class Server:
    """One server, its clock and its database."""

    settings: Settings
    connection: RedisConnection
    clock: Clock
    entropy: Counting
    store: Watched
    application: Application
    events: list[Event]
    http: Http

    @classmethod
    async def start(cls, settings: Settings | None = None, **sections: Any) -> Server:
        """Start on a founded and otherwise empty database; `sections` are sections of the settings."""
        connection = RedisConnection(reactor, path=fresh_database())
        connection.start()
        await connection.ready(PATIENCE)
        settings = settings or Settings(**{"users": CHEAP, **sections})
        known = _founded.get(settings)
        if known is not None:
            server, dump = known
            await server._restart(connection, dump)
            return server
        server = cls.node(connection, _clock(), Counting(), settings)
        await server._found()
        _founded[settings] = server, await server.dump()
        return server

    async def _found(self) -> None:
        await self.application.keys.open()
        await self.application.subjects.open()
        await self.store.put(Write(kinds.SCOPES.at("all"), FIRST))
        await self.store.begin("world")
        for name in ("read", "write", "read_write"):
            await self.application.scopes.create(Scope(0, name, f"May {name}"))

    async def _restart(self, connection: RedisConnection, dump: dict[bytes, bytes]) -> None:
        """Begin anew with what a founded store holds."""
        self.connection = connection
        self.store.use(connection)
        self.clock.rightNow = NOW
        self.entropy.restart()
        self.application.statuses.give_up()
        self.events.clear()
        for buckets in self.application.limits._tables.values():
            buckets._named.clear()
        self.application.limits._told.clear()
        await connection.call(*(("RESTORE", key, 0, value) for key, value in dump.items()))
        await self.application.keys.refresh()

    @classmethod
    def node(
        cls, connection: RedisConnection, clock: Clock, entropy: Counting, settings: Settings
    ) -> Server:
        """A server on a store that others may use, too."""
        store = Watched(connection, clock)
        seen: list[Event] = []
        world = World(
            settings=settings,
            issuer=ISSUER,
            store=store,
            cache=Cache(clock.seconds, clock.seconds),
            reactor=reactor,
            seals=Seals((bytes(range(32)),), entropy),
            events=Events([seen.append]),
            clock=clock.seconds,
            entropy=entropy,
            hashing=Here(),
            signing=Here(),
            certificates=Certificates(header=_proxy_header(settings)),
        )
        application = Application(world)
        site = surface.site(application, settings, Clock(), lambda *facts: None)
        return cls(settings, connection, clock, entropy, store, application, seen, Http(site))

    def sibling(self) -> Server:
        """Another node on the same store; it must open its keys before it signs."""
        return self.node(self.connection, self.clock, self.entropy, self.settings)

    async def stop(self) -> None:
        """Close the connection."""
        await self.connection.stop()

    # What exists

    async def client(self, name: str = "app", *, public: bool = False, secret: str | None = None, **fields: Any) -> App:
        """Register a client; its id is its name."""
        grants = [grant for grant in GRANTS if not (public and grant == "client_credentials")]
        facts: dict[str, Any] = {
            "client_id": name,
            "number": 0,
            "name": name.title(),
            "client_type": "public" if public else "confidential",
            "created_at": 0,
            "updated_at": 0,
            "redirect_uris": (REDIRECT,),
            "grant_types": tuple(grants),
        }
        record, given = await self.application.clients.register(Client(**(facts | fields)), secret)
        return App(record, given or "")

    async def user(self, username: str = "alice", password: str = PASSWORD, **fields: Any) -> Person:
        """Create a user."""
        facts: dict[str, Any] = {"username": username, "user_id": "", "created_at": 0, "updated_at": 0}
        hashed = await self.application.passwords.hash(password)
        claims = {"email": "alice@example.com", "email_verified": True, "name": "Alice Example"}
        facts |= {"claims": claims, "password": hashed} | fields
        made = await self.application.users.create(User(**facts))
        return Person(made, password)

    def browser(self, source: str = HERE) -> Browser:
        """A new browser without cookies."""
        return Browser(self, source=source)

    # What clients do

    async def get(self, target: str, query: Pairs = (), **more: Any) -> Answer:
        """GET."""
        return await self.http.request("GET", target, query=query, **more)

    async def post(
        self, target: str, form: Pairs, *, basic: tuple[str, str] | None = None, bearer: str = "", **more: Any
    ) -> Answer:
        """POST a form."""
        return await self.http.request("POST", target, form=form, basic_auth=basic, bearer=bearer, **more)

    async def token(self, app: App, grant_type: str, **form: str) -> Answer:
        """A token request by a client that authenticates as it should."""
        named = {} if app.basic else {"client_id": app.client_id}
        return await self.post("/oauth2/token", {"grant_type": grant_type, **named, **form}, basic=app.basic)

    def asking(self, app: App, **parameters: str | None) -> dict[str, str]:
        """The parameters of an authorization request; PKCE for a public client; None leaves one out."""
        usual: dict[str, str | None] = {
            "response_type": "code",
            "client_id": app.client_id,
            "redirect_uri": app.redirect_uri,
            "scope": "openid",
            "state": "st&te",
        }
        if not app.secret:
            usual |= {"code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}
        return {name: value for name, value in (usual | parameters).items() if value is not None}

    async def authorize(
        self, app: App, person: Person, browser: Browser | None = None, **parameters: str | None
    ) -> dict[str, str]:
        """Go through sign-in and consent; the parameters of the redirect to the client."""
        browser = browser or self.browser()
        answer = await browser.finish(await browser.get("/oauth2/authorize", self.asking(app, **parameters)), person)
        if not answer.location.startswith(parameters.get("redirect_uri") or app.redirect_uri):
            raise AssertionError(f"no redirect to the client but {answer.status} {answer.location}")
        return answer.redirected

    async def code(self, app: App, person: Person, **more: Any) -> str:
        """An authorization code."""
        return (await self.authorize(app, person, **more))["code"]

    async def redeem(self, app: App, code: str, **more: str | None) -> Answer:
        """Redeem a code; None leaves a parameter out."""
        usual: dict[str, str | None] = {"code": code, "redirect_uri": app.redirect_uri}
        if not app.secret:
            usual["code_verifier"] = VERIFIER
        form = {name: value for name, value in (usual | more).items() if value is not None}
        return await self.token(app, "authorization_code", **form)

    async def signed_in(self, app: App, person: Person, **more: Any) -> dict[str, Any]:
        """The token answer of a whole authorization code flow."""
        return ok(await self.redeem(app, await self.code(app, person, **more)))

    async def refresh(self, app: App, refresh_token: str, **form: str) -> Answer:
        """Use a refresh token."""
        return await self.token(app, "refresh_token", refresh_token=refresh_token, **form)

    async def introspect(self, token: str, caller: App | None = None) -> dict[str, Any]:
        """What a resource server is told of a token; without `caller` one is registered for it."""
        if caller is None:
            found = await self.application.clients.find("resource-server")
            caller = App(found, RS_SECRET) if found else await self.client("resource-server", secret=RS_SECRET)
        return ok(await self.post("/oauth2/introspect", {"token": token}, basic=caller.basic))

    async def active(self, token: str, caller: App | None = None) -> bool:
        """Is the token alive?"""
        return bool((await self.introspect(token, caller))["active"])

    async def userinfo(self, token: str) -> Answer:
        """Ask the userinfo endpoint."""
        return await self.get("/oauth2/userinfo", bearer=token)

    # What the database holds

    async def keys(self) -> list[bytes]:
        """Every key, the lists that nobody waited for among them."""
        await self.store.listed()
        (found,) = await self.connection.call(("KEYS", "*"))
        return list(found)

    async def dump(self) -> dict[bytes, bytes]:
        """Every key with its value, as DUMP shows it."""
        names = await self.keys()
        values = await self.connection.call(*(("DUMP", name) for name in names)) if names else []
        return dict(zip(names, values, strict=True))

    async def everlasting(self) -> list[bytes]:
        """The keys without a time to live, save those of the lasting kinds."""
        names = [name for name in await self.keys() if not _lasting(name)]
        left = await self.connection.call(*(("TTL", name) for name in names)) if names else []
        return [name for name, seconds in zip(names, left, strict=True) if int(seconds) == -1]  # -2: gone

    def told(self, name: str) -> list[dict[str, Any]]:
        """The facts of the events of that name."""
        return [dict(event.facts) for event in self.events if event.name == name]


_founded: dict[Settings, tuple[Server, dict[bytes, bytes]]] = {}


def _proxy_header(settings: Settings) -> ProxyHeader | None:
    mtls = settings.mtls
    return ProxyHeader(mtls.proxy_header.lower(), mtls.proxy_form, mtls.proxy_vouches) if mtls.proxy_header else None


def _clock() -> Clock:
    clock = Clock()
    clock.advance(NOW)
    return clock


RS_SECRET = "the-secret-of-the-resource-server-0123456789"


class ServerCase(TestCase):
    """Tests against a server of their own.

    :cvar sections: sections of the settings that differ from the defaults.
    """

    sections: dict[str, Any] = {}

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Start."""
        self.server = await Server.start(**self.sections)
        self.addCleanup(lambda: ensureDeferred(self._end()))
        await self.prepare()

    async def prepare(self) -> None:
        """What the tests of a case begin with."""

    async def _end(self) -> None:
        try:
            self.assertEqual(await self.server.everlasting(), [], "what ends must not stay in the database for ever")
        finally:
            await self.server.stop()

    def overtaken_by(self, happening: Callable[[], Awaitable[Any]]) -> None:
        """Let something happen once, between the look of the next request and its atomic step."""
        commit = self.server.store.commit

        async def first(step: Commit) -> bool:
            patched.restore()
            await happening()
            return await commit(step)

        patched = self.patch(self.server.store, "commit", first)

    def refused(self, answer: Answer, error: str, status: int = 400) -> None:
        """The answer is this error, in the form that all have."""
        self.assertEqual((answer.status, answer.error), (status, error), answer.body)
        told = answer.json()
        self.assertEqual(told["detail"], told["error_description"])
        self.assertEqual(answer.header("cache-control"), "no-store")

    def refused_page(self, answer: Answer, status: int = 400) -> None:
        """The answer is an error page: nobody is redirected."""
        self.assertEqual((answer.status, answer.location), (status, ""), answer.body[:400])
        self.assertIn("text/html", answer.header("content-type"))

    def refused_by_redirect(self, told: dict[str, str], error: str, state: str = "st&te") -> None:
        """The client is told of this error by redirect, with its state and our name."""
        self.assertEqual((told["error"], told.get("state"), told["iss"]), (error, state or None, ISSUER), told)
        self.assertRegex(told["error_description"], r"\A[\x20-\x21\x23-\x5b\x5d-\x7e]+\Z")  # RFC 6749 section 4.1.2.1
        self.assertNotIn("code", told)


def ok(answer: Answer) -> dict[str, Any]:
    """The JSON of an answer that must be 200."""
    if answer.status != 200:
        raise AssertionError(f"{answer.status} {answer.body!r}")
    found: dict[str, Any] = answer.json()
    return found


async def together(awaitables: Iterable[Awaitable[Any]]) -> list[Any]:
    """The outcomes of things that happen at once."""
    running: list[Deferred[Any]] = [Deferred.fromCoroutine(_awaited(one)) for one in awaitables]
    return list(await gatherResults(running, consumeErrors=True))


async def _awaited(one: Awaitable[Any]) -> Any:
    return await one


def with_fields(app: App, **fields: Any) -> App:
    """The same application in the eyes of a test, with another record."""
    return App(replace(app.record, **fields), app.secret)


_LASTING = tuple(kind.name.encode() for kind in kinds.KINDS if kind.lasting)


def _lasting(key: bytes) -> bool:
    """Is it a key of what has no end: clients, users, scopes, keys, their lists, generations and numbers?"""
    head = key.split(b":")[0]
    return (
        head in (*_LASTING, b"gen", b"sequence")
        or key in (*map(naming.index, ("clients", kinds.REGISTERED, kinds.DESCRIBED, "users")), naming.WORLD)
    )
