"""Faults of the store that are no absence: slow, forgetful of scripts, silent or cut off for the subscription alone."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

from tests.live.between import Between
from tests.live.daemon import MASTER_KEY, Daemon, LiveCase, until
from tests.live.test_store_away import BACK, IN_TIME, Talking
from tests.live.visitor import Http, Visitor
from tests.wire import Answer

STALENESS = 2.0  # seconds; the default of cache.max_staleness


class OutageCase(LiveCase):
    """Two daemons on one store; the second reaches it through a proxy."""

    def setUp(self) -> None:
        """Start all of them."""
        super().setUp()
        self.redis = self.store()
        self.between = Between(self.redis.port, self.folder)
        self.addCleanup(self.between.close)
        urls = (self.redis.tcp_url, f"redis://127.0.0.1:{self.between.port}")
        self.metrics = [str(self.folder / f"metrics{number}") for number in range(2)]
        self.near, self.far = (
            self.daemon("--redis", url, keys_master_keys=MASTER_KEY, metrics_listen=f"unix:{path}")
            for url, path in zip(urls, self.metrics, strict=True)
        )
        self.visitors = [Visitor.of(daemon.http, self.near.credentials) for daemon in (self.near, self.far)]
        self.app = self.visitors[0].client()
        until(lambda: self.told("oauthd_proof_fresh") == [1, 1], "memory is proven")

    def issue(self, number: int = 0) -> str:
        """A token, by the daemon of that number."""
        token: str = self.visitors[number % 2].tokens(self.app, grant_type="client_credentials")["access_token"]
        return token

    def revoke(self, daemon: Daemon, token: str) -> Answer:
        """The answer to its revocation."""
        return daemon.http.post("/oauth2/revoke", {"token": token}, basic_auth=self.app.auth)

    def introspect(self, daemon: Daemon, token: str) -> Answer:
        """The answer about it."""
        return daemon.http.post("/oauth2/introspect", {"token": token}, basic_auth=self.app.auth)

    def is_active(self, daemon: Daemon, token: str) -> bool:
        """Is it? There must be an answer."""
        answer = self.introspect(daemon, token)
        self.assertEqual(answer.status, 200)
        return bool(answer.json()["active"])

    def told(self, name: str) -> list[float]:
        """A metric of both daemons."""
        pages = (Http(path=path).get("/metrics").text for path in self.metrics)
        return [sum(map(float, re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE))) for page in pages]

    def subscribers(self) -> list[int]:
        """The ports at the other end of the subscriptions, as the store sees them."""
        listing: Any = self.redis.say("CLIENT", "LIST", "TYPE", "pubsub")
        return [int(port) for port in re.findall(r" addr=127\.0\.0\.1:(\d+) ", listing.decode())]


class SubscriptionTests(OutageCase):
    """The subscription alone suffers."""

    def test_killed(self) -> None:
        """A subscription that is cut again and again costs memory, never an answer, and never a right one."""
        for _ in range(20):
            tokens = [self.issue() for _ in range(2)]
            for daemon in (self.near, self.far):
                for _ in range(3):
                    self.assertTrue(all(self.is_active(daemon, token) for token in tokens))
            self.redis.say("CLIENT", "KILL", "TYPE", "pubsub")
            asked = time.monotonic()
            self.assertEqual(self.revoke(self.near, tokens[0]).status, 200)
            self.assertFalse(self.is_active(self.near, tokens[0]))
            until(lambda tokens=tokens: not self.is_active(self.far, tokens[0]), "it is heard", STALENESS)  # type: ignore[misc]
            self.assertLess(time.monotonic() - asked, STALENESS)
            self.assertTrue(self.is_active(self.far, tokens[1]))
        self.assertGreater(min(self.told("oauthd_subscriptions_lost_total")), 0)
        until(lambda: self.told("oauthd_proof_fresh") == [1, 1], "memory is proven again")

    def test_silent(self) -> None:
        """A subscription that seems to stand and is silent: no answer is older than is promised, and it is replaced."""
        before = set(self.subscribers())
        tokens = [self.issue() for _ in range(3)]
        for token in tokens:
            self.assertTrue(self.is_active(self.far, token))
        (behind,) = before & set(self.between.ports)
        self.between.stop(behind)
        outcomes: list[tuple[float, bool]] = []
        self.assertEqual(self.revoke(self.near, tokens[0]).status, 200)
        revoked = time.monotonic()
        while time.monotonic() < revoked + 2 * STALENESS:
            asked = time.monotonic()
            outcomes.append((asked, self.is_active(self.far, tokens[0])))
            self.assertTrue(self.is_active(self.far, tokens[1]))
        late = [asked - revoked for asked, active in outcomes if active and asked > revoked + STALENESS]
        print(f"active for {max((asked - revoked for asked, active in outcomes if active), default=0):.2f} s")
        self.assertEqual(late, [])
        self.assertFalse(outcomes[-1][1])
        until(lambda: self.told("oauthd_proof_fresh") == [1, 1], "memory is proven again")
        self.assertEqual(self.told("oauthd_subscriptions_lost_total")[1], 1)
        self.assertTrue(set(self.subscribers()) - before)


class SlownessTests(OutageCase):
    """A store that does one thing for a long time."""

    def test_slow(self) -> None:
        """Replies that take longer than is waited for are 503 in time; afterwards all is well, and a repeat is fine."""
        token = self.issue()
        self.assertTrue(self.is_active(self.near, token))
        with Talking(self.redis.path) as talk:
            busy = threading.Thread(target=talk.say, args=("EVAL", _BUSY, "0", "4.5"))
            begun = time.monotonic()
            busy.start()
            self.addCleanup(busy.join)
            until(lambda: self.introspect(self.near, "unknown").status == 503, "it is busy")
            while time.monotonic() < begun + 4:
                asked = time.monotonic()
                answers = [self.introspect(daemon, "unknown") for daemon in (self.near, self.far)]
                answers.append(self.revoke(self.near, token))
                self.assertLess(time.monotonic() - asked, len(answers) * IN_TIME)
                for answer in answers:
                    self.assertEqual(answer.status, 503, answer.body)
                    self.assertRegex(answer.header("retry-after"), r"\A[1-9]\d*\Z")
            busy.join()
        until(lambda: self.revoke(self.near, token).status == 200, "it is back", BACK)
        for daemon in (self.near, self.far):
            until(lambda daemon=daemon: self.introspect(daemon, token).status == 200, "it is back", BACK)  # type: ignore[misc]
            self.assertFalse(self.is_active(daemon, token))

    def test_too_few_replicas(self) -> None:
        """A store that may not write for want of replicas is read: introspection is answered, and not from memory."""
        token = self.issue()
        self.assertTrue(self.is_active(self.near, token))
        self.redis.say("CONFIG", "SET", "min-replicas-to-write", "1")
        self.assertEqual(self.revoke(self.near, token).status, 503)
        until(lambda: self.told("oauthd_proof_fresh") == [0, 0], "no proof any more")
        self.assertTrue(self.is_active(self.far, token))
        self.redis.say("CONFIG", "SET", "min-replicas-to-write", "0")
        until(lambda: self.told("oauthd_proof_fresh") == [1, 1], "memory is proven again")
        self.assertEqual(self.revoke(self.near, token).status, 200)

    def test_scripts_forgotten(self) -> None:
        """A store that has forgotten its scripts is taught them again, and nobody notices."""
        for _ in range(10):
            self.redis.say("SCRIPT", "FLUSH")
            token = self.issue()
            self.assertTrue(self.is_active(self.far, token))
            self.redis.say("SCRIPT", "FLUSH")
            self.assertEqual(self.revoke(self.far, token).status, 200)
            self.assertFalse(self.is_active(self.far, token))
        self.assertEqual(self.told("oauthd_store_failures_total"), [0, 0])


class ForgetfulTests(OutageCase):
    """A store that lost what it held last, as after a crash of its machine."""

    def test_restarted(self) -> None:
        """What was revoked before a store came back from an older state is revoked again, lost tokens are counted."""
        tokens = [self.issue(number) for number in range(6)]  # who revokes a token has issued it, else it seems lost
        self.redis.say("BGREWRITEAOF")
        until(lambda: b"aof_rewrite_in_progress:0" in self.persistence(), "the file is rewritten")
        older = {file: file.read_bytes() for file in (self.redis.folder / "appendonlydir").iterdir()}
        for number, token in enumerate(tokens[:4]):
            self.assertEqual(self.revoke((self.near, self.far)[number % 2], token).status, 200)
        lost = [self.issue() for _ in range(5)]
        self.redis.kill()
        for file in (self.redis.folder / "appendonlydir").iterdir():
            file.unlink()
        for file, content in older.items():
            file.write_bytes(content)
        self.redis.begin()
        for daemon in (self.near, self.far):
            until(lambda daemon=daemon: self.introspect(daemon, "unknown").status == 200, "it is back", BACK)  # type: ignore[misc]
        until(lambda: sum(self.told("oauthd_revocations_reapplied_total")) == 4, "all are done again")
        for daemon in (self.near, self.far):
            self.assertEqual([self.is_active(daemon, token) for token in tokens], [False] * 4 + [True] * 2)
            self.assertEqual([self.is_active(daemon, token) for token in lost], [False] * 5)
        self.assertEqual(sum(self.told("oauthd_tokens_lost_total")), 5)

    def persistence(self) -> bytes:
        """What the store tells of its file."""
        found = self.redis.say("INFO", "persistence")
        assert isinstance(found, bytes)
        return found


_BUSY = """
local began = redis.call('TIME')
repeat
  local now = redis.call('TIME')
until now[1] - began[1] + (now[2] - began[2]) / 1000000 > tonumber(ARGV[1])
return 1
"""
