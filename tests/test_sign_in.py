"""Signing in by password: guesses are counted before they are looked at, and nobody gets round the counting."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from argon2 import PasswordHasher
from msgspec.structs import replace

from oauthd.config import ServerSettings
from oauthd.protocol.errors import OAuthError
from oauthd.runtime.threads import PoolFull
from oauthd.stores.interface import StoreUnavailable
from tests.server import PASSWORD, Browser, ServerCase, ok, together
from tests.wire import Answer

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"


class GuessingCase(ServerCase):
    """An account that somebody guesses at."""

    async def prepare(self) -> None:
        """A client that may use passwords, and the account."""
        self.app = await self.server.client("legacy", grant_types=("password",))
        self.alice = await self.server.user("alice")
        self.sign_in = self.server.application.sign_in

    async def attempt(self, password: str, name: str = "alice", source: str = HOME, **more: Any) -> Answer:
        """One attempt at the token endpoint."""
        form = {"grant_type": "password", "username": name, "password": password}
        return await self.server.post("/oauth2/token", form, basic=self.app.basic, source=source, **more)

    async def wrong(self, times: int, patient: bool = True, **more: Any) -> None:
        """So many failures, waiting as long as it takes in between, but not after the last one."""
        for number in range(times):
            answer = await self.attempt("wrong", **more)
            self.refused(answer, "invalid_grant")
            if patient and number < times - 1:
                self.server.clock.advance({4: 1, 5: 2, 6: 4, 7: 8, 8: 16}.get(number, 0))

    def blocked(self, answer: Answer, seconds: int | None = None) -> None:
        """The attempt was refused without a look at the password."""
        self.refused(answer, "too_many_requests", 429)
        if seconds is not None:
            self.assertEqual(answer.header("retry-after"), str(seconds))

    async def page(self, name: str, password: str, browser: Browser) -> Answer:
        """One attempt on the sign-in page."""
        return await browser.submit(await browser.open("/login"), "login", login=name, password=password)


class AccountTests(GuessingCase):
    """Failures of one account."""

    async def test_four_failures_are_free(self) -> None:
        """After four failures the right password is taken at once."""
        await self.wrong(4)
        ok(await self.attempt(PASSWORD))

    async def test_the_fifth_failure_delays(self) -> None:
        """From the fifth failure on each doubles the wait, and even the right password has to wait for it."""
        await self.wrong(4)
        for seconds in (1, 2, 4, 8, 16):
            self.refused(await self.attempt("wrong"), "invalid_grant")
            self.blocked(await self.attempt(PASSWORD), seconds)
            self.server.clock.advance(seconds - 0.5)
            self.blocked(await self.attempt(PASSWORD), 1)
            self.server.clock.advance(0.5)
        ok(await self.attempt(PASSWORD))

    async def test_the_tenth_failure_locks(self) -> None:
        """After ten failures the account is locked for fifteen minutes, and each further failure locks it again."""
        await self.wrong(10)
        self.blocked(await self.attempt(PASSWORD), 900)
        self.server.clock.advance(899)
        self.blocked(await self.attempt(PASSWORD), 1)
        self.server.clock.advance(1)
        self.refused(await self.attempt("wrong"), "invalid_grant")
        self.blocked(await self.attempt(PASSWORD), 900)
        self.server.clock.advance(900)
        ok(await self.attempt(PASSWORD))
        self.assertTrue(self.server.told("sign_in.locked"))

    async def test_success_forgets(self) -> None:
        """After a right password the account's failures are forgotten, at once and all of them."""
        for number in range(3):
            await self.wrong(4, source=f"203.0.113.{number}")
            ok(await self.attempt(PASSWORD, source=ELSEWHERE))

    async def test_an_hour_forgets(self) -> None:
        """An hour after the last failure, and the wait it brought, nothing is remembered."""
        await self.wrong(6)
        self.server.clock.advance(3602)
        await self.wrong(4)
        ok(await self.attempt(PASSWORD))

    async def test_spellings(self) -> None:
        """Three spellings of one name share a count, and so do invisible differences."""
        for name in ("alice", "ALICE", "\uff21lice", "al\u00adice"):
            self.refused(await self.attempt("wrong", name), "invalid_grant")
        self.refused(await self.attempt("wrong", " Alice "), "invalid_grant")
        self.blocked(await self.attempt(PASSWORD, source=ELSEWHERE), 1)

    async def test_rotating_addresses(self) -> None:
        """An account is counted wherever the guesses come from."""
        for number in range(5):
            self.refused(await self.attempt("wrong", source=f"203.0.113.{number}"), "invalid_grant")
        self.blocked(await self.attempt(PASSWORD, source=ELSEWHERE))

    async def test_unknown_accounts_are_counted_alike(self) -> None:
        """Whether an account exists cannot be told from the counting."""
        for number in range(5):
            answers = [
                await self.attempt("wrong", name, source=f"203.0.{index}.{number}")
                for index, name in enumerate(("alice", "nobody"))
            ]
            self.assertEqual(answers[0].body, answers[1].body)
        answers = [await self.attempt("wrong", name, source=ELSEWHERE) for name in ("alice", "nobody")]
        self.assertEqual([answer.status for answer in answers], [429, 429])
        self.assertEqual(answers[0].body, answers[1].body)

    async def test_parallel_guesses_share_one_count(self) -> None:
        """Forty guesses at once are no more than a few: at least one wait stands between any two after the fourth."""
        answers = await together(self.attempt("wrong", source=f"203.0.113.{n}") for n in range(40))
        looked_at = [answer for answer in answers if answer.error == "invalid_grant"]
        self.assertLessEqual(len(looked_at), 5)

    async def test_the_right_password_among_parallel_guesses(self) -> None:
        """The owner's failures and a success at the same time leave no more than what failed."""
        await together([self.attempt("wrong"), self.attempt(PASSWORD, source=ELSEWHERE), self.attempt("wrong")])
        ok(await self.attempt(PASSWORD))


