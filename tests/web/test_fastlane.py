"""The fast lane gives the same bytes as the ordinary path, to the same callers, in the same order; and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve
from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from oauthd.keys import Keys, NoSigningKey
from oauthd.stores import naming
from oauthd.stores.address import Primary
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.invalidation import Invalidation
from tests.server import DEVICE_GRANT, App
from tests.valkey import start_valkey
from tests.web.lane import INTROSPECT, TOKEN, LaneCase, json_of, request, status, turn, until

INACTIVE = b'{"active":false}'
MACHINE = {"grant_type": "client_credentials"}


class Machines(LaneCase):
    """A client with a token, and a resource server that asks about it."""

    async def prepare(self) -> None:
        """Make them."""
        await super().prepare()
        self.app = await self.server.client(scopes=("read", "write"))
        self.api = await self.server.client("api")
        self.token = await self.machine_token(self.app)
        self.asking = request(INTROSPECT, {"token": self.token}, self.api)

    def asking_of(self, token: str, **more: str) -> bytes:
        """The resource server asks about a token."""
        return request(INTROSPECT, {"token": token, **more}, self.api)

    def held(self, verb: str = "records") -> list[Deferred[None]]:
        """From now on calls of the store wait for a test to call these."""
        waiting: list[Deferred[None]] = []
        carried_out = getattr(self.server.store, verb)

        async def later(*arguments: Any) -> Any:
            mine: Deferred[None] = Deferred()
            waiting.append(mine)
            await mine
            return await carried_out(*arguments)

        self.patch(self.server.store, verb, later)
        return waiting


class NotMixedTests(Machines):
    """What one request taught answers no other one."""

    async def test_an_answer_teaches_its_own_request(self) -> None:
        """A request that was refused is not learned from the answer to a later one of the same connection."""
        await self.taught(self.asking)
        stranger = request(INTROSPECT, {"token": self.token}, (self.api.client_id, "no such secret"))
        line = self.line()
        for _ in range(3):
            self.assertEqual(status(await line.ask(stranger)), 401)
            self.assertEqual(status(await line.ask(self.asking)), 200)  # on the lane
            self.cache.flush()
            self.prove()
            self.assertEqual(status(await line.ask(self.asking)), 200)  # on the ordinary path
        self.assertEqual(status(await line.ask(stranger)), 401)
        self.assertEqual(status(await self.line().ask(stranger)), 401)

    async def test_more_than_was_taught(self) -> None:
        """A body that begins with a known one, and says more, is read anew."""
        known = request(TOKEN, {"grant_type": "client_credentials"}, self.app)
        line = await self.taught(known)
        narrower = request(TOKEN, {"grant_type": "client_credentials", "scope": "read"}, self.app)
        self.assertIn(b'"scope":"read"', json_of(await line.ask(narrower)))
        refused = await line.ask(request(TOKEN, b"grant_type=client_credentials2", self.app))
        self.assertIn(b"unsupported_grant_type", json_of(refused))
        repeated = request(TOKEN, b"grant_type=client_credentials&grant_type=client_credentials", self.app)
        self.assertEqual(status(await line.ask(repeated)), 400)

    async def test_larger_than_allowed(self) -> None:
        """A body beyond the limit is refused, however well its head is known."""
        settings = self.server.settings
        self.site = self.new_site(self.timers, evolve(settings, server=evolve(settings.server, body_limit=1024)))
        line = await self.taught(self.asking)
        long = request(INTROSPECT, b"token=" + b"a" * 2000, self.api)
        self.assertEqual(status(await line.ask(long)), 413)

    async def test_empty_lines_between_requests(self) -> None:
        """Who sends an empty line before or after each request is answered as ever, known or not."""
        line = await self.taught(self.asking)
        for _ in range(3):
            self.assertEqual(status(await line.ask(b"\r\n", self.asking)), 200)
        hits = self.counts.hits
        await line.ask(self.asking)
        self.assertEqual(self.counts.hits, hits + 1)

    async def test_assertions(self) -> None:
        """A body with an assertion is learned by nobody, however its name is written."""
        for name in (b"assertion", b"some%5Fassertion", b"assertio%6e"):
            asking = request(INTROSPECT, b"token=%b&%b=x" % (self.token.encode(), name), self.api)
            for _ in range(3):
                self.assertEqual(status(await self.line().ask(asking)), 200)
        self.assertEqual(self.counts.learned, 0)

    async def test_each_its_own_view(self) -> None:
        """A token with an audience is told to those whom it is for and to nobody else, whoever asked before."""
        owner = await self.server.client("owner", resources=("https://api.example",))
        token = await self.machine_token(self.app, resource="https://api.example")
        allowed = [request(INTROSPECT, {"token": token}, app) for app in (owner, self.app)]
        stranger = self.asking_of(token)
        line = await self.taught(*allowed, stranger)
        hits = self.told[:2]
        for _ in range(3):
            for asking in allowed:
                self.assertIn(b'"active":true', json_of(await line.ask(asking)))
            self.assertEqual(json_of(await line.ask(stranger)), INACTIVE)
        self.assertEqual(self.told[:2], (hits[0] + 6, hits[1] + 3))

    async def test_refresh_tokens(self) -> None:
        """A refresh token is told to its own client alone, on the lane as elsewhere, until it ends."""
        machine = await self.server.client("machine", machine_refresh=True)
        given = (await self.server.token(machine, "client_credentials")).json()["refresh_token"]
        own = request(INTROSPECT, {"token": given}, machine)
        line = await self.taught(own, self.asking_of(given))
        misses = self.counts.misses
        self.assertIn(b'"active":true', json_of(await line.ask(own)))
        self.assertEqual(json_of(await line.ask(self.asking_of(given))), INACTIVE)
        self.assertEqual(self.counts.misses, misses + 2)
        await self.server.application.revoke.end(given, None)
        self.assertEqual(json_of(await line.ask(own)), INACTIVE)

    async def test_both_families(self) -> None:
        """What was learned at one path is not known at the other."""
        other = request("/oauth/introspect", {"token": self.token}, self.api)
        line = await self.taught(self.asking)
        learned, hits = self.counts.learned, self.counts.hits
        first, second, third = [await line.ask(other) for _ in range(3)]
        self.assertEqual((first, second), (third, third))
        self.assertEqual((self.counts.learned, self.counts.hits), (learned + 1, hits + 1))
        self.assertEqual({path for _, path, _ in self.accesses[-2:]}, {"/oauth/introspect"})

    async def test_credentials_in_the_body(self) -> None:
        """Clients that send their secrets in the body share a header block and nothing else."""
        forms = [
            {"client_id": app.client_id, "client_secret": secret, "token": self.token}
            for app in (self.api, self.app)
            for secret in (app.secret, app.secret[:-1] + "x")
        ]
        line = self.line()
        for _ in range(4):
            told = [status(await line.ask(request(INTROSPECT, form))) for form in forms]
            self.assertEqual(told, [200, 401, 200, 401])
        self.assertGreaterEqual(self.counts.hits, 2)
        mixed = forms[0] | {"client_id": self.app.client_id}
        self.assertEqual(status(await line.ask(request(INTROSPECT, mixed))), 401)


class SameBytesTests(Machines):
    """The lane's answers beside those of the ordinary path."""

    async def both(self, sent: bytes, kind: int) -> bytes:
        """The answer of both ways, which must be the same; `kind` is the count that goes up on the lane."""
        plain = evolve(self.server.settings, cache=evolve(self.server.settings.cache, lane=False))
        lane, self.site = self.site, self.new_site(self.timers, plain)
        ordinary = await self.line().ask(sent)
        self.site = lane
        line = await self.taught(sent)
        before = self.told[kind]
        fast = await line.ask(sent)
        self.assertEqual(self.told[kind], before + 1)
        self.assertEqual(fast, ordinary)
        return fast

    async def test_introspection(self) -> None:
        """Live and dead tokens, of either format, of a user and of none."""
        opaque = await self.server.client("opaque", access_format="opaque")
        signed_in = await self.server.signed_in(self.app, await self.server.user("zo\u00eb"), scope="read")
        for token in (self.token, await self.machine_token(opaque), signed_in["access_token"]):
            self.assertIn(b'"active":true', await self.both(self.asking_of(token), 0))
            await self.server.application.revoke.end(token, None)
            self.assertEqual(json_of(await self.both(self.asking_of(token, a=token[-5:]), 1)), INACTIVE)
        for nothing in ("nothing", "oat_nothing", "a" * 9000, "-._~"):
            self.assertEqual(json_of(await self.both(self.asking_of(nothing, a=nothing[:5]), 2)), INACTIVE)

    async def test_issue(self) -> None:
        """A token is answered with the same head, which lets scripts of other origins read it; only itself differs."""
        machine = await self.server.client("machine", access_format="opaque")
        asking = request(TOKEN, {**MACHINE, "scope": "read"}, machine)
        line = self.line()
        answers = [await line.ask(asking) for _ in range(4)]
        self.assertEqual((self.counts.learned, self.counts.issued), (1, 2))
        self.assertEqual(len({answer.partition(b"oat_")[0] for answer in answers}), 1)
        self.assertEqual(len({answer.partition(b'","token_type')[2] for answer in answers}), 1)
        self.assertEqual(len(set(answers)), 4)
        self.assertIn(b"\r\nAccess-Control-Allow-Origin: *\r\n", answers[3])
        for answer in answers:
            token = json_of(answer).split(b'"')[3].decode()
            self.assertTrue(await self.server.active(token))

    async def test_errors(self) -> None:
        """An error is told on the lane as elsewhere: head, body, and that the connection goes on."""
        machine = await self.server.client("machine", machine_refresh=True)
        given = (await self.server.token(machine, "client_credentials")).json()["refresh_token"]
        wrong = given[:-1] + ("a" if given[-1] != "a" else "b")

        def asking(token: str) -> bytes:
            return request(TOKEN, {"grant_type": "refresh_token", "refresh_token": token}, machine)

        ordinary = await self.line().ask(asking(wrong))
        line = self.line()
        for _ in range(2):
            answer = await line.ask(asking(given))
            given = json_of(answer).split(b'"refresh_token":"')[1].split(b'"')[0].decode()
        self.assertEqual(self.counts.learned, 1)
        self.accesses.clear()
        self.assertEqual(await line.ask(asking(wrong)), ordinary)
        self.assertEqual((status(ordinary), self.accesses), (400, [("POST", "/oauth2/token", 400)]))
        self.assertIn(b'"invalid_grant"', ordinary)
        self.assertEqual(status(await line.ask(asking(given))), 200)
        self.assertEqual(self.counts.issued, 1)

    async def test_store_away(self) -> None:
        """When the store is away both say 503, and when to come back; what is in memory is told."""
        line = await self.taught(self.asking, request(TOKEN, MACHINE, self.app))

        async def away(*arguments: Any) -> Any:
            raise StoreUnavailable("away")

        for verb in ("get", "records", "put", "commit", "get_with_generations"):
            self.patch(self.server.store, verb, away)
        fresh = self.line()
        for asking in (self.asking_of("a" * 60), request(TOKEN, MACHINE, self.app)):
            fast = await line.ask(asking)
            ordinary = await fresh.ask(asking.replace(b"Host", b"Cookie: a=b\r\nHost"))
            self.assertEqual(fast, ordinary)
            self.assertEqual(status(fast), 503)
            self.assertIn(b"\r\nRetry-After: 1\r\n", fast)
        self.assertIn(b'"active":true', await line.ask(self.asking))


