"""Who may ask how often: clients, callers of introspection, sources, and what is left unfinished."""

from __future__ import annotations

import contextlib
from typing import Any

from oauthd.config import LimitSettings
from oauthd.limits import LimitedLesson, Limits
from oauthd.metrics import LimitCounts
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.messages import Response
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.shares import Memory, Settled, Shares, Spent
from tests.server import App, ServerCase
from tests.web.lane import INTROSPECT, TOKEN, LaneCase, request, status
from tests.wire import Answer

AWAY = "203.0.113.7"
NEAR = "203.0.113.8"
STRICT = LimitSettings(
    client_rate=1, client_burst=5, caller_rate=1, caller_burst=4, source_rate=1, source_burst=6, unfinished=6
)


class LimitCase(ServerCase):
    """A server with limits that are soon met."""

    sections = {"limits": STRICT}

    @property
    def limits(self) -> Limits:
        """Those of the server."""
        return self.server.application.limits

    async def machine(self, app: App, source: str = AWAY, **headers: str) -> Answer:
        """A token request of a client for itself."""
        form = {"grant_type": "client_credentials"}
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return await self.server.post("/oauth2/token", form, basic=app.basic, source=source, headers=named)

    def too_often(self, answer: Answer, seconds: int = 1) -> None:
        """It was too often."""
        self.assertEqual((answer.status, answer.json()["error"]), (429, "too_many_requests"), answer.body)
        self.assertEqual(answer.header("retry-after"), str(seconds))
        self.assertEqual(answer.header("cache-control"), "no-store")


class ClientTests(LimitCase):
    """Clients that authenticate."""

    async def test_burst_and_rate(self) -> None:
        """After its burst a client is told to come back, and gets one as soon as it was told."""
        app = await self.server.client("app")
        self.assertEqual([(await self.machine(app)).status for _ in range(5)], [200] * 5)
        self.too_often(await self.machine(app))
        self.server.clock.advance(1)
        self.assertEqual((await self.machine(app)).status, 200)
        self.too_often(await self.machine(app))

    async def test_each_its_own(self) -> None:
        """Another client is not held up, from the same address either: proofs of one's own count for nobody else."""
        for name in ("first", "second", "third"):
            app = await self.server.client(name)
            self.assertEqual([(await self.machine(app)).status for _ in range(6)], [200] * 5 + [429])

    async def test_all_endpoints_together(self) -> None:
        """Revocations, pushed requests and devices count as token requests do."""
        app = await self.server.client("app")
        for _ in range(2):
            await self.server.post("/oauth2/revoke", {"token": "x"}, basic=app.basic, source=AWAY)
            await self.server.post("/oauth2/device_authorize", {}, basic=app.basic, source=AWAY)
        await self.server.post("/oauth2/par", {}, basic=app.basic, source=AWAY)
        self.too_often(await self.server.post("/oauth2/revoke", {"token": "x"}, basic=app.basic, source=AWAY))

    async def test_nobody_uses_up_anothers(self) -> None:
        """Requests that name a client and prove nothing cost it nothing."""
        app = await self.server.client("app")
        for _ in range(5):
            answer = await self.server.post(
                "/oauth2/token", {"grant_type": "client_credentials"}, basic=("app", "wrong"), source=NEAR
            )
            self.assertEqual(answer.status, 401)
        self.assertEqual((await self.machine(app)).status, 200)

    async def test_public_clients(self) -> None:
        """Anybody can name a public client: from one address it is soon too often, from another one it is not."""
        app = await self.server.client("phone", public=True)
        form = {"grant_type": "refresh_token", "client_id": app.client_id, "refresh_token": "none"}
        tried = [(await self.server.post("/oauth2/token", form, source=AWAY)).status for _ in range(6)]
        self.assertEqual(tried, [400] * 5 + [429])
        self.assertEqual((await self.server.post("/oauth2/token", form, source=NEAR)).status, 400)

    async def test_told_once(self) -> None:
        """The event comes once a minute, the counts each time."""
        app = await self.server.client("app")
        counts = self.limits.counts.limited["client"]
        for _ in range(15):
            await self.machine(app)
        self.assertEqual(self.server.told("limited"), [{"scope": "client", "client_id": "app"}])
        self.assertEqual(self.limits.counts.limited["client"] - counts, 10)
        self.assertGreaterEqual(self.limits.counts.clients["app"], 10)
        self.server.clock.advance(61)
        for _ in range(6):
            await self.machine(app)
        self.assertEqual(len(self.server.told("limited")), 2)

    async def test_off(self) -> None:
        """With a rate of 0 there is no limit, and lessons are as they were."""
        limits = Limits(
            LimitSettings(client_rate=0, source_rate=0), 1, self.limits.clock, self.limits.seals,
            self.limits.events, LimitCounts(),
        )  # fmt: skip
        app = await self.server.client("app")
        connection: Any = type("Connection", (), {"local": False, "source": AWAY})()
        for _ in range(30):
            self.assertIsNone(limits.authenticated(app.record, connection))
            self.assertIsNone(limits.authenticated(app.record, connection, "caller"))