class SourceTests(GuessingCase):
    """Failures from one address."""

    async def test_many_accounts_from_one_source(self) -> None:
        """A source that tries one password on many accounts is delayed, and others are not."""
        for number in range(5):
            self.refused(await self.attempt("wrong", f"user{number}"), "invalid_grant")
        self.blocked(await self.attempt(PASSWORD))
        ok(await self.attempt(PASSWORD, source=ELSEWHERE))

    async def test_a_blocked_source_does_not_count_on_accounts(self) -> None:
        """Attempts that are refused for their source are no failures of the account that they name."""
        for number in range(10):
            await self.attempt("wrong", f"user{number}")
            self.server.clock.advance({4: 1, 5: 2, 6: 4, 7: 8, 8: 16}.get(number, 0))
        for _ in range(10):
            self.blocked(await self.attempt("wrong"))
        await self.wrong(4, source=ELSEWHERE)
        ok(await self.attempt(PASSWORD, source="203.0.113.1"))

    async def test_an_account_of_ones_own_does_not_clear_the_source(self) -> None:
        """A right password in between gives its own attempt back, not the failures before it."""
        await self.server.user("mallory")
        for number in range(4):
            self.refused(await self.attempt("wrong", f"user{number}"), "invalid_grant")
            ok(await self.attempt(PASSWORD, "mallory"))
        self.refused(await self.attempt("wrong", "user9"), "invalid_grant")
        self.blocked(await self.attempt(PASSWORD, "mallory"))

    async def test_a_forged_header_is_no_source(self) -> None:
        """X-Forwarded-For and its kin from anybody but a trusted proxy change nothing."""
        names = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP")
        for number in range(5):
            headers = [(name, f"203.0.113.{number}") for name in names]
            self.refused(await self.attempt("wrong", f"user{number}", headers=headers), "invalid_grant")
        self.blocked(await self.attempt(PASSWORD, headers=[("X-Forwarded-For", ELSEWHERE)]))

    async def test_an_ipv6_network_is_one_source(self) -> None:
        """All addresses of one /64 are one source."""
        for number in range(5):
            self.refused(await self.attempt("wrong", f"user{number}", source=f"2001:db8::{number}"), "invalid_grant")
        self.blocked(await self.attempt(PASSWORD, source="2001:db8::ffff"))
        ok(await self.attempt(PASSWORD, source="2001:db8:0:1::1"))


