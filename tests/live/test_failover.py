"""Two daemons, a primary, its replica and three sentinels: what a failover interrupts, undoes, and does not undo."""

from __future__ import annotations

import re
import signal
import threading
import time

from tests.live.daemon import MASTER_KEY, Daemon, LiveCase, until
from tests.live.visitor import Http, Visitor
from tests.stores.replicas import Service
from tests.stores.servers import Talk
from tests.wire import Answer

BACK = 2.0  # seconds from the new primary being there
STALENESS = 2.0  # seconds; the default of cache.max_staleness


class FailoverCase(LiveCase):
    """Two daemons that find the primary by sentinels, and a client."""

    settings: dict[str, str] = {}

    def setUp(self) -> None:
        """Start all of them."""
        super().setUp()
        self.service = Service(1)
        self.addCleanup(self.service.close)
        self.service.start()
        self.pair: list[Daemon] = []
        self.metrics: dict[Daemon, str] = {}
        for name in "ab":
            path = str(self.folder / f"metrics-{name}")
            more = {"keys_master_keys": MASTER_KEY, "metrics_listen": f"unix:{path}"}
            daemon = self.daemon("--redis", self.service.url, **more, **self.settings)
            self.pair.append(daemon)
            self.metrics[daemon] = path
        founder = next(one for one in self.pair if (one.data / "admin-credentials.json").exists())
        self.visitors = [Visitor.of(daemon.http, founder.credentials) for daemon in self.pair]
        self.app = self.visitors[0].client()

    def issue(self, daemon: Daemon) -> str:
        """A token."""
        answer = daemon.http.post("/oauth2/token", {"grant_type": "client_credentials"}, basic_auth=self.app.auth)
        self.assertEqual(answer.status, 200)
        token: str = answer.json()["access_token"]
        return token

    def revoke(self, daemon: Daemon, token: str) -> Answer:
        """The answer to its revocation."""
        return daemon.http.post("/oauth2/revoke", {"token": token}, basic_auth=self.app.auth)

    def active(self, tokens: list[str]) -> list[list[str]]:
        """Which of them each daemon says are active."""
        return [[token for token in tokens if visitor.is_active(self.app, token)] for visitor in self.visitors]

    def told(self, name: str) -> float:
        """A metric, added up over both daemons."""
        total = 0.0
        for daemon in self.pair:
            page = Http(path=self.metrics[daemon]).get("/metrics").text
            total += sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE))
        return total

    def cut_replica_off(self) -> None:
        """From here on the replica hears nothing more from the primary, which goes on serving whoever it knows."""
        with_password = Talk(self.service.primary.path)
        self.addCleanup(with_password.close)
        with_password.say("CONFIG", "SET", "requirepass", "the replica does not know this")
        self.assertEqual(with_password.say("CLIENT", "KILL", "TYPE", "replica"), 1)

    def wait_until_back(self) -> float:
        """Wait for the failover and for both daemons; seconds from the sentinels' word to the last daemon."""
        new = self.service.wait_for_failover()
        promoted = time.monotonic()
        until(lambda: sum(one.primary_port == new.port for one in self.service.sentinels) > 1, "the sentinels agree")
        named = time.monotonic()
        for daemon in self.pair:
            until(lambda daemon=daemon: self.works(daemon), "it serves again")  # type: ignore[misc]
        back = time.monotonic()
        print(f"{self.id().rpartition('.')[2]}: back {back - promoted:.2f} s after the promotion, "
              f"{back - named:.2f} s after the sentinels' word")  # fmt: skip
        self.assertLess(back - named, BACK)
        return back - named

    def works(self, daemon: Daemon) -> bool:
        """Does it issue tokens?"""
        form = {"grant_type": "client_credentials"}
        return daemon.http.post("/oauth2/token", form, basic_auth=self.app.auth).status == 200