class CallerTests(LimitCase):
    """Callers of introspection."""

    async def ask(self, app: App) -> Answer:
        """Introspect something."""
        return await self.server.post("/oauth2/introspect", {"token": "x"}, basic=app.basic, source=AWAY)

    async def test_apart(self) -> None:
        """Introspection has a limit of its own: neither uses up the other's."""
        app = await self.server.client("api")
        self.assertEqual([(await self.ask(app)).status for _ in range(4)], [200] * 4)
        self.too_often(await self.ask(app))
        self.assertEqual((await self.machine(app)).status, 200)

    async def test_cost(self) -> None:
        """What costs more than is left is refused, and nothing of it is taken."""
        app = await self.server.client("api")
        caller = self.limits.authenticated(app.record, _from(AWAY), "caller")
        assert caller is not None
        caller.spend(2)
        with self.assertRaisesRegex(Exception, "too many tokens"):
            caller.spend(3)
        caller.spend(1)

    async def test_batch_beyond_the_burst(self) -> None:
        """A batch of more tokens than may be asked for at once is answered by a full bucket, and leaves a debt."""
        app = await self.server.client("api")

        async def ask() -> Answer:
            return await self.server.http.request(
                "POST", "/oauth2/introspect/batch", json_body={"tokens": list("abcdef")}, basic_auth=app.basic
            )

        self.assertEqual((await ask()).status, 200)
        for _ in range(2):  # until nothing is owed, and until the bucket is full
            self.too_often(await ask(), 3)
            self.server.clock.advance(3)
        self.assertEqual((await ask()).status, 200)


def _from(source: str) -> Any:
    return type("Connection", (), {"local": False, "source": source})()