class ProxyTests(GuessingCase):
    """Failures behind a proxy that the settings trust."""

    sections = {"server": ServerSettings(trusted_proxies=(ip_network(f"{HOME}/32"),))}

    async def via(self, *hops: str, password: str = "wrong", name: str = "alice") -> Answer:
        """One attempt through the proxy, which has added the last hop."""
        return await self.attempt(password, name, headers=[("X-Forwarded-For", ", ".join(hops))])

    async def test_the_callers_address_counts(self) -> None:
        """Callers behind the proxy are told apart by the address that the proxy added, not by what they wrote."""
        for number in range(5):
            answer = await self.via(f"203.0.113.{number}", ELSEWHERE, name=f"user{number}")
            self.refused(answer, "invalid_grant")
        self.blocked(await self.via("203.0.113.99", ELSEWHERE, password=PASSWORD))
        ok(await self.via(ELSEWHERE, "203.0.113.1", password=PASSWORD))


class KnownBrowserTests(GuessingCase):
    """A browser in which the account has signed in before."""

    async def prepare(self) -> None:
        """Alice has signed in here."""
        await super().prepare()
        self.known = self.server.browser(HOME)
        self.assertEqual((await self.page("alice", PASSWORD, self.known)).status, 200)

    async def test_others_cannot_lock_it_out(self) -> None:
        """While guesses from elsewhere lock the account, the known browser signs in."""
        await self.wrong(10, source=ELSEWHERE)
        self.blocked(await self.attempt(PASSWORD, source=HOME))
        self.assertEqual((await self.page("alice", PASSWORD, self.known)).status, 200)
        self.assertEqual((await self.page("alice", PASSWORD, self.server.browser(HOME))).status, 429)

    async def test_it_is_limited_itself(self) -> None:
        """A known browser has tries of its own, and no more of them than others."""
        for _ in range(5):
            self.assertEqual((await self.page("alice", "wrong", self.known)).status, 400)
        answer = await self.page("alice", PASSWORD, self.known)
        self.assertEqual(answer.status, 429)
        self.assertGreater(int(answer.header("retry-after")), 0)
        self.assertIn("Wait", answer.text)

    async def test_it_is_known_to_one_account(self) -> None:
        """For other accounts it is a browser like any other."""
        await self.server.user("bob")
        await self.wrong(10, name="bob", source=ELSEWHERE)
        self.assertEqual((await self.page("bob", PASSWORD, self.known)).status, 429)

    async def test_each_browser_counts_for_itself(self) -> None:
        """Failures in one known browser do not stop another known one."""
        other = self.server.browser(ELSEWHERE)
        await self.page("alice", PASSWORD, other)
        for _ in range(5):
            await self.page("alice", "wrong", other)
        self.assertEqual((await self.page("alice", PASSWORD, other)).status, 429)
        self.assertEqual((await self.page("alice", PASSWORD, self.known)).status, 200)

    async def test_a_made_up_cookie(self) -> None:
        """A cookie that we did not give for this name makes no browser known."""
        await self.wrong(10, source=ELSEWHERE)
        bob, alice = self.sign_in.known_cookie("bob"), self.sign_in.known_cookie("alice")
        for value in ("x", "x.y", "", "." * 50, bob, "x" + alice, alice[:-1], alice + "."):
            with self.assertRaises(OAuthError):
                await self.sign_in.by_password("alice", PASSWORD, HOME, value)