class ForgettingTests(Machines):
    """What was decided once holds as long as it would be decided so again."""

    async def changes(self, change: Callable[[], Awaitable[Any]], expected: int, *, sent: bytes = b"") -> None:
        """After a change the very next request is answered otherwise."""
        sent = sent or self.asking
        line = await self.taught(sent)
        self.assertEqual(status(await line.ask(sent)), 200)
        await change()
        for one in (line, self.line()):
            self.assertEqual(status(await one.ask(sent)), expected)

    def update(self, app: App, **facts: Any) -> Callable[[], Awaitable[Any]]:
        """Change a client."""
        return lambda: self.server.application.clients.update(app.client_id, lambda client: replace(client, **facts))

    async def test_deactivated(self) -> None:
        """A client that was deactivated is off the lane at once."""
        await self.changes(self.update(self.api, is_active=False), 401)

    async def test_permission(self) -> None:
        """So is one that may no longer introspect."""
        await self.changes(self.update(self.api, introspects=False), 400)

    async def test_deleted(self) -> None:
        """And one that was deleted."""
        await self.changes(lambda: self.server.application.clients.delete("api"), 401)

    async def test_grant_types(self) -> None:
        """And one that may no longer have tokens in this way."""
        issue = request(TOKEN, MACHINE, self.app)
        await self.changes(self.update(self.app, grant_types=(DEVICE_GRANT,)), 400, sent=issue)

    async def test_format(self) -> None:
        """What tokens look like, and what they are for, changes with the client for the very next one."""
        issue = request(TOKEN, MACHINE, self.app)
        line = await self.taught(issue)
        await self.update(self.app, access_format="opaque", default_scopes=("read",))()
        for _ in range(4):
            answer = json_of(await line.ask(issue))
            self.assertIn(b'"access_token":"oat_', answer)
            self.assertIn(b'"scope":"read"', answer)

    async def test_scopes(self) -> None:
        """A scope that was deleted is granted no more, and one that was made is at once."""
        issue = request(TOKEN, {**MACHINE, "scope": "read"}, self.app)
        line = await self.taught(issue)
        scopes = self.server.application.scopes
        [read] = [one for one in (await scopes.all()).scopes if one.name == "read"]
        await scopes.delete(read.scope_id)
        self.assertIn(b"invalid_scope", json_of(await line.ask(issue)))
        await scopes.create(replace(read, scope_id=0))
        self.assertIn(b'"scope":"read"', json_of(await line.ask(issue)))

    async def test_all_tokens_end(self) -> None:
        """A token issued on the lane after all tokens of a client ended, or of everybody, is a live one."""
        issue = request(TOKEN, MACHINE, self.app)
        line = await self.taught(issue)
        tokens = self.server.application.tokens
        for end in (lambda: tokens.end_all_of_client("app"), tokens.end_everything) * 2:
            old = json_of(await line.ask(issue)).split(b'"')[3].decode()
            await end()
            self.assertFalse(await self.server.active(old))
            for _ in range(3):
                new = json_of(await line.ask(issue)).split(b'"')[3].decode()
                self.assertTrue(await self.server.active(new))
        self.assertGreater(self.counts.issued, 4)

    async def test_nothing_of_a_request_stays(self) -> None:
        """What was answered, in whatever way, is not kept with the connection."""
        line = self.line()
        for target in (INTROSPECT, "/nothing", TOKEN):
            await line.ask(request(target, {"token": self.token}, self.api))
            self.assertEqual((line.channel._came, line.channel._request), (None, None))

    async def test_secret(self) -> None:
        """A secret that ends at once is good for nothing more."""
        await self.changes(lambda: self.server.application.clients.rotate_secret("api", 0), 401)

    async def test_overlap(self) -> None:
        """A secret that was rotated out is honoured until its end, to the instant, by the lane too."""
        await self.server.application.clients.rotate_secret("api", 10)
        ends = int(self.server.clock.seconds()) + 10
        line = await self.taught(self.asking, request(INTROSPECT, {"token": "unknown"}, self.api))
        self.advance(ends - self.server.clock.seconds() - 0.001953125)
        hits, misses = self.counts.hits, self.counts.misses
        self.assertEqual(status(await line.ask(self.asking)), 200)
        self.assertEqual(status(await line.ask(self.asking_of("unknowm"))), 200)
        self.assertEqual((self.counts.hits, self.counts.misses), (hits + 1, misses + 1))
        self.advance(0.001953125)
        self.assertEqual(status(await line.ask(self.asking)), 401)
        self.assertEqual(status(await line.ask(self.asking_of("unknowm"))), 401)

    async def test_no_proof(self) -> None:
        """Without proof nothing is told from memory and nothing decided: all goes the ordinary way."""
        issue = request(TOKEN, MACHINE, self.app)
        line = await self.taught(self.asking, issue)
        self.server.clock.advance(2)
        before = self.told
        for sent in (self.asking, issue, self.asking_of("unknown")) * 2:
            self.assertEqual(status(await line.ask(sent)), 200)
        self.assertEqual(self.told, before)
        self.prove()
        await line.ask(self.asking)
        await line.ask(self.asking)
        self.assertGreater(self.counts.hits, before[0])

    async def test_token_ends(self) -> None:
        """A token that is over, to the instant, is told to be; so is one whose client ended all of its tokens."""
        line = await self.taught(self.asking)
        ends = int(self.server.clock.seconds()) + 1800
        self.advance(ends - self.server.clock.seconds() - 0.001953125)
        line = await self.taught(self.asking)
        self.assertIn(b'"active":true', await line.ask(self.asking))
        self.advance(0.001953125)
        self.assertEqual(json_of(await line.ask(self.asking)), INACTIVE)
        other = self.asking_of(await self.machine_token(self.app))
        await line.ask(other)
        self.assertIn(b'"active":true', await line.ask(other))
        await self.server.application.tokens.end_all_of_client("app")
        self.assertEqual(json_of(await line.ask(other)), INACTIVE)

    async def test_changed_elsewhere(self) -> None:
        """What another process changes is known here as soon as it was heard."""
        connection = self.server.connection

        async def call(command: Any) -> Any:
            return await connection.call(command)

        primary = Primary(reactor, timeout=5.0, path=start_valkey())
        invalidation = Invalidation(reactor, primary, naming.CHANNEL, call, self.cache, b"here")
        self.addCleanup(invalidation.stop)
        invalidation.start()
        self.server.clock.advance(60)
        await until(lambda: self.cache.fresh)
        line = await self.taught(self.asking)
        hits = self.counts.hits
        await line.ask(self.asking)
        self.assertEqual(self.counts.hits, hits + 1)
        elsewhere = self.server.sibling().application.clients
        heard = invalidation.counts.heard
        await elsewhere.update("api", lambda client: replace(client, is_active=False))
        await until(lambda: invalidation.counts.heard > heard)
        self.assertEqual(status(await line.ask(self.asking)), 401)


