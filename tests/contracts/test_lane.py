"""The fast lane changes nothing: whatever is asked, in whatever order and framing, and whatever happens in between, a
server with it and one without it give the same bytes.

Two servers, each on a database of its own, live through the same random history. What is random in their answers (the
tokens, `jti`, the id of the user) is replaced by the order in which it first appeared, at its own length; the date is
blotted out. Nothing else is.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from itertools import pairwise
from random import Random
from typing import Any

from attrs import define, evolve, field
from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from oauthd import surface
from oauthd.metrics import LaneCounts
from oauthd.protocol.records import Scope
from oauthd.stores.connection import RedisConnection
from tests.server import PATIENCE, App, Counting, Person, Server, ServerCase
from tests.valkey import start_valkey
from tests.web.lane import INTROSPECT, TOKEN, Line, forget, json_of, listening, request, until

STEPS = 120
SEEDS = 5
OWNED = "https://api.example"
SECRETS = ("access_token", "refresh_token", "jti", "id_token")
CONFIDENTIAL = ("app", "machine", "owner", "api", "nosy")

Step = Callable[["Twin"], Awaitable[list[bytes]]]


@define(eq=False)
class Twin:
    """One of the two servers, and what was got from it.

    :ivar given: the tokens, in the order in which they came; `renewing` those of them that refresh.
    :ivar proven: does its memory count?
    """

    server: Server
    site: Any
    apps: dict[str, App] = field(factory=dict)
    person: Person | None = None
    given: list[str] = field(factory=list)
    renewing: list[str] = field(factory=list)
    lines: dict[int, Line] = field(factory=dict)
    names: dict[bytes, bytes] = field(factory=dict)
    proven: bool = True

    async def found(self) -> None:
        """Clients, a user, and their first tokens."""
        named: dict[str, dict[str, Any]] = {
            "app": {"scopes": ("openid", "read", "write"), "default_scopes": ("read",)},
            "machine": {"access_format": "opaque", "machine_refresh": True},
            "owner": {"resources": (OWNED,)},
            "api": {},
            "nosy": {"introspects": False},
        }
        for name, facts in named.items():
            self.apps[name] = await self.server.client(name, secret=f"the-secret-of-{name}-0123456789", **facts)
        self.apps["public"] = await self.server.client("public", public=True)
        self.person = await self.server.user()
        self.name(self.person.user_id.encode())
        for app, more in (("app", {}), ("public", {}), ("app", {"resource": OWNED})):
            self.keep(await self.server.signed_in(self.apps[app], self.person, **more))

    def name(self, secret: bytes) -> None:
        """From now on this is called by its number."""
        self.names.setdefault(secret, (b"<%d>" % len(self.names)).ljust(len(secret), b"."))

    def keep(self, told: dict[str, Any]) -> None:
        """Remember what an answer gave."""
        for key in SECRETS:
            if isinstance(told.get(key), str):
                self.name(told[key].encode())
        for key in ("access_token", "refresh_token"):
            if isinstance(told.get(key), str):
                self.given.append(told[key])
        if isinstance(told.get("refresh_token"), str):
            self.renewing.append(told["refresh_token"])

    def said(self, answer: bytes) -> bytes:
        """An answer without what is random in it."""
        body = json_of(answer)
        if body.startswith(b"{"):
            self.keep(json.loads(body))
        for secret, name in self.names.items():
            answer = answer.replace(secret, name)
        return answer

    async def talk(self, number: int, chunks: list[bytes], count: int) -> list[bytes]:
        """What comes for these packets on one of the connections; last, whether that goes on."""
        line = self.lines.get(number)
        if line is None:
            line = self.lines[number] = Line(self.site)
        line.say(*chunks)
        await until(lambda: len(line.answers) >= count or line.channel.refused or not line.transport.connected)
        found = [self.said(answer) for answer in await line.take(len(line.answers))]
        goes_on = line.transport.connected and not line.channel.refused
        if not goes_on:
            del self.lines[number]
        return [*found, b"goes on" if goes_on else b"ends"]

    def prove(self) -> None:
        """The subscription is well, unless it was lost."""
        if self.proven:
            self.server.application.world.cache.prove(self.server.clock.seconds())


@define
class History:
    """What happens next, by chance; the same for both."""

    random: Random

    def step(self) -> tuple[str, Step]:
        """A step and what it is called."""
        kinds = (self.asked, self.odd, self.changed, self.time)
        (kind,) = self.random.choices(kinds, (84, 8, 5, 3))
        return kind()

    # what is sent

    def asked(self) -> tuple[str, Step]:
        """One to four requests on a connection, in packets that care for no bounds."""
        random = self.random
        number, makers = random.randrange(3), [self.one() for _ in range(random.choice((*(1,) * 9, 2, 4)))]
        where = [random.random() for _ in range(random.choice((*(0,) * 12, 1, 2, 40)))]
        apart, times = random.random() < 0.2, random.choice((1, 3, 8))

        async def step(twin: Twin) -> list[bytes]:
            sent = [make(twin) for _, make in makers]
            chunks = sent if apart else pieces(b"".join(sent), where)
            found = []
            for _ in range(times):
                found += await twin.talk(number, chunks, len(sent))
            return found

        return f"{times} times on {number}: {', '.join(name for name, _ in makers)}", step

    def one(self) -> tuple[str, Callable[[Twin], bytes]]:
        """A request."""
        random = self.random
        return random.choice((self.introspection, self.introspection, self.introspection, self.issue, self.refresh))()

    def introspection(self) -> tuple[str, Callable[[Twin], bytes]]:
        """Somebody asks about something."""
        random = self.random
        target = random.choice((INTROSPECT, INTROSPECT, "/oauth/introspect"))
        caller, number = random.choice(("api", "api", "owner", "app", "nosy")), random.randrange(6) ** 2
        by_form, headers, form = random.random() < 0.3, self.headers(), random.choice(FORMS)
        wrong = random.random() < 0.05

        def make(twin: Twin) -> bytes:
            client_id, secret = twin.apps[caller].basic or ("", "")
            secret = secret[:-1] + "?" if wrong else secret
            token = twin.given[-1 - number % len(twin.given)]
            body = form % {"token": token, "first": f"%{ord(token[0]):02X}{token[1:]}"}
            if by_form:
                body += f"&client_id={client_id}&client_secret={secret}"
            return request(target, body.encode(), None if by_form else (client_id, secret), headers)

        return f"{caller} asks of {number} by {form}", make

    def issue(self) -> tuple[str, Callable[[Twin], bytes]]:
        """A machine wants a token."""
        random = self.random
        caller, headers = random.choice(("app", "machine", "machine", "api")), self.headers()
        target = random.choice((TOKEN, TOKEN, "/oauth/token", "/oauth/tokens"))
        asked = ("", "", "", "scope=read", "scope=nothing", f"resource={OWNED}", "scope=read&scope=read")
        said = [random.choice(asked), "grant_type=client_credentials"]
        random.shuffle(said)
        body = "&".join(filter(None, said))
        return f"{caller} wants {body}", lambda twin: request(target, body.encode(), twin.apps[caller], headers)

    def refresh(self) -> tuple[str, Callable[[Twin], bytes]]:
        """Somebody refreshes."""
        random = self.random
        caller, number, headers = random.choice(("app", "machine", "public")), random.randrange(4), self.headers()
        more = random.choice(("", "", "&scope=read", "&scope=write"))

        def make(twin: Twin) -> bytes:
            app = twin.apps[caller]
            named = "" if app.basic else f"&client_id={app.client_id}"
            token = twin.renewing[-1 - number % len(twin.renewing)]
            body = f"grant_type=refresh_token&refresh_token={token}{more}{named}"
            return request(TOKEN, body.encode(), app, headers)

        return f"{caller} refreshes {number}{more}", make

    def headers(self) -> list[tuple[str, str]]:
        """What else is in the head."""
        return self.random.choice(HEADERS)(self.random)

    def odd(self) -> tuple[str, Step]:
        """A request whose framing is odd, alone."""
        random = self.random
        oddity, where = random.choice(ODDITIES), [random.random() for _ in range(random.choice((0, 0, 1, 3)))]
        number = random.randrange(3)

        async def step(twin: Twin) -> list[bytes]:
            usual = request(INTROSPECT, {"token": twin.given[0]}, twin.apps["api"])
            return await twin.talk(number, pieces(oddity(usual), where), 1)

        return f"oddity {ODDITIES.index(oddity)} on {number}", step

    # what happens

    def changed(self) -> tuple[str, Step]:
        """Something is changed, or ended."""
        random = self.random
        change, name = random.choice(CHANGES), random.choice(CONFIDENTIAL)
        number = random.randrange(6)

        async def step(twin: Twin) -> list[bytes]:
            await change(twin, name, number)
            return []

        return f"{change.__name__} {name} {number}", step

    def time(self) -> tuple[str, Step]:
        """Time goes by, or the subscription is lost for a while."""
        random = self.random
        kind, seconds = random.choice(("goes by", "goes by", "lost")), random.choice((0.5, 1, 3, 31, 700))

        async def step(twin: Twin) -> list[bytes]:
            twin.proven = False
            forget(twin.server)
            return []

        async def by(twin: Twin) -> list[bytes]:
            if twin.site.lane is not None:  # one of the two turns the clock, which is that of both
                twin.server.clock.advance(seconds)
            return []

        return f"{kind} {seconds}", by if kind == "goes by" else step


FORMS = (
    *("token=%(token)s",) * 20,
    "token=%(token)s&token_type_hint=access_token",
    "token_type_hint=refresh_token&token=%(token)s",
    *("required_scope=read&token=%(token)s",) * 3,
    *("token=%(token)s&max_age=30&acr_values=urn:oauthd:pwd",) * 3,
    "token=%(first)s",
    "token=%(token)s&token=%(token)s",
    "token=%(token)sx",
    "token=",
    "nothing=%(token)s",
    "not_token=%(token)s&token=%(token)s",
    "token=%(token)s%%00",
    "token=%(token)s;",
    "token=+%(token)s",
    "&&token=%(token)s&",
    "token=" + "a" * 5000,
    "token=ort_%(token)s",
)

HEADERS: tuple[Callable[[Random], list[tuple[str, str]]], ...] = (
    *(lambda random: [],) * 20,
    *(lambda random: [("Traceparent", f"00-{random.random()}-01"), ("x-request-id", "1")],) * 3,
    lambda random: [("traceparent", f"00-{random.randrange(16**32):032x}-{random.randrange(16**16):016x}-01")],
    lambda random: [("X-Request-ID", str(random.random())), ("X-Forwarded-For", "203.0.113.9, 198.51.100.1")],
    lambda random: [("User-Agent", f"unique/{random.random()}")],
    *(lambda random: [("Connection", "keep-alive")],) * 5,
    lambda random: [("Connection", "close")],
    lambda random: [("Cookie", "a=b")],
    lambda random: [("DPoP", "no.such.proof")],
    lambda random: [("Expect", "the unexpected")],
    lambda random: [("Accept", "*/*"), ("Accept", "text/html")],
)


def pieces(data: bytes, where: list[float]) -> list[bytes]:
    """Cut at these places."""
    cuts = sorted({0, len(data), *(int(part * len(data)) for part in where)})
    return [data[start:end] for start, end in pairwise(cuts)]


def _in_head(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda usual: usual.replace(old, new, 1)


_LENGTH = b"Content-Length: "
ODDITIES: tuple[Callable[[bytes], bytes], ...] = (
    lambda usual: b"\r\n" + usual,
    lambda usual: b"\r\n\r\n" + usual,
    _in_head(_LENGTH, b"Content-Length: 0"),
    _in_head(_LENGTH, b"content-LENGTH:   "),
    _in_head(_LENGTH, b"Content-Length: +"),
    _in_head(_LENGTH, b"Content-Length: -"),
    _in_head(_LENGTH, b"Content-Length : "),
    _in_head(_LENGTH, b"Content-Length: 1\r\nContent-Length: "),
    _in_head(_LENGTH, b"Transfer-Encoding: chunked\r\nContent-Length: "),
    _in_head(_LENGTH, b"Transfer-Encoding: identity\r\nContent-Length: "),
    _in_head(b"\r\nHost", b"\nHost"),
    _in_head(b"\r\nContent-Type", b"\r\nX-Request-ID: a\r\n b\r\nContent-Type"),
    _in_head(b"\r\nContent-Type", b"\r\nX-Request-ID: a\x00b\r\nContent-Type"),
    _in_head(b"\r\nContent-Type", b"\r\nX-Request-ID: a\nX-Evil: b\r\nContent-Type"),
    _in_head(b"\r\nContent-Type", b"\r\ntraceparent\r\nContent-Type"),
    _in_head(b"\r\nContent-Type", b"\r\ntraceparent : x\r\nContent-Type"),
    _in_head(b"\r\nContent-Type", b"\r\ntraceparent: x\r\nTRACEPARENT:y\r\nContent-Type"),
    _in_head(b"Content-Type", b"CONTENT-type"),
    _in_head(b"POST ", b"post "),
    _in_head(b"POST ", b"GET "),
    _in_head(b"POST ", b"PUT "),
    _in_head(b"POST ", b"POST  "),
    _in_head(b"POST /", b"POST http://localhost:8000/"),
    _in_head(b"POST /", b"POST //"),
    _in_head(b"HTTP/1.1", b"HTTP/1.0"),
    _in_head(b"HTTP/1.1", b"HTTP/2.0"),
    _in_head(b"/oauth2/introspect", b"/oauth2/introspect?token=a"),
    _in_head(b"/oauth2/introspect", b"/oauth2/./introspect"),
    _in_head(b"urlencoded", b"urlencoded; charset=latin-1"),
)


async def deactivate(twin: Twin, name: str, number: int) -> None:
    """Deactivate a client, or activate it again."""
    await _update(twin, name, is_active=number > 0)


async def permission(twin: Twin, name: str, number: int) -> None:
    """Give or take the permission to introspect."""
    await _update(twin, name, introspects=number > 1 and name != "nosy")


async def resources(twin: Twin, name: str, number: int) -> None:
    """Give or take what a client owns."""
    await _update(twin, "owner", resources=(OWNED,) if number % 2 else ())


async def rotate(twin: Twin, name: str, number: int) -> None:
    """Another secret, which its holder may or may not know of."""
    found, secret = await twin.server.application.clients.rotate_secret(name, (0, 5, 60)[number % 3])
    if number < 5:
        twin.apps[name] = App(found, secret)


async def register_again(twin: Twin, name: str, number: int) -> None:
    """A client is deleted, and another one registered under its name."""
    await twin.server.application.clients.delete(name)
    facts = {"scopes": ("read",)} if number % 2 else {"machine_refresh": True, "introspects": name != "nosy"}
    twin.apps[name] = await twin.server.client(name, secret=f"another-secret-of-{name}-{number}-0123", **facts)


async def scope(twin: Twin, name: str, number: int) -> None:
    """A scope is deleted, or made again."""
    scopes = twin.server.application.scopes
    known = [one for one in (await scopes.all()).scopes if one.name == "write"]
    if known:
        await scopes.delete(known[0].scope_id)
    else:
        await scopes.create(Scope(0, "write", "May write"))


async def end_client(twin: Twin, name: str, number: int) -> None:
    """Every token of a client ends."""
    await twin.server.application.tokens.end_all_of_client(name)


async def end_user(twin: Twin, name: str, number: int) -> None:
    """Every token of the user ends."""
    assert twin.person is not None
    await twin.server.application.tokens.end_all_of_user(twin.person.user_id)


async def end_everything(twin: Twin, name: str, number: int) -> None:
    """Every token ends."""
    await twin.server.application.tokens.end_everything()


async def end_one(twin: Twin, name: str, number: int) -> None:
    """A token ends, or its grant."""
    await twin.server.application.revoke.end(twin.given[-1 - number % len(twin.given)], None)


async def again(twin: Twin, name: str, number: int) -> None:
    """The user signs in once more."""
    assert twin.person is not None
    app = await twin.server.application.clients.find("app")
    if app is not None and app.is_active:
        more = {"resource": OWNED} if number % 2 else {}
        if not more or OWNED in await twin.server.application.clients.resources():
            twin.keep(await twin.server.signed_in(twin.apps["app"], twin.person, **more))


async def _update(twin: Twin, name: str, **facts: Any) -> None:
    await twin.server.application.clients.update(name, lambda client: replace(client, **facts))


CHANGES = (
    *(deactivate, deactivate, permission, resources, rotate, end_client, end_user, end_everything),
    *(end_one, end_one, again, again, again, register_again, scope),
)



class LaneTests(ServerCase):
    """The same history, with the lane and without it."""

    async def prepare(self) -> None:
        """Two servers on one clock."""
        settings = self.server.settings
        connection = RedisConnection(reactor, path=start_valkey(), db=1)
        connection.start()
        self.addCleanup(lambda: ensureDeferred(connection.stop()))
        await connection.ready(PATIENCE)
        plain = evolve(settings, cache=evolve(settings.cache, lane=False))
        other = Server.node(connection, self.server.clock, Counting(), plain)
        await other._found()
        counts = self.server.application.world.counts.lane
        counts.hits = counts.inactive = counts.misses = counts.issued = 0
        self.twins = []
        for server in (self.server, other):
            listening(self, server)
            timers: Any = Clock()
            twin = Twin(server, surface.site(server.application, server.settings, timers, lambda *facts: None))
            await twin.found()
            self.twins.append(twin)

    async def live(self, seed: int) -> LaneCounts:
        """Live through one history."""
        history, past = History(Random(seed)), []
        for _ in range(STEPS):
            name, step = history.step()
            past.append(name)
            back = history.random.random() < 0.3
            for twin in self.twins:
                twin.proven = twin.proven or back
                twin.prove()
            with_lane, without = [await step(twin) for twin in self.twins]
            self.assertEqual(with_lane, without, f"seed {seed}, after {past[-20:]}")
        return self.server.application.world.counts.lane


def _lived(seed: int) -> Any:
    async def test(self: LaneTests) -> None:
        counts = await self.live(seed)
        for told in (counts.hits, counts.misses, counts.issued):
            self.assertGreater(told, 0)

    test.__doc__ = f"History {seed} is the same with the lane and without it."
    return test


for _seed in range(SEEDS):
    setattr(LaneTests, f"test_history_{_seed}", _lived(_seed))