class SourceTests(LimitCase):
    """Addresses."""

    async def test_strangers(self) -> None:
        """Whoever proves nothing is counted by where it comes from, at all endpoints together."""
        for path in ("/oauth2/jwks", "/oauth2/userinfo", "/login") * 2:
            self.assertNotEqual((await self.server.get(path, source=AWAY)).status, 429)
        self.too_often(await self.server.get("/oauth2/jwks", source=AWAY))
        self.assertEqual((await self.server.get("/oauth2/jwks", source=NEAR)).status, 200)

    async def test_pages(self) -> None:
        """A person gets a page that says so."""
        for _ in range(7):
            answer = await self.server.get("/device", source=AWAY)
        self.assertEqual((answer.status, answer.header("retry-after")), (429, "1"))
        self.assertIn("text/html", answer.header("content-type"))

    async def test_health(self) -> None:
        """Whoever watches over the server is always answered, and so is this machine."""
        for _ in range(20):
            self.assertEqual((await self.server.get("/health/live", source=AWAY)).status, 200)
            self.assertEqual((await self.server.get("/oauth2/jwks")).status, 200)

    async def test_networks(self) -> None:
        """An IPv6 network is one source, however many addresses it has."""
        limits, refused = self.limits, 0
        for number in range(8):
            allowance = limits._of_source(_from(f"2001:db8::{number:x}"))
            assert allowance is not None
            try:
                allowance.spend()
            except Exception:
                refused += 1
        self.assertEqual(refused, 2)
        other = limits._of_source(_from("2001:db8:0:1::1"))
        assert other is not None
        other.spend()

    async def test_wrong_secrets(self) -> None:
        """Guessing secrets is counted for the address."""
        await self.server.client("app")
        form = {"grant_type": "client_credentials"}
        tried = [
            (await self.server.post("/oauth2/token", form, basic=("app", f"wrong {n}"), source=AWAY)).status
            for n in range(7)
        ]
        self.assertEqual(tried, [401] * 6 + [429])

    async def test_strangers_clients(self) -> None:
        """A client that registered itself is a stranger: what it asks counts for its address."""
        app = await self.server.client("own", registration=b"x" * 32, introspects=False)
        again = await self.server.client("more", registration=b"y" * 32, introspects=False)
        tried = [(await self.machine(one)).status for one in (app, again) * 4]
        self.assertEqual(tried, [200] * 6 + [429] * 2)
        self.assertEqual(self.server.told("limited"), [{"scope": "source", "source": AWAY}])

    async def test_described_clients(self) -> None:
        """So is one that describes itself, whatever keys it has put there."""
        fields: dict[str, Any] = {"described": True, "introspects": False}
        apps = [await self.server.client(f"own-{n}", **fields) for n in range(2)]
        refused = 0
        for app in apps * 4:
            allowance = self.limits._of_source(_from(AWAY))
            assert allowance is not None
            try:
                allowance.spend()
            except OAuthError:
                refused += 1
            else:
                self.limits.authenticated(app.record, _from(AWAY))
        self.assertEqual(refused, 2)

    async def test_forwarded(self) -> None:
        """A header that anybody can write changes nobody's address."""
        for number in range(7):
            answer = await self.server.get(
                "/oauth2/jwks", source=AWAY, headers=[("X-Forwarded-For", f"192.0.2.{number}")]
            )
        self.too_often(answer)


class UnfinishedTests(LimitCase):
    """What clients begin and leave."""

    sections = {"limits": LimitSettings(unfinished=6)}

    async def test_devices(self) -> None:
        """A client has no more device codes open than it may; when they have ended it gets others."""
        app = await self.server.client("tv")

        async def ask() -> Answer:
            return await self.server.post("/oauth2/device_authorize", {"scope": "read"}, basic=app.basic, source=AWAY)

        self.assertEqual([(await ask()).status for _ in range(3)], [200] * 3)
        self.too_often(await ask(), 600)
        self.assertEqual(self.server.told("limited"), [{"scope": "unfinished", "client_id": "tv"}])
        self.server.clock.advance(600)
        self.assertEqual((await ask()).status, 200)

    async def test_pushed(self) -> None:
        """The same holds of pushed requests, apart from that."""
        app = await self.server.client("web")
        asked = self.server.asking(app)
        tried = [(await self.server.post("/oauth2/par", asked, basic=app.basic, source=AWAY)).status for _ in range(4)]
        self.assertEqual(tried, [201] * 3 + [429])
        device = await self.server.post("/oauth2/device_authorize", {"scope": "read"}, basic=app.basic, source=AWAY)
        self.assertEqual(device.status, 200)