class OrderTests(Machines):
    """Packets, pipelines and what comes while an answer is being made."""

    async def test_every_split(self) -> None:
        """A known request that comes in two packets, cut anywhere, is answered the same."""
        line = await self.taught(self.asking)
        expected = await line.ask(self.asking)
        for offset in range(1, len(self.asking)):
            self.assertEqual(await line.ask(self.asking[:offset], self.asking[offset:]), expected, offset)
        self.assertEqual(await line.ask(*(self.asking[n : n + 1] for n in range(len(self.asking)))), expected)

    async def test_half_a_request(self) -> None:
        """Half a request is not answered, and the rest of it is not taken for another."""
        line = await self.taught(self.asking)
        expected = await line.ask(self.asking)
        half = self.asking[:-10]
        line.say(half)
        self.assertEqual(line.answers, [])
        line.say(self.asking[-10:] + self.asking + half)
        self.assertEqual(await line.take(2), [expected] * 2)
        line.say(self.asking[-10:])
        self.assertEqual(await line.take(1), [expected])

    async def test_pipelined(self) -> None:
        """Several requests in a packet are answered in their order, known and unknown ones mixed."""
        issue = request(TOKEN, MACHINE, self.app)
        line = await self.taught(self.asking, issue)
        missed, odd = self.asking_of("unknown"), b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
        sent = [self.asking, issue, missed, odd, self.asking, missed, issue, self.asking]
        expected = [b'"active":true', b"access_token", INACTIVE, b"", b'"active":true', INACTIVE, b"access_token"]
        for chunks in ([b"".join(sent)], sent, [b"".join(sent[:3]), b"".join(sent[3:])]):
            line.say(*chunks)
            answers = await line.take(len(sent))
            for answer, piece in zip(answers, [*expected, b'"active":true'], strict=True):
                self.assertEqual(status(answer), 200)
                self.assertIn(piece, answer)

    async def test_while_another_is_asked(self) -> None:
        """What comes while the store is asked is kept, and answered after it."""
        line = await self.taught(self.asking)
        waiting = self.held()
        line.say(self.asking_of("unknown"))
        await until(lambda: bool(waiting))
        line.say(self.asking, self.asking[:50], self.asking[50:] + self.asking)
        await turn()
        self.assertEqual(line.answers, [])
        waiting.pop().callback(None)
        answers = await line.take(4)
        self.assertEqual([json_of(answer) == INACTIVE for answer in answers], [True, False, False, False])

    async def test_hang_up(self) -> None:
        """Who hangs up while the store is asked gets no answer; the token is issued to its end, and work is over."""
        issue = request(TOKEN, MACHINE, self.app)
        line = await self.taught(issue)
        waiting = self.held("put")
        line.say(issue)
        await until(lambda: bool(waiting))
        sent = line.transport.value()
        line.transport.loseConnection()
        self.assertEqual(self.site.shield.running, 1)
        waiting.pop().callback(None)
        await until(lambda: not self.site.shield.running)
        self.assertEqual((line.transport.value(), self.site.channels), (sent, set()))
        self.assertEqual(self.timers.getDelayedCalls(), [])

    async def test_nobody_else_is_let_in(self) -> None:
        """Requests that smuggle another one in, or have no one meaning, are refused as ever."""
        line = await self.taught(self.asking)
        length = b"Content-Length: %d" % len(self.asking.partition(b"\r\n\r\n")[2])
        for old, new in (
            (length, length + b"\r\nTransfer-Encoding: chunked"),
            (length, length + b"\r\n" + length),
            (length, length + b", " + length[16:]),
            (length, length.replace(b": ", b": +")),
            (b"\r\n", b"\n"),
            (b"POST /oauth2/introspect", b"POST oauth2/introspect"),
            (b"POST /oauth2/introspect HTTP", b"POST /oauth2/introspect a HTTP"),
            (b"\r\nHost", b"\r\nX-Request-Id: a\x00\r\nHost"),
            (b"\r\nHost", b"\r\nX-Request-Id: a\r\n folded\r\nHost"),
        ):
            other = self.line()
            other.say(self.asking)
            await other.take()
            other.say(self.asking.replace(old, new) + b"\r\n\r\n" + self.asking)
            await until(lambda line=other: bool(line.answers))  # type: ignore[misc]
            [answer] = await other.take()
            self.assertEqual(status(answer), 400, new)
            self.assertIn(b"\r\nConnection: close", answer)
        self.assertEqual(status(await line.ask(self.asking)), 200)

    async def test_smuggled_length(self) -> None:
        """A body that is longer than announced is the next request, known or not."""
        line = await self.taught(self.asking)
        short = self.asking[: -len(self.token)] + self.token[:-5].encode()
        size = 6 + len(self.token)
        announced = short.replace(b"Content-Length: %d" % size, b"Content-Length: %d" % (size - 5))
        line.say(announced + self.token[-5:].encode() + b"\r\n\r\n")
        await until(lambda: len(line.answers) == 2)
        answers = await line.take(2)
        self.assertEqual((json_of(answers[0]), status(answers[1])), (INACTIVE, 400))


