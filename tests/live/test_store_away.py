"""The store is away, in every way it can be: each endpoint and page says so in time, guesses nothing, comes back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import hiredis

from oauthd.web.routes import ROUTES, Delivery
from tests.live.daemon import LiveCase, Store, until
from tests.live.every_route import NONE, READS, REMOVES, TELLS, WRITES, Ask, Scene
from tests.live.visitor import Visitor
from tests.stores.servers import Talk
from tests.wire import Answer

REPLY_TIMEOUT = 1.0  # seconds; the default
IN_TIME = REPLY_TIMEOUT + 1.0
BACK = 2.0  # seconds
AT_ONCE = 12
ALWAYS = frozenset({WRITES, READS, REMOVES})

_pages = {path for route in ROUTES if route.delivery is Delivery.PAGE for path in route.paths}


class AwayTests(LiveCase):
    """A store by unix socket, without a password."""

    password = ""

    def setUp(self) -> None:
        """A daemon on a store, and everything that can be asked of it."""
        super().setUp()
        self.redis = self.store(password=self.password)
        self.server = self.daemon("--redis", self.url, users_global_revocation="true")
        self.visitor = Visitor.of(self.server.http, self.server.credentials)
        self.scene = Scene(self.server.http, self.visitor)
        self.asks = self.scene.asks()
        self.slowest = 0.0

    @property
    def url(self) -> str:
        """How the daemon reaches the store."""
        return self.redis.url

    def test_all_is_well(self) -> None:
        """Every method of every path is asked here, and answers as it should while the store is there."""
        table = {(method, path) for route in ROUTES for path in route.paths for method in route.endpoints}
        self.assertEqual({(ask.method, ask.route) for ask in self.asks}, table)
        self.assert_back(self.asks)

    def test_stopped(self) -> None:
        """A store that is stopped, and started again."""
        self.redis.kill()
        self.assert_away(ALWAYS)
        self.assertEqual(self.readiness(), (503, {"state": "away", "reason": "unreachable"}))
        self.redis.begin()
        self.assert_back(self.asks)

    def test_standing_still(self) -> None:
        """A store that stands still, with connections that seem to stand."""
        self.redis.signal(signal.SIGSTOP)
        self.assert_away(ALWAYS)
        self.assertEqual(self.readiness(), (503, {"state": "away", "reason": "silent"}))
        self.redis.signal(signal.SIGCONT)
        self.assert_back(self.asks)

    def test_loading(self) -> None:
        """A store that is still reading its data."""
        self.redis.say("BGREWRITEAOF")  # the delay below is one of each key of a snapshot
        until(lambda: b"aof_rewrite_in_progress:0" in _info(self.redis), "the file is rewritten")
        self.redis.kill()
        slow = ("--key-load-delay", "50000", "--loading-process-events-interval-bytes", "1024")
        self.redis.begin(*slow, wait=False)
        until(lambda: _says(self.redis, "LOADING"), "it is loading")
        self.assert_away(ALWAYS)
        self.assertTrue(_says(self.redis, "LOADING"))
        self.assertEqual(self.readiness(), (503, {"state": "away", "reason": "loading"}))
        self.redis.kill()  # the rest of the reading would take a while
        self.redis.begin()
        self.assert_back(self.asks)

    def test_out_of_memory(self) -> None:
        """A store without room: whatever would have to be written is refused, the rest is answered."""
        self.redis.say("CONFIG", "SET", "maxmemory", "1")
        left = self.assert_away(frozenset({WRITES}))
        self.redis.say("CONFIG", "SET", "maxmemory", "0")
        self.assert_back(left)

    def test_replica(self) -> None:
        """A store that has become somebody's replica, and may only be read."""
        self.redis.say("REPLICAOF", "127.0.0.1", "1")
        left = self.assert_away(frozenset({WRITES, REMOVES}))
        self.redis.say("REPLICAOF", "NO", "ONE")
        self.assert_back(left)

    def test_password_changed(self) -> None:
        """A store that does not let us in any more is away: it is our credentials that are wrong, not the caller's."""
        self.redis.say("CONFIG", "SET", "requirepass", "another")
        with Talking(self.redis.path, "another") as talk:
            talk.say("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            self.assert_away(ALWAYS)
            talk.say("CONFIG", "SET", "requirepass", self.password)
        self.assert_back(self.asks)

    def readiness(self) -> tuple[int, dict[str, str]]:
        """What the server tells of the store to whoever balances load."""
        answer = self.server.http.request("GET", "/health/ready")
        return answer.status, answer.json()["store"]

    def assert_away(self, refused: frozenset[str]) -> list[Ask]:
        """Whatever needs of the store what it does not give is 503, in time; those that were, or could not be answered.

        :param refused: the needs that are not met.
        """
        with ThreadPoolExecutor(AT_ONCE) as pool:
            outcomes = list(pool.map(self._timed, self.asks))
        left: list[Ask] = []
        for ask, (answer, seconds) in zip(self.asks, outcomes, strict=True):
            self.slowest = max(self.slowest, seconds)
            self.assertLess(seconds, IN_TIME, ask)
            if ask.needs == NONE:
                self.assertEqual(answer.status, ask.normal, ask)
            elif ask.needs == TELLS:
                self.assertIn(answer.status, (ask.normal, 503), ask)
            elif ask.needs in refused or answer.status != ask.normal:
                self.assert_unavailable(ask, answer)
                left.append(ask)
        self.assertTrue(left)
        print(f"{self.id().rpartition('.')[2]}: {len(left)} of {len(self.asks)} 503, slowest {self.slowest:.2f} s")
        return left

    def _timed(self, ask: Ask) -> tuple[Answer, float]:
        begun = time.monotonic()
        return ask.send(self.server.http), time.monotonic() - begun

    def assert_unavailable(self, ask: Ask, answer: Answer) -> None:
        """A 503 in the form of its route, with the time after which to come back."""
        self.assertEqual(answer.status, 503, (ask, answer.body[:300]))
        self.assertRegex(answer.header("retry-after"), r"\A[1-9]\d*\Z", ask)
        if ask.route in _pages:
            self.assertTrue(answer.header("content-type").startswith("text/html"), ask)
            self.assertIn("</html>", answer.text)
        else:
            self.assertEqual(answer.error, "temporarily_unavailable", ask)
            self.assertTrue(answer.json()["error_description"])

    def assert_back(self, asks: list[Ask]) -> None:
        """The server works again by itself, soon, and what was refused has changed nothing: now it is answered."""
        begun = time.monotonic()
        form = {"grant_type": "client_credentials"}
        app = self.scene.app
        until(lambda: self.server.http.post("/oauth2/token", form, basic_auth=app.auth).status == 200, "it is back")
        self.assertLess(time.monotonic() - begun, BACK)
        for ask in asks:
            answer = ask.send(self.server.http)
            self.assertEqual(answer.status, ask.normal, (ask, answer.body[:300]))
            if ask.needs in (WRITES, REMOVES):
                self.assertIn(("cache-control", "no-store"), answer.headers, ask)


class PasswordAwayTests(AwayTests):
    """A store by TCP, with a password."""

    password = "the word of the store"

    @property
    def url(self) -> str:
        """Its port."""
        return f"redis://:{self.password.replace(' ', '%20')}@127.0.0.1:{self.redis.port}"


class FlickeringTests(LiveCase):
    """A store that comes and goes."""

    def test_under_load(self) -> None:
        """Tokens that were answered are active afterwards, however often the store went away in between."""
        store = self.store("--appendfsync", "always")
        daemon = self.daemon("--redis", store.url)
        visitor = Visitor.of(daemon.http, daemon.credentials)
        app = visitor.client()
        tokens: list[str] = []
        statuses: set[int] = set()
        going = True

        def ask() -> None:
            while going:
                answer = daemon.http.post("/oauth2/token", {"grant_type": "client_credentials"}, basic_auth=app.auth)
                statuses.add(answer.status)
                if answer.status == 200:
                    tokens.append(answer.json()["access_token"])

        def once(break_: Callable[[], object], mend: Callable[[], object]) -> None:
            before = len(tokens)
            until(lambda: len(tokens) > before + 20, "tokens are issued")
            break_()
            time.sleep(0.1)
            mend()

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask) for _ in range(4)]
            try:
                for _ in range(3):
                    once(store.kill, lambda: store.begin("--appendfsync", "always"))
                    once(lambda: store.signal(signal.SIGSTOP), lambda: store.signal(signal.SIGCONT))
                    once(lambda: store.say("CLIENT", "KILL", "TYPE", "normal"), lambda: None)
            finally:
                going = False
        for each in asking:
            each.result()
        self.assertLessEqual(statuses, {200, 503})
        self.assertEqual([token for token in tokens if not visitor.is_active(app, token)], [])


class Talking(Talk):
    """A connection to a store for a while."""

    def __enter__(self) -> Talking:
        """Open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def _info(store: Store) -> bytes:
    found = store.say("INFO", "persistence")
    assert isinstance(found, bytes)
    return found


def _says(store: Store, word: str) -> bool:
    """Does it answer PING with this error?"""
    try:
        reply = store.say("PING")
    except OSError:
        return False
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith(word)