class LoadTests(FailoverCase):
    """Under a light load."""

    def setUp(self) -> None:
        """Begin to ask, a few times a second."""
        super().setUp()
        self.tokens: list[str] = []
        self.answers: list[Answer] = []
        self.going = True
        self.threads = [threading.Thread(target=self.ask, args=(daemon,)) for daemon in self.pair]
        for thread in self.threads:
            thread.start()
        self.addCleanup(self.rest)
        until(lambda: len(self.tokens) > 50, "tokens are issued")

    def ask(self, daemon: Daemon) -> None:
        """Issue tokens and introspect them."""
        while self.going:
            answer = daemon.http.post("/oauth2/token", {"grant_type": "client_credentials"}, basic_auth=self.app.auth)
            self.answers.append(answer)
            if answer.status == 200:
                token = answer.json()["access_token"]
                self.tokens.append(token)
                form = {"token": token}
                self.answers.append(daemon.http.post("/oauth2/introspect", form, basic_auth=self.app.auth))
            time.sleep(0.02)

    def rest(self) -> None:
        """Ask no more."""
        self.going = False
        for thread in self.threads:
            thread.join()

    def assert_orderly(self) -> None:
        """Whatever was not answered was 503 with the time to come back; what was lost is known."""
        self.rest()
        refused = [answer for answer in self.answers if answer.status != 200]
        self.assertTrue(refused)
        for answer in refused:
            self.assertEqual((answer.status, answer.error), (503, "temporarily_unavailable"))
            self.assertRegex(answer.header("retry-after"), r"\A[1-9]\d*\Z")
        first, second = self.active(self.tokens)
        self.assertEqual(first, second)
        lost = len(self.tokens) - len(first)
        print(f"{self.id().rpartition('.')[2]}: {len(refused)} of {len(self.answers)} 503, "
              f"{lost} of {len(self.tokens)} tokens lost")  # fmt: skip
        self.assertEqual(self.told("oauthd_tokens_lost_total"), lost)
        self.assertEqual(self.told("oauthd_store_failovers_total"), 2)

    def test_killed(self) -> None:
        """The primary dies: 503 for a while, then everything works on the promoted replica, by itself."""
        self.service.primary.kill()
        self.wait_until_back()
        self.assert_orderly()

    def test_standing_still(self) -> None:
        """The primary stands still, and comes back as an old primary: nobody asks or tells it anything any more."""
        old = self.service.primary
        old.signal(signal.SIGSTOP)
        self.wait_until_back()
        revoked = [self.issue(daemon) for daemon in self.pair for _ in range(5)]
        for token in revoked:
            self.assertEqual(self.revoke(self.pair[0], token).status, 200)
        old.signal(signal.SIGCONT)
        deadline = time.monotonic() + 2 * STALENESS
        until(lambda: old.role, "the old primary answers")
        while time.monotonic() < deadline:
            self.assertEqual(self.active(revoked), [[], []])
        self.assert_orderly()


class UndoneTests(FailoverCase):
    """A replica is promoted that lacks the last writes."""

    def test_done_again(self) -> None:
        """What the processes revoked that still live is revoked on the new primary as well; lost tokens are counted."""
        tokens = [self.issue(self.pair[n % 2]) for n in range(20)]
        self.assertEqual(self.active(tokens), [tokens, tokens])
        until(self.replicated, "the replica has them")
        self.cut_replica_off()
        for number, token in enumerate(tokens[:10]):
            self.assertEqual(self.revoke(self.pair[number % 2], token).status, 200)
        lost = [self.issue(self.pair[0]) for _ in range(7)]
        self.service.primary.kill()
        self.wait_until_back()
        time.sleep(STALENESS)  # the bound that is promised
        self.assertEqual(self.active(tokens), [tokens[10:], tokens[10:]])
        self.assertEqual(self.active(lost), [[], []])
        self.assertEqual(self.told("oauthd_tokens_lost_total"), 7)
        self.assertEqual(self.told("oauthd_revocations_reapplied_total"), 10)

    def test_wide(self) -> None:
        """A revocation of everything that a client holds is done again, and spares what is issued afterwards."""
        tokens = [self.issue(self.pair[n % 2]) for n in range(4)]
        until(self.replicated, "the replica has them")
        self.cut_replica_off()
        self.visitors[0].api("DELETE", f"/oauth/tokens?client_id={self.app.client_id}", status=204)
        self.assertEqual(self.active(tokens), [[], []])
        self.service.primary.kill()
        self.wait_until_back()
        time.sleep(STALENESS)
        new = self.issue(self.pair[0])
        self.assertEqual(self.active([*tokens, new]), [[new], [new]])

    def replicated(self) -> bool:
        """Has the replica all that the primary has?"""
        offsets = {member.info("replication")["master_repl_offset"] for member in self.service.members}
        return len(offsets) == 1