class TimeTests(Machines):
    """Idle connections, and the drain."""

    def later(self, seconds: float) -> None:
        """Time goes by for all clocks."""
        self.advance(seconds)
        self.timers.advance(seconds)

    async def test_idle(self) -> None:
        """A connection in use stays, whatever it is used for, and one that is not is closed after its time."""
        issue = request(TOKEN, MACHINE, self.app)
        hit, missing, issuing = [await self.taught(self.asking, issue) for _ in range(3)]
        for number in range(6):
            self.later(20)
            await hit.ask(self.asking)
            await missing.ask(self.asking_of(f"unknown{number}"))
            await issuing.ask(issue)
        self.assertEqual(self.counts.misses, 6)
        self.later(58)
        self.assertTrue(hit.transport.connected and missing.transport.connected and issuing.transport.connected)
        self.later(3)
        self.assertFalse(hit.transport.connected or missing.transport.connected or issuing.transport.connected)

    async def test_asked_for_long(self) -> None:
        """The idle time-out does not end a request that is being asked."""
        line = await self.taught(self.asking)
        waiting = self.held()
        line.say(self.asking_of("unknown"))
        await until(lambda: bool(waiting))
        for _ in range(5):
            self.timers.advance(59)
        waiting.pop().callback(None)
        [answer] = await line.take()
        self.assertEqual((json_of(answer), line.transport.connected), (INACTIVE, True))
        self.later(61)
        self.assertFalse(line.transport.connected)

    async def test_no_key(self) -> None:
        """Where no key signs any more the answer is an error of the server, and nothing is left under way."""
        asked = request(TOKEN, MACHINE, await self.server.client("jwt", access_format="jwt"))
        line = await self.taught(asked)

        def none(*given: object) -> None:
            raise NoSigningKey

        gone = self.patch(Keys, "signer", none)
        self.assertEqual(status(await line.ask(asked)), 500)
        self.assertEqual(self.site.shield.running, 0)
        gone.restore()
        self.assertEqual(status(await line.ask(asked)), 200)
        self.assertEqual(len(self.flushLoggedErrors(NoSigningKey)), 1)

    async def test_drain(self) -> None:
        """What is being asked when the drain begins is answered, as the last answer; nothing after it is begun."""
        issue = request(TOKEN, MACHINE, self.app)
        line, idle, late = [await self.taught(self.asking, issue) for _ in range(3)]
        waiting = self.held("put")
        line.say(issue)
        await until(lambda: bool(waiting))
        drained = self.site.drain(10, grace=1)
        line.say(issue)
        self.timers.advance(0.5)
        last = await late.ask(self.asking)
        self.assertIn(b"\r\nConnection: close\r\n", last)
        self.assertIn(b'"active":true', last)
        self.timers.advance(0.6)
        self.timers.advance(0)
        self.assertFalse(idle.transport.connected or late.transport.connected)
        self.assertNoResult(drained)
        waiting.pop().callback(None)
        [answer] = await line.take()
        self.assertEqual(status(answer), 200)
        self.assertIn(b"\r\nConnection: close\r\n", answer)
        await until(lambda: not line.transport.connected)
        await drained
        self.assertEqual(waiting, [])
        self.assertTrue(await self.server.active(json_of(answer).split(b'"')[3].decode()))

    async def test_the_end_of_a_drain(self) -> None:
        """What takes longer than the drain is cut, and its work is waited for no longer."""
        line = await self.taught(self.asking)
        waiting = self.held()
        line.say(self.asking_of("unknown"))
        await until(lambda: bool(waiting))
        drained = self.site.drain(10, grace=1)
        self.timers.advance(11)
        self.assertFalse(line.transport.connected)
        self.timers.advance(5)
        await drained
        waiting.pop().callback(None)
        await until(lambda: not self.site.shield.running)
        self.assertEqual(line.answers, [])