class VerdictTests(GuessingCase):
    """What a password check needs, and what it leaves."""

    def hashing(self, work: Callable[..., Any]) -> None:
        """Let passwords be hashed by something else in this test."""
        passwords = self.server.application.passwords
        self.addCleanup(object.__setattr__, passwords, "in_thread", passwords.in_thread)
        object.__setattr__(passwords, "in_thread", work)

    async def test_no_verdict_does_not_count(self) -> None:
        """An attempt that no thread was free for is 503 and given back: it is no failure."""
        here = self.server.application.passwords.in_thread

        async def busy(*arguments: Any) -> Any:
            raise PoolFull("passwords")

        self.hashing(busy)
        for _ in range(12):
            self.refused(await self.attempt("wrong"), "temporarily_unavailable", 503)
        self.hashing(here)
        ok(await self.attempt(PASSWORD))

    async def test_without_a_count_there_is_no_check(self) -> None:
        """When the attempt cannot be counted the password is not looked at."""
        self.server.store.crash_before = 1
        with self.assertRaises(StoreUnavailable):
            await self.sign_in.by_password("alice", PASSWORD, HOME)
        self.assertEqual(self.server.told("sign_in.succeeded"), [])

    async def test_an_old_hash_is_replaced(self) -> None:
        """A hash of former parameters is made anew at a sign-in, and no session or token ends by it."""
        users = self.server.application.users
        old = PasswordHasher(time_cost=2, memory_cost=7168, parallelism=1).hash(PASSWORD)
        bob = await self.server.user("bob", password=PASSWORD)
        await users.update(bob.user_id, lambda user: replace(user, password=old))
        token = ok(await self.attempt(PASSWORD, "bob"))["access_token"]
        now = await users.find(bob.user_id)
        assert now is not None
        self.assertNotEqual(now.password, old)
        ok(await self.attempt(PASSWORD, "bob"))
        self.assertTrue(await self.server.active(token))

    async def test_deactivated_during_the_check(self) -> None:
        """Who is deactivated while the password is checked gets tokens and a session that are dead."""
        browser = self.server.browser()
        page = await browser.open("/login")
        users, here = self.server.application.users, self.server.application.passwords.in_thread

        async def slow(*arguments: Any) -> Any:
            await users.deactivate(self.alice.user_id)
            return await here(*arguments)

        self.hashing(slow)
        token = ok(await self.attempt(PASSWORD))["access_token"]
        self.assertEqual(await self.server.introspect(token), {"active": False})
        await users.update(self.alice.user_id, lambda user: replace(user, is_active=True))
        await browser.submit(page, "login", login="alice", password=PASSWORD)
        await users.update(self.alice.user_id, lambda user: replace(user, is_active=True))
        answer = await browser.get("/oauth2/authorize", self.server.asking(await self.server.client(), prompt="none"))
        self.refused_by_redirect(answer.redirected, "login_required")

    async def test_inactive(self) -> None:
        """An inactive user's right password is as wrong as any other."""
        await self.server.application.users.update(self.alice.user_id, lambda user: replace(user, is_active=False))
        self.assertIsNone(await self.sign_in.by_password("alice", PASSWORD, HOME))

    async def test_own_password(self) -> None:
        """A signed-in user's own password is checked and counted like a sign-in."""
        self.assertTrue(await self.sign_in.knows_password(self.alice.record, PASSWORD, HOME))
        for _ in range(5):
            self.assertFalse(await self.sign_in.knows_password(self.alice.record, "wrong", HOME))
        with self.assertRaises(OAuthError):
            await self.sign_in.knows_password(self.alice.record, PASSWORD, HOME)

    async def test_events_name_no_password(self) -> None:
        """What is told of sign-ins holds neither passwords nor the names that were tried."""
        await self.attempt("wrong-secret", "typed-name")
        await self.attempt(PASSWORD)
        told = repr(self.server.events)
        for secret in ("wrong-secret", PASSWORD, "typed-name"):
            self.assertNotIn(secret, told)
        self.assertEqual(len(self.server.told("sign_in.failed")), 1)
        self.assertEqual(len(self.server.told("sign_in.succeeded")), 1)

    async def test_the_database_names_nobody_who_failed(self) -> None:
        """Counters of failures stand under digests: neither name nor address can be read from them."""
        await self.attempt("wrong", "typed-name", source="203.0.113.99")
        held = b"\n".join(key + value for key, value in (await self.server.dump()).items())
        for trace in (b"typed-name", b"203.0.113.99"):
            self.assertNotIn(trace, held)

    async def test_unknown_names_take_the_same_steps(self) -> None:
        """Known and unknown names, and users without a password, ask the database equally often and hash once."""
        empty = await self.server.user("empty")
        await self.server.application.users.update(empty.user_id, lambda user: replace(user, password=""))
        steps: list[str] = []
        here = self.server.application.passwords.in_thread

        async def counted(*arguments: Any) -> Any:
            steps.append("hash")
            return await here(*arguments)

        def watched(name: str) -> Callable[..., Any]:
            verb = getattr(self.server.store, name)

            def step(*arguments: Any) -> Any:
                steps.append(name)
                return verb(*arguments)

            return step

        self.hashing(counted)
        for name in ("get", "commit", "generations", "forget"):
            self.patch(self.server.store, name, watched(name))
        taken = []
        for number, name in enumerate(("alice", "nobody", "empty")):
            await self.sign_in.by_password(name, "wrong", f"203.0.113.{number}")
            taken.append(steps[:])
            steps.clear()
        self.assertEqual(taken[0], taken[1])
        self.assertEqual(taken[0], taken[2])
        self.assertEqual(taken[0].count("hash"), 1)