class ConfirmedTests(FailoverCase):
    """With `store.revocation_wait = 1`."""

    settings = {"store_revocation_wait": "1", "store_revocation_wait_timeout": "0.3"}

    def test_confirmed(self) -> None:
        """A revocation that was answered 200 holds on the new primary, even if nobody lives who could do it again."""
        tokens = [self.issue(self.pair[n % 2]) for n in range(12)]
        outcomes: dict[str, int] = {}
        for number, token in enumerate(tokens[:10]):
            if number == 5:
                self.cut_replica_off()
            answer = self.revoke(self.pair[0], token)
            outcomes[token] = answer.status
            if answer.status != 200:
                self.assertEqual((answer.status, answer.error), (503, "temporarily_unavailable"))
        self.assertEqual(list(outcomes.values()), [200] * 5 + [503] * 5)
        self.pair[0].kill()
        self.service.primary.kill()
        self.pair, self.visitors = self.pair[1:], self.visitors[1:]
        self.wait_until_back()
        revoked = [token for token, status in outcomes.items() if status == 200]
        self.assertEqual(self.active(revoked), [[]])
        self.assertEqual(self.active(tokens[10:]), [tokens[10:]])

    def test_under_load(self) -> None:
        """Revocations go on while the primary dies: none that was answered 200 is ever active again."""
        revoked: list[str] = []
        statuses: set[int] = set()
        going = True

        def work(daemon: Daemon) -> None:
            while going:
                form = {"grant_type": "client_credentials"}
                issued = daemon.http.post("/oauth2/token", form, basic_auth=self.app.auth)
                if issued.status == 200:
                    token = issued.json()["access_token"]
                    status = self.revoke(daemon, token).status
                    statuses.add(status)
                    if status == 200:
                        revoked.append(token)

        threads = [threading.Thread(target=work, args=(daemon,)) for daemon in self.pair]
        for thread in threads:
            thread.start()
        try:
            until(lambda: len(revoked) > 100, "tokens are revoked")
            self.service.primary.kill()
            before = len(revoked)
            self.service.wait_for_failover()
        finally:
            going = False
            for thread in threads:
                thread.join()
        self.wait_until_served()
        self.assertGreaterEqual(len(revoked), before)
        self.assertLessEqual(statuses, {200, 503})
        self.assertEqual(self.active(revoked), [[], []])

    def wait_until_served(self) -> None:
        """Wait until both daemons read the store again."""
        for daemon in self.pair:
            until(lambda daemon=daemon: self.works(daemon), "it serves again")  # type: ignore[misc]

    def test_no_proof_without_replicas(self) -> None:
        """A primary that no replica confirms proves nothing: what is in memory is not used."""
        token = self.issue(self.pair[0])
        self.assertTrue(self.visitors[0].is_active(self.app, token))
        until(lambda: self.told("oauthd_proof_fresh") == 2, "memory is proven")
        self.cut_replica_off()
        until(lambda: self.told("oauthd_proof_fresh") == 0, "no proof any more")
        self.assertTrue(self.visitors[0].is_active(self.app, token))
