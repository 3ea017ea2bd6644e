"""Two daemons on one store: founded once, one winner of every race, and no daemon that is missed when it dies."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

from tests.live.daemon import MASTER_KEY, Daemon, LiveCase, until
from tests.live.visitor import REDIRECT, App, Browser, Line, Unreachable, Visitor, expect
from tests.wire import Answer

ROUNDS = 200
PARALLEL = 20
LINES = PARALLEL // 2  # from each daemon


class PairCase(LiveCase):
    """Two daemons on one store, a client that people are not asked about, and a person."""

    def setUp(self) -> None:
        """Start both at the same moment."""
        super().setUp()
        self.redis = self.store()
        self.pair = tuple(self.prepared("--redis", self.redis.url, keys_master_keys=MASTER_KEY) for _ in "ab")
        for daemon in self.pair:
            daemon.spawn()
        for daemon in self.pair:
            daemon.wait_until_ready()
        (self.founder,) = (one for one in self.pair if (one.data / "admin-credentials.json").exists())
        self.visitors = [Visitor.of(daemon.http, self.founder.credentials) for daemon in self.pair]

    def peopled(self) -> App:
        """A first-party client; alice exists."""
        self.visitors[0].user()
        return self.visitors[0].client(first_party=True)

    def signed_in(self) -> Browser:
        """A browser in which alice is signed in. Cookies do not mind the port, so it may visit both."""
        browser = Browser(self.pair[0].http)
        answer = browser.finish(browser.open("/login"), "alice", "correct horse battery")
        expect(answer)
        self.assertIn("alice", answer.text)
        return browser


class FoundingTests(PairCase):
    """A store is founded once."""

    def test_once(self) -> None:
        """Of two first starts at the same moment one founds the store: one administrator, one set of keys."""
        until(lambda: self.foundings, "it is said")
        self.assertEqual(self.foundings, 1)
        for path in ("/oauth2/jwks", "/.well-known/jwks.json"):
            first, second = (daemon.http.get(path).json()["keys"] for daemon in self.pair)
            self.assertEqual(first, second)
            self.assertEqual(len({key["kid"] for key in first}), len(first))
        for visitor in self.visitors:
            self.assertEqual(len(visitor.api("GET", "/users")["users"]), 1)
            self.assertEqual(len(visitor.api("GET", "/oauth/clients")["clients"]), 1)
            names = [scope["name"] for scope in visitor.api("GET", "/oauth/scopes")["scopes"]]
            self.assertEqual(len(set(names)), len(names))

    @property
    def foundings(self) -> int:
        """How often one of them says that it has founded the store."""
        return sum(daemon.output.count("#info] founded") for daemon in self.pair)

    def test_many_times(self) -> None:
        """However often two daemons meet on an empty store, it is founded once."""
        for _ in range(5):
            for daemon in self.pair:
                daemon.stop()
                (daemon.data / "admin-credentials.json").unlink(missing_ok=True)
            self.redis.say("FLUSHALL")
            before = self.foundings
            for daemon in self.pair:
                daemon.spawn()
            for daemon in self.pair:
                daemon.wait_until_ready()
            until(lambda before=before: self.foundings > before, "it is said")  # type: ignore[misc]
            self.assertEqual(self.foundings - before, 1)
            (founder,) = (one for one in self.pair if (one.data / "admin-credentials.json").exists())
            for daemon in self.pair:
                self.assertEqual(len(Visitor.of(daemon.http, founder.credentials).api("GET", "/users")["users"]), 1)


class RaceTests(PairCase):
    """Many at once."""

    def test_one_code(self) -> None:
        """Of twenty parallel redemptions of a code over both daemons exactly one succeeds, two hundred times over."""
        app = self.peopled()
        browser = self.signed_in()
        lines = [daemon.http.line() for daemon in self.pair]
        outcomes: Counter[tuple[int, ...]] = Counter()

        def form(number: int) -> dict[str, str]:
            code = _code(lines[number % 2], browser, app)
            return {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}

        def judge(answers: list[Answer]) -> None:
            outcomes[tuple(sorted(answer.status for answer in answers))] += 1
            for answer in answers:
                self.assertIn((answer.status, answer.error), ((200, ""), (400, "invalid_grant")))

        self.race(app, form, judge)
        for line in lines:
            line.close()
        self.assertEqual(outcomes, {(200, *[400] * (PARALLEL - 1)): ROUNDS})

    def test_one_refresh_token(self) -> None:
        """Of twenty parallel refreshes with one token over both daemons all get the same, two hundred times over."""
        app = self.peopled()
        browser = self.signed_in()
        with closing(self.pair[0].http.line()) as line:
            code = _code(line, browser, app)
        tokens = [self.visitors[0].redeem(app, code)]

        def form(number: int) -> dict[str, str]:
            return {"grant_type": "refresh_token", "refresh_token": tokens[-1]["refresh_token"]}

        def judge(answers: list[Answer]) -> None:
            self.assertEqual(Counter(answer.status for answer in answers), {200: PARALLEL})
            self.assertEqual(len({answer.body for answer in answers}), 1)
            tokens.append(answers[0].json())

        self.race(app, form, judge)
        self.assertEqual(len({one["refresh_token"] for one in tokens}), ROUNDS + 1)
        for visitor in self.visitors:
            self.assertTrue(visitor.is_active(app, tokens[-1]["access_token"]))

    def race(
        self, app: App, form: Callable[[int], dict[str, str]], judge: Callable[[list[Answer]], None]
    ) -> None:
        """In each round every line sends the same request at the same moment."""
        asked: list[dict[str, str]] = [{}]
        answers: list[Answer] = []
        failures: list[str] = []
        start, end = threading.Barrier(PARALLEL + 1), threading.Barrier(PARALLEL + 1)

        def run(daemon: Daemon) -> None:
            with closing(daemon.http.line()) as line:
                for _ in range(ROUNDS):
                    start.wait()
                    try:
                        answers.append(line.request("POST", "/oauth2/token", form=asked[0], basic_auth=app.auth))
                    except Unreachable as error:
                        failures.append(str(error))
                    end.wait()

        threads = [threading.Thread(target=run, args=(daemon,), daemon=True) for daemon in self.pair * LINES]
        for thread in threads:
            thread.start()
        try:
            for number in range(ROUNDS):
                asked[0] = form(number)
                answers.clear()
                start.wait()
                end.wait()
                self.assertEqual(failures, [])
                self.assertEqual(len(answers), PARALLEL)
                judge(list(answers))
        finally:
            start.abort()
        for thread in threads:
            thread.join()


class AcrossTests(PairCase):
    """What one daemon does is true for the other."""

    def test_revocation(self) -> None:
        """A token, a grant, a person, a client and everything: ended at one daemon, dead at the other."""
        near, far = self.visitors
        app = self.peopled()
        person = {"grant_type": "password", "username": "alice", "password": "correct horse battery"}
        user_id = next(user["user_id"] for user in near.api("GET", "/users")["users"] if user["username"] == "alice")

        def dies(form: dict[str, str], end: Callable[[dict[str, Any]], object], member: str = "access_token") -> None:
            tokens = near.tokens(app, **form)
            self.assertTrue(far.is_active(app, tokens[member]))
            end(tokens)
            self.assertFalse(far.is_active(app, tokens[member]))
            self.assertFalse(near.is_active(app, tokens[member]))

        def revoke(tokens: dict[str, Any], member: str) -> None:
            expect(near.http.post("/oauth2/revoke", {"token": tokens[member]}, basic_auth=app.auth))

        dies({"grant_type": "client_credentials"}, lambda tokens: revoke(tokens, "access_token"))
        dies(person, lambda tokens: revoke(tokens, "refresh_token"))
        dies(person, lambda tokens: near.api("DELETE", f"/oauth/tokens?user_id={user_id}", status=204))
        dies(person, lambda tokens: near.api("DELETE", f"/oauth/tokens?client_id={app.client_id}", status=204))
        dies(person, lambda tokens: near.api("DELETE", f"/users/{user_id}", status=204))
        self.assertEqual(far.http.post("/oauth2/token", person, basic_auth=app.auth).error, "invalid_grant")

    def test_a_flow_over_both(self) -> None:
        """A sign-in that begins at one daemon goes on at the other, and a code of one is redeemed at the other."""
        near, far = self.visitors
        near.user()
        app = near.client()
        browser = Browser(near.http)
        asked = {"response_type": "code", "client_id": app.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
        page = browser.open("/oauth2/authorize", asked)
        browser.http = far.http
        consent = browser.press(page, "login", login="alice", password="correct horse battery")
        browser.http = near.http
        code = expect(browser.press(consent, "allow"), 303).redirected["code"]
        tokens = far.redeem(app, code)
        userinfo = expect(near.http.get("/oauth2/userinfo", bearer=tokens["access_token"]))
        self.assertEqual(userinfo.json()["username"], "alice")

    def test_rotated_keys(self) -> None:
        """A key that one daemon makes is known to the other when it signs."""
        near, far = self.visitors
        near.api("POST", "/keys/rotate", {"announce": 0})
        app = near.client()
        until(
            lambda: self.pair[0].http.get("/oauth2/jwks").json() == self.pair[1].http.get("/oauth2/jwks").json(),
            "both publish the same keys",
        )
        self.assertTrue(far.is_active(app, near.tokens(app, grant_type="client_credentials")["access_token"]))


class DeathTests(PairCase):
    """A daemon that is killed."""

    def test_between_requests(self) -> None:
        """A refresh whose answer was lost with its daemon is answered by the other, with the same bytes."""
        app = self.peopled()
        near, far = self.visitors
        first = near.redeem(app, near.code(self.signed_in(), app))
        form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        lost = expect(near.http.post("/oauth2/token", form, basic_auth=app.auth))
        self.pair[0].kill()
        self.assertEqual(expect(far.http.post("/oauth2/token", form, basic_auth=app.auth)).body, lost.body)
        self.assertTrue(far.is_active(app, lost.json()["access_token"]))
        self.pair[0].start()
        self.assertTrue(near.is_active(app, lost.json()["access_token"]))

    def test_anywhere_in_a_request(self) -> None:
        """Killed at whatever moment of a refresh or of a redemption: the retry at the other daemon works."""
        app = self.peopled()
        near, far = self.visitors
        moments = random.Random(7)
        tokens = far.redeem(app, far.code(self.signed_in(), app))
        for number in range(8):
            browser = self.signed_in()
            code = {"grant_type": "authorization_code", "code": near.code(browser, app), "redirect_uri": REDIRECT}
            refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
            form = (code, refresh)[number % 2]
            answered = self._killed_while_asking(form, app, moments.uniform(0, 0.012))
            again = far.http.post("/oauth2/token", form, basic_auth=app.auth)
            if form is code:
                # A code has no grace: if it was spent its answer may be lost, and then the person is asked again.
                self.assertIn((again.status, again.error), ((200, ""), (400, "invalid_grant")))
            else:
                self.assertEqual((answered or again).body, expect(again).body)
                tokens = again.json()
                self.assertTrue(far.is_active(app, tokens["access_token"]))
            self.pair[0].start()

    def _killed_while_asking(self, form: dict[str, str], app: App, seconds: float) -> Answer | None:
        """The answer of the daemon that was killed so long after it was asked, if it still gave one."""
        with closing(self.pair[0].http.line()) as line:
            line.ask("POST", "/oauth2/token", form=form, basic_auth=app.auth)
            threading.Event().wait(seconds)
            self.pair[0].kill()
            try:
                return expect(line.answer())
            except Unreachable:
                return None


def _code(line: Line, browser: Browser, app: App) -> str:
    """A code, at once: the person is signed in and the client is not one that people are asked about."""
    asked = {"response_type": "code", "client_id": app.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
    answer = line.request("GET", "/oauth2/authorize", query=asked, headers=[browser.cookie])
    return expect(answer, 303).redirected["code"]