class LaneTests(LaneCase):
    """The fast lane refuses what the ordinary path would."""

    sections = {"limits": LimitSettings(caller_rate=10, caller_burst=40, client_rate=10, client_burst=20)}

    async def test_introspection(self) -> None:
        """From memory a caller gets what its limit leaves, then 429 with Retry-After, and then what came since."""
        app, api = await self.server.client("app"), await self.server.client("api")
        asked = request(INTROSPECT, {"token": await self.machine_token(app)}, api)
        line = await self.taught(asked)
        await line.ask(request(INTROSPECT, {"token": "x"}, api))
        bucket = self.server.application.limits._tables["caller"].of("api", self.server.clock.seconds())
        left, hits = bucket.left, self.counts.hits
        answers = [await line.ask(asked) for _ in range(left + 3)]
        self.assertEqual([status(one) for one in answers], [200] * left + [429] * 3)
        self.assertEqual(self.counts.hits - hits, left)
        self.assertIn(b"\r\nRetry-After: 1\r\n", answers[-1])
        self.assertIn(b'"error":"too_many_requests"', answers[-1])
        self.advance(1)
        answers = [await line.ask(asked) for _ in range(12)]
        self.assertEqual([status(one) for one in answers], [200] * 10 + [429] * 2)

    async def test_tokens(self) -> None:
        """Tokens issued on the lane count for their client, together with others."""
        app = await self.server.client("app")
        asked = request(TOKEN, {"grant_type": "client_credentials"}, app)
        line = await self.taught(asked)
        answers = [await line.ask(asked) for _ in range(20)]
        self.assertEqual([status(one) for one in answers], [200] * 17 + [429] * 3)
        self.assertEqual((await self.server.post("/oauth2/revoke", {"token": "x"}, basic=app.basic)).status, 429)

    async def test_misses(self) -> None:
        """What is not in memory counts once."""
        api = await self.server.client("api")
        line = await self.taught(*[request(INTROSPECT, {"token": "nothing"}, api)])
        bucket = self.server.application.limits._tables["caller"].of("api", self.server.clock.seconds())
        before = bucket.look(self.server.clock.seconds())
        for number in range(5):
            self.assertEqual(status(await line.ask(request(INTROSPECT, {"token": f"unseen{number}"}, api))), 200)
        self.assertEqual(before - bucket.look(self.server.clock.seconds()), 5)

    async def test_public_clients_leave_the_lane(self) -> None:
        """Once all who name a public client have used it up they go the ordinary way, where each is counted."""
        phone = await self.server.client("phone", public=True)
        limits = self.server.application.limits

        class Same:
            parameter = ""

            def holds(self) -> bool:
                return True

            def recall(self, value: bytes) -> None:
                """Nothing."""

            async def ask(self, value: bytes) -> Response:
                return Response(200)

        allowance = limits.authenticated(phone.record, _from(AWAY))
        assert allowance is not None
        lesson = LimitedLesson(allowance, Same())
        told: list[Any] = []
        for _ in range(20):
            self.assertTrue(lesson.holds())
            self.assertFalse(lesson.tell(b"", told.append))  # goes on by `ask`
        self.assertFalse(lesson.holds())
        self.assertEqual(told, [])


class StrangersLaneTests(LaneCase):
    """The fast lane does not know where its requests come from."""

    sections = {"limits": LimitSettings(source_rate=1, source_burst=6)}

    async def test_strangers_clients(self) -> None:
        """What clients ask that registered themselves counts for their address, however often they say the same."""
        fields: dict[str, Any] = {"introspects": False}
        apps = [await self.server.client(f"own-{n}", registration=b"%d" % n * 32, **fields) for n in range(2)]
        line = self.line(AWAY)
        for app in apps:
            asked = request(TOKEN, {"grant_type": "client_credentials"}, app)
            answers = [status(await line.ask(asked)) for _ in range(6)]
        self.assertEqual(answers, [429] * 6)


    async def test_strangers_that_are_trusted(self) -> None:
        """A resource server that registered itself, and was let introspect, is answered from memory as any other."""
        app = await self.server.client("app")
        api = await self.server.client("api", registration=b"x" * 32)
        asked = request(INTROSPECT, {"token": await self.machine_token(app)}, api)
        line = self.line(AWAY)
        hits = self.counts.hits
        answers = [status(await line.ask(asked)) for _ in range(20)]
        self.assertEqual(answers, [200] * 20)
        self.assertGreater(self.counts.hits, hits + 10)


