"""Introspection of many tokens at once: each as if it were asked for alone, all or none, and never an older answer."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from oauthd.endpoints.introspect_batch import MOST_TOKENS, IntrospectBatch
from oauthd.protocol.introspection import INACTIVE
from oauthd.stores import kinds
from oauthd.stores.entries import Entry
from oauthd.stores.interface import StoreUnavailable, Write
from tests.endpoints.test_introspect import RESOURCE, MemoryCase
from tests.server import App, ok
from tests.wire import Answer, basic

BATCH = "/oauth2/introspect/batch"


class BatchCase(MemoryCase):
    """A server with an application, a resource server, and some tokens."""

    async def prepare(self) -> None:
        """Store ten tokens."""
        await super().prepare()
        endpoint: Any = self.server.application.endpoints["introspect_batch"]
        self.batch: IntrospectBatch = endpoint
        self.names = [f"token-{n}" for n in range(10)]
        for name in self.names:
            await self.store(name)

    async def send(self, body: Any, caller: App | None = None, **more: Any) -> Answer:
        """Ask."""
        return await self.server.http.request(
            "POST", BATCH, json_body=body, basic_auth=(caller or self.rs).basic, **more
        )

    async def told(self, tokens: list[str], caller: App | None = None, **demands: Any) -> list[dict[str, Any]]:
        """The results."""
        found: list[dict[str, Any]] = ok(await self.send({"tokens": tokens, **demands}, caller))["results"]
        return found

    async def active(self, tokens: list[str], **demands: Any) -> list[bool]:
        """Which are active."""
        return [one["active"] for one in await self.told(tokens, **demands)]

    async def single(self, token: str, caller: App | None = None) -> dict[str, Any]:
        """What the introspection endpoint says."""
        return await self.server.introspect(token, caller or self.rs)


class ResultTests(BatchCase):
    """What is told."""

    async def test_as_one_by_one(self) -> None:
        """Each result is what the introspection endpoint says, in the order of the tokens, unknown ones between."""
        tokens = [self.names[3], "unknown", self.names[0], "", "x" * 20000, "\u00e4", self.names[3]]
        told = await self.told(tokens)
        single = [await self.single(token) if token else {"active": False} for token in tokens]
        self.assertEqual(told, single)
        self.assertEqual([one["active"] for one in told], [True, False, True, False, False, False, True])
        self.assertEqual(await self.told(tokens), told)  # and again, from memory

    async def test_both_families(self) -> None:
        """The other path is the same endpoint, and no answer is to be stored."""
        answer = await self.server.http.request(
            "POST", "/oauth/introspect/batch", json_body={"tokens": self.names}, basic_auth=self.rs.basic
        )
        self.assertEqual(len(ok(answer)["results"]), 10)
        self.assertEqual(answer.header("cache-control"), "no-store")
        self.assertEqual(ok(await self.send({"tokens": []})), {"results": []})

    async def test_where_it_is(self) -> None:
        """It is behind the introspection endpoint; the metadata have no member of a name that nobody knows."""
        told = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertTrue(f"{told['introspection_endpoint']}/batch".endswith(BATCH))
        self.assertFalse([name for name in told if "batch" in name])

    async def test_a_thousand(self) -> None:
        """A thousand tokens are answered, with few reads for all of them; and then from memory with none."""
        tokens = [f"many-{n}" for n in range(MOST_TOKENS)]
        for token in tokens[::2]:
            await self.store(token)
        expected = [True, False] * (MOST_TOKENS // 2)
        found: list[bool] = []

        async def ask() -> None:
            found[:] = await self.active(tokens[::2] + tokens[1::2])

        reads: list[Any] = []
        records = self.server.store.records

        async def counted(kind: Any, idents: Any) -> Any:
            reads.append(idents)
            return await records(kind, idents)

        self.patch(self.server.store, "records", counted)
        await ask()
        self.assertEqual(found, sorted(expected, reverse=True))
        self.assertEqual(len(reads), 4)
        tokens[1::2] = tokens[::2]  # unknown ones are never kept
        await ask()
        self.assertEqual((found, len(reads)), ([True] * MOST_TOKENS, 4))

    async def test_duplicates_cost_once(self) -> None:
        """The same token many times is read once, and counted once."""
        misses = self.endpoint.counts.misses
        self.assertEqual(await self.active([self.names[0], self.names[1]] * 500), [True] * 1000)
        self.assertEqual(self.endpoint.counts.misses, misses + 2)

    async def test_audiences(self) -> None:
        """A token for a resource is told to its owner and its client, and is inactive for others, in batches too."""
        await self.store("audience", audience=(RESOURCE,))
        owner = await self.server.client("owner", resources=(RESOURCE,))
        for _ in range(2):
            for caller, active in ((self.rs, False), (owner, True), (self.app, True), (self.rs, False)):
                told = await self.told(["audience", self.names[0]], caller)
                self.assertEqual([one["active"] for one in told], [active, True])

    async def test_refresh_tokens(self) -> None:
        """Refresh tokens are told to their own client alone, each as the introspection endpoint tells it."""
        client, alice = await self.server.client("web"), await self.server.user()
        first, second = [await self.server.signed_in(client, alice, scope="read") for _ in range(2)]
        other = await self.server.signed_in(await self.server.client("other"), alice, scope="read")
        await self.server.post("/oauth2/revoke", {"token": second["refresh_token"]}, basic=client.basic)
        tokens = [one["refresh_token"] for one in (first, second, other)] + ["ort_x", self.names[0]]
        told = await self.told(tokens, client)
        self.assertEqual([one["active"] for one in told], [True, False, False, False, True])
        self.assertEqual(told[0], await self.single(tokens[0], client))
        self.assertEqual(await self.active(tokens), [False] * 4 + [True])


class RefusalTests(BatchCase):
    """What is refused, and that nothing of it is told."""

    async def test_callers(self) -> None:
        """Who may not introspect one token may not introspect many."""
        body = {"tokens": self.names}
        self.refused(await self.server.http.request("POST", BATCH, json_body=body), "invalid_client", 401)
        wrong = await self.server.http.request("POST", BATCH, json_body=body, basic_auth=("rs", "wrong"))
        self.refused(wrong, "invalid_client", 401)
        spa = await self.server.client("spa", public=True)
        named = await self.server.http.request("POST", BATCH, json_body=body | {"client_id": spa.client_id})
        self.refused(named, "invalid_client", 401)
        self.refused(await self.send(body, await self.server.client("nosy", introspects=False)), "unauthorized_client")

    async def test_credentials_in_the_body(self) -> None:
        """A client whose secret stands in the body has it there by the names of the form; never in the query."""
        client = await self.server.client("poster", auth_method="client_secret_post")
        body = {"tokens": self.names, "client_id": client.client_id, "client_secret": client.secret}
        self.assertEqual(len(ok(await self.server.http.request("POST", BATCH, json_body=body))["results"]), 10)
        query = {"client_id": client.client_id, "client_secret": client.secret}
        answer = await self.server.http.request("POST", BATCH, query=query, json_body={"tokens": self.names})
        self.refused(answer, "invalid_client", 401)

    async def test_shapes(self) -> None:
        """A body of another shape is refused as a whole."""
        token = self.names[0]
        for body in (
            {},
            {"tokens": token},
            {"tokens": {"a": token}},
            {"tokens": [token, 1]},
            {"tokens": [token, None]},
            {"tokens": [token, [token]]},
            {"tokens": [token, {"token": token}]},
            {"tokens": [token] * (MOST_TOKENS + 1)},
            {"tokens": [token], "required_scope": ["read"]},
            {"tokens": [token], "max_age": True},
            {"tokens": [token], "max_age": -1},
            {"tokens": [token], "max_age": "soon"},
            {"tokens": [token], "client_id": None},
            {"tokens": [token], "client_id": "rs\n"},
            [token],
        ):
            self.refused(await self.send(body), "invalid_request")

    async def raw(self, body: bytes, content_type: str = "application/json") -> Answer:
        """Send these octets."""
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), ("Connection", "close")]
        credentials = ("Authorization", basic(self.rs.client_id, self.rs.secret))
        head = "".join(f"{name}: {value}\r\n" for name, value in [*headers, credentials])
        data = f"POST {BATCH} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode() + body
        return await self.server.http.raw(data)

    async def test_octets(self) -> None:
        """JSON that is broken, not UTF-8, deep, or can be read in two ways is refused; so is a form."""
        token = self.names[0].encode()
        for body in (
            b"",
            b"{",
            b'{"tokens":["\xff"]}',
            b'{"tokens":["\\ud800"]}',
            b'{"tokens":["a"],"tokens":["%b"]}' % token,
            b'{"tokens":["a"],"client_id":"rs","client_id":"app"}',
            b'{"tokens":' + b"[" * 5000 + b"]" * 5000 + b"}",
            b'{"tokens":["a"],"x":' + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"}",
            b'{"tokens":["a"],"max_age":' + b"9" * 6000 + b"}",
        ):
            answer = await self.raw(body)
            self.assertEqual((answer.status, answer.error), (400, "invalid_request"), body[:50])
        for kind in ("application/x-www-form-urlencoded", "text/plain"):
            self.assertEqual((await self.raw(b"token=" + token, kind)).status, 415)

    async def test_brackets_in_tokens(self) -> None:
        """A token full of brackets, quotes and escapes is a token like another: it keeps nobody from the rest."""
        odd = "[[[[{{{{\"\\\\]]]]}}}}\\ud800"
        self.assertEqual(await self.active([odd, self.names[0], odd * 50]), [False, True, False])

    async def test_sizes(self) -> None:
        """A body is as large as the setting lets it be, far beyond that of other paths."""
        largest = self.server.settings.introspection.batch_body
        tokens = [self.names[0], "x" * (largest - 200)]
        self.assertEqual(await self.active(tokens), [True, False])


class FreshnessTests(BatchCase):
    """No result is older than a single answer would be."""

    async def test_revoked_between(self) -> None:
        """A hundred revocations between and during batches: from each one on its token is inactive in every batch."""
        tokens = [f"drill-{n}" for n in range(100)]
        for token in tokens:
            await self.store(token)
        ended: set[str] = set()
        for n, token in enumerate(tokens):
            new = [f"new-{n}"] if n % 2 else []  # so that the batch waits for a read
            batch = Deferred.fromCoroutine(self.told([*tokens[n::7], *tokens, *new]))
            await self.server.application.tokens.end_access(token)
            ended.add(token)
            await batch
            told = await self.told(tokens)
            self.assertEqual({one for one, said in zip(tokens, told, strict=True) if not said["active"]}, ended)

    async def test_what_ends_while_the_rest_is_read(self) -> None:
        """A token that was found in memory and ends while others are still read is inactive in that very answer."""
        await self.active(self.names)  # they are in memory now
        await self.store("late")
        ask = self.endpoint.answers.ask
        held: list[Any] = []
        self.patch(type(self.endpoint.answers), "ask", lambda _, digest, waiter, token: held.append((digest, waiter)))
        batch = Deferred.fromCoroutine(self.told([*self.names, "late"]))
        for _ in range(50):
            await deferLater(reactor, 0)
        self.assertEqual(len(held), 1)
        for end in (self.names[2], self.names[7]):
            await self.server.application.tokens.end_access(end)
        patched, held = held, []
        self.patch(type(self.endpoint.answers), "ask", lambda _, digest, waiter, token: ask(digest, waiter))
        for digest, waiter in patched:
            ask(digest, waiter)
        told = [one["active"] for one in await batch]
        self.assertEqual(told, [True, True, False, True, True, True, True, False, True, True, True])

    async def test_answers_that_came_too_late(self) -> None:
        """What a read found is not told when more time has passed since than a proof counts: it is read anew."""
        self.cache.flush()  # nothing can be kept without a proof
        clock, rounds = self.server.clock, []
        read = IntrospectBatch._read

        async def slow(batch: IntrospectBatch, tokens: Any) -> dict[str, Entry]:
            rounds.append(list(tokens))
            found = await read(batch, tokens)
            if len(rounds) == 1:
                clock.advance(self.cache.max_staleness)
            return found

        self.patch(IntrospectBatch, "_read", slow)
        self.assertEqual(await self.active([*self.names, "unknown"]), [True] * 10 + [False])
        self.assertEqual([len(one) for one in rounds], [11, 10])

    async def test_never_in_time(self) -> None:
        """Where every answer comes too late there is none at all."""
        self.cache.flush()
        read = IntrospectBatch._read

        async def slow(batch: IntrospectBatch, tokens: Any) -> dict[str, Entry]:
            found = await read(batch, tokens)
            self.server.clock.advance(self.cache.max_staleness)
            return found

        self.patch(IntrospectBatch, "_read", slow)
        self.refused(await self.send({"tokens": self.names}), "temporarily_unavailable", 503)

    async def test_all_or_none(self) -> None:
        """Where the store fails for one of them nothing is told of any, though memory knows most."""
        await self.active(self.names)
        ask = self.endpoint.answers.ask

        def failing(_: Any, digest: bytes, waiter: Any, token: bytes) -> None:
            if len(seen) == 1:
                waiter(Failure(StoreUnavailable("away")))
            else:
                ask(digest, waiter)
            seen.append(digest)

        seen: list[bytes] = []
        self.patch(type(self.endpoint.answers), "ask", failing)
        answer = await self.send({"tokens": [*self.names, "one", "two", "three"]})
        self.refused(answer, "temporarily_unavailable", 503)
        self.assertNotIn(b"results", answer.body)
        self.assertEqual(len(seen), 3)

    async def test_without_a_proof(self) -> None:
        """Without a proof of freshness nothing comes from memory, and everything from the store."""
        await self.active(self.names)
        self.server.clock.advance(self.cache.max_staleness)
        await self.server.application.tokens.end_access(self.names[0])
        self.assertEqual(await self.active(self.names), [False] + [True] * 9)

    async def test_expiry(self) -> None:
        """A token ends in batches, too, at the second that it names."""
        await self.active(self.names)
        self.server.clock.advance(599)
        self.prove()
        self.assertEqual(await self.active(self.names), [True] * 10)
        self.server.clock.advance(1)
        self.prove()
        self.assertEqual(await self.active(self.names), [False] * 10)


class DemandTests(BatchCase):
    """What the caller demands of all of them."""

    async def test_demands(self) -> None:
        """A demand beside the tokens holds for each; without one all are told."""
        await self.store("writing")
        for name in ("plain", "fresh"):
            await self.store(name)
        stored = [await self.server.store.get(kinds.access_token(name)) for name in ("plain", "fresh")]
        now = int(self.server.clock.seconds())
        for (one,), facts in zip(stored, ({}, {"auth_time": now, "acr": "urn:x:high"}), strict=True):
            assert one is not None
            await self.server.store.put(Write(one.ref, replace(one.record, scope=("read",), **facts)))
        tokens = ["plain", "writing", "fresh"]
        for _ in range(2):
            self.assertEqual(await self.active(tokens), [True] * 3)
            self.assertEqual(await self.active(tokens, required_scope="write"), [False, True, False])
            self.assertEqual(await self.active(tokens, max_age=60), [False, False, True])
            self.assertEqual(await self.active(tokens, acr_values="urn:x:low urn:x:high"), [False, False, True])
            self.assertEqual(await self.active(tokens, required_audience="https://other.example"), [False] * 3)

    async def test_results_are_told_as_they_are(self) -> None:
        """What meets the demands is told in full, as the bytes of the introspection endpoint."""
        answer = await self.send({"tokens": [self.names[0], "x"], "required_scope": "read"})
        alone = await self.server.post("/oauth2/introspect", {"token": self.names[0]}, basic=self.rs.basic)
        self.assertEqual(answer.body, b'{"results":[%b,%b]}' % (alone.body, INACTIVE))
        self.assertEqual(json.loads(alone.body)["scope"], "read write")

    async def test_a_caller_who_changes(self) -> None:
        """Who loses the right to introspect has lost it for batches at the next request."""
        await self.active(self.names)
        await self.clients.update("rs", lambda client: replace(client, introspects=False))
        self.refused(await self.send({"tokens": self.names}), "unauthorized_client")