class Common:
    """Stands for what others do: it keeps what it is told, and answers what it is to answer."""

    def __init__(self) -> None:
        self.told: list[list[Spent]] = []
        self.answer: Any = (1, [])
        self.filled = Memory(0, 0)

    async def settle(self, spent: Any) -> Any:
        """As `Shares`."""
        self.told.append(list(spent))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def memory(self) -> Memory:
        """As `Shares`."""
        return self.filled


class TickTests(LimitCase):
    """What is told to others, and what comes of it."""

    sections = {"limits": LimitSettings(client_rate=100, client_burst=100, source_rate=0)}

    async def prepare(self) -> None:
        """One who looks like the others."""
        self.others = Common()
        shares: Any = self.others
        self.limits.shares = shares
        self.limits._processes = 2
        self.addCleanup(setattr, self.limits, "shares", None)
        self.addCleanup(setattr, self.limits, "_processes", 1)
        self.others.answer = (2, [])
        await self.limits.tick()
        self.app = await self.server.client("app")

    def spend(self, tokens: int) -> None:
        """Take from the client's."""
        allowance = self.limits.authenticated(self.app.record, _from(AWAY))
        assert allowance is not None
        allowance.spend(tokens - 1)

    @property
    def left(self) -> int:
        """What the client has left."""
        bucket = self.limits._tables["client"].of("app", self.limits.clock())
        return round(bucket.look(self.limits.clock()))

    async def test_share(self) -> None:
        """Two processes: half a burst each, until each takes its part of what there is."""
        self.assertEqual(self.left, 50)
        self.spend(40)
        self.others.answer = (2, [Settled(60, 2)])
        await self.limits.tick()
        self.assertEqual([one.tokens for one in self.others.told[-1]], [40])
        self.assertNotIn(b"app", self.others.told[-1][0].name)
        self.assertEqual(self.left, 30)

    async def test_debt(self) -> None:
        """What others gave out too much is not given out here."""
        self.spend(40)
        self.others.answer = (2, [Settled(-50, 2)])
        await self.limits.tick()
        with self.assertRaisesRegex(Exception, "too many requests"):
            self.spend(1)

    async def test_store_away(self) -> None:
        """Without the store each goes on with its even share, and tells later what it gave out meanwhile."""
        self.spend(40)
        self.others.answer = StoreUnavailable("away")
        await self.limits.tick()
        self.assertEqual(self.left, 10)
        self.server.clock.advance(1)
        self.assertEqual(self.left, 50)
        self.spend(30)
        self.others.answer = (2, [Settled(50, 1)])
        await self.limits.tick()
        self.assertEqual([one.tokens for one in self.others.told[-1]], [70])

    async def test_alone(self) -> None:
        """Who is alone tells nothing, and has the whole limit."""
        self.others.answer = (1, [])
        await self.limits.tick()
        self.server.clock.advance(10)
        self.assertEqual(self.left, 100)
        self.spend(90)
        await self.limits.tick()
        self.assertEqual(self.others.told[-1], [])
        self.assertEqual(self.left, 10)

    async def test_full_store(self) -> None:
        """A store that is full is asked nothing more than how full it is."""
        asked = len(self.others.told)
        self.others.filled = Memory(101, 100)
        await self.limits.tick()
        self.assertEqual(len(self.others.told), asked)
        self.others.filled = Memory(0, 0)
        await self.limits.tick()

    async def test_real(self) -> None:
        """Two nodes on one store: together they give out no more than there is, and each what the other leaves."""
        crew = [self.server.sibling() for _ in range(2)]
        for number, one in enumerate(crew):
            one.application.limits.shares = Shares(self.server.connection, f"node {number}")
        for _ in range(2):
            for one in crew:
                await one.application.limits.tick()
        busy, idle = (one.application.limits for one in crew)
        taken = 0
        for _ in range(4):
            with contextlib.suppress(OAuthError):
                for _ in range(200):
                    busy.authenticated(self.app.record, _from(AWAY))
                    taken += 1
            await busy.tick()
            await idle.tick()
        self.assertGreaterEqual(taken, 90)  # not only its half
        self.assertLess(taken, 200)
