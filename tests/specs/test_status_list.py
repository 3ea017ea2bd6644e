"""Token Status List (draft-ietf-oauth-status-list-20): section by section, what holds of the running server."""

from __future__ import annotations

import itertools
import json
from typing import Any

from joserfc.jwk import KeySet

from oauthd.config import TokenSettings
from oauthd.config.status_lists import StatusListSettings
from oauthd.endpoints.status_list import MOST_KEPT
from oauthd.endpoints.token_answer import TokenAnswers
from oauthd.grants.interface import Redemption
from oauthd.protocol import status_list
from oauthd.protocol.jose.segments import encode
from oauthd.protocol.records import UNBOUND
from oauthd.stores import status_lists
from oauthd.stores.interface import Write
from tests.admin.case import CLIENTS, TOKENS, USERS, AdminCase
from tests.server import CHEAP, ISSUER, App, Server, ServerCase, ok
from tests.specs import status_reader
from tests.specs.status_reader import INVALID, VALID
from tests.specs.tokens import published, verified
from tests.specs.vectors import examples
from tests.wire import Answer

AGGREGATION = "/oauth2/status-lists"
TTL = 300


def path(uri: str) -> str:
    """The path of an address here."""
    assert uri.startswith(ISSUER)
    return uri.removeprefix(ISSUER)


async def reference(server: Server, token: str, algorithm: str = "ES256") -> tuple[str, int]:
    """Where the status of an access token is told."""
    return status_reader.reference((await verified(server, token, algorithm)).claims)


async def told(server: Server, token: str, algorithm: str = "ES256") -> int:
    """The status of an access token, as a relying party reads it."""
    uri, index = await reference(server, token, algorithm)
    return await read(server, uri, index, await published(server), algorithm)


async def read(server: Server, uri: str, index: int, keys: KeySet, algorithm: str = "ES256") -> int:
    """The status at an index of the list at an address."""
    answer = await server.get(path(uri))
    if answer.status != 200:
        raise status_reader.Unreadable(f"{answer.status} {answer.body!r}")
    claims = status_reader.listed(answer.body.decode(), uri, keys, [algorithm], server.clock.seconds())
    return status_reader.status(claims["status_list"]["lst"], claims["status_list"]["bits"], index)


async def machine(server: Server, app: App, **more: str) -> str:
    """A client's own access token."""
    return str(ok(await server.token(app, "client_credentials", **more))["access_token"])


class VectorTests(ServerCase):
    """Section 4.1 and the appendix of test vectors."""

    def test_reader(self) -> None:
        """The reader finds in the arrays of the draft what the draft says that they hold, and 0 elsewhere."""
        for name, example in examples("status_list").items():
            said = dict(example["statuses"])
            self.assertEqual(
                {index: status_reader.status(example["lst"], example["bits"], index) for index in said}, said, name
            )
            unsaid = next(index for index in range(example["size"] + 1) if index not in said)
            if unsaid < example["size"]:
                self.assertEqual(status_reader.status(example["lst"], example["bits"], unsaid), 0)
            with self.assertRaises(status_reader.Unreadable):
                status_reader.status(example["lst"], example["bits"], example["size"] + 7)

    def test_writer(self) -> None:
        """What is compressed here are the octets that the draft has for the same statuses, at the highest level."""
        for name in ("4.1 first", "1-bit"):
            example = examples("status_list")[name]
            invalid = [index for index, status in example["statuses"] if status]
            made = status_list.compressed(invalid, size=example["size"])
            self.assertEqual(made[:2], b"\x78\xda")
            for index in (*invalid, 1, 2, 6, 10, 14):
                again = encode(made)
                self.assertEqual(status_reader.status(again, 1, index), int(index in invalid), name)
        self.assertEqual(encode(status_list.compressed([0, 3, 4, 5, 7, 8, 9, 13, 15], size=16)),
                         examples("status_list")["4.1 first"]["lst"])  # fmt: skip


class StatusListTests(ServerCase):
    """A listed client's tokens, and the lists."""

    async def prepare(self) -> None:
        """A client whose tokens are listed, one whose are not, and a user."""
        self.app = await self.server.client("app", status_listed=True)
        self.other = await self.server.client("other")
        self.alice = await self.server.user()

    async def fetch(self, target: str, **headers: str) -> Answer:
        """GET with header fields."""
        return await self.server.get(target, headers=[(name.replace("_", "-"), one) for name, one in headers.items()])

    async def test_section_6_2_claim(self) -> None:
        """Section 6.2: a listed client's JWTs name a list and a place, user's and machine's; no other token does."""
        tokens = await self.server.signed_in(self.app, self.alice)
        refreshed = ok(await self.server.refresh(self.app, tokens["refresh_token"]))
        places = set()
        for token in (tokens["access_token"], refreshed["access_token"], await machine(self.server, self.app)):
            uri, index = await reference(self.server, token)
            self.assertTrue(uri.startswith(f"{ISSUER}{AGGREGATION}/"))
            self.assertLess(index, status_list.SIZE)
            places.add((uri, index))
            self.assertEqual(await told(self.server, token), VALID)
        self.assertEqual(len(places), 3)  # section 13.2: a fresh entry for each
        self.assertNotIn(
            "status", (await verified(self.server, await machine(self.server, self.other), "ES256")).claims
        )

    async def test_opaque(self) -> None:
        """An opaque token stands in no list: nobody could read where."""
        app = await self.server.client("blind", status_listed=True, access_format="opaque")
        await machine(self.server, app)
        self.assertEqual(ok(await self.server.get(AGGREGATION)), {"status_lists": []})

    async def test_section_5_1_token(self) -> None:
        """Section 5.1: type and claims of the list's own token, and a full-size list of one bit each."""
        uri, _ = await reference(self.server, await machine(self.server, self.app))
        answer = await self.server.get(path(uri))
        self.assertEqual(answer.header("content-type"), "application/statuslist+jwt")  # section 8.2
        found = await verified(self.server, answer.body.decode(), "ES256")
        now = int(self.server.clock.seconds())
        self.assertEqual(set(found.header), {"alg", "typ", "kid"})
        self.assertEqual(found.header["typ"], "statuslist+jwt")
        lst = found.claims.pop("status_list")
        self.assertEqual(found.claims, {"iss": ISSUER, "sub": uri, "iat": now, "exp": now + 900, "ttl": TTL})
        self.assertEqual((set(lst), lst["bits"]), ({"bits", "lst"}, 1))
        self.assertEqual(status_reader.status(lst["lst"], 1, status_list.SIZE - 1), VALID)
        with self.assertRaises(status_reader.Unreadable):
            status_reader.status(lst["lst"], 1, status_list.SIZE)

    async def test_section_8_1_negotiation(self) -> None:
        """Section 8.1: a JWT for whoever takes one or does not say; 406 for who takes something else alone."""
        uri, _ = await reference(self.server, await machine(self.server, self.app))
        jwt = "application/statuslist+jwt"
        for accept in (jwt, "*/*", "application/*;q=0.1", f"text/html, {jwt};q=0.5", jwt.upper(), "a/b;q=1, */*;q=0.1"):
            self.assertEqual((await self.fetch(path(uri), Accept=accept)).status, 200, accept)
        for accept in (
            "application/statuslist+cwt",
            "text/html",
            f"*/*, {jwt};q=0",
            f"{jwt};q=0.0",
            "application/json",
        ):
            answer = await self.fetch(path(uri), Accept=accept)
            self.assertEqual((answer.status, answer.error), (406, "not_acceptable"), accept)

    async def test_section_8_1_cors(self) -> None:
        """Section 8.1: scripts of any origin may read lists, without credentials."""
        uri, _ = await reference(self.server, await machine(self.server, self.app))
        for target in (path(uri), AGGREGATION):
            answer = await self.fetch(target, Origin="https://reader.example")
            self.assertEqual(answer.header("access-control-allow-origin"), "*")
            self.assertEqual(answer.header("access-control-allow-credentials"), "")

    async def test_unknown(self) -> None:
        """There is nothing at any number but those that were given out; what is no number never reaches the store."""
        await machine(self.server, self.app)
        for name in ("1", "999999999999", "9999999999999", "00", "-1", "x", "0x0", "%D9%A0"):
            answer = await self.server.get(f"{AGGREGATION}/{name}")
            self.assertEqual((answer.status, answer.error), (404, "not_found"), name)
        self.assertEqual((await self.server.post(f"{AGGREGATION}/0", {})).status, 405)

    async def test_section_8_4_history(self) -> None:
        """Section 8.4: what a list said at another time is not told, whatever the time: 501."""
        uri, _ = await reference(self.server, await machine(self.server, self.app))
        for time in ("1686925000", "", "x"):
            answer = await self.server.get(path(uri), {"time": time})
            self.assertEqual((answer.status, answer.error), (501, "not_implemented"))

    async def test_revalidation(self) -> None:
        """RFC 9110 section 13.1.2: a list that has not changed is 304, also at another node; a changed one is not."""
        token = await machine(self.server, self.app)
        uri, _ = await reference(self.server, token)
        tag = (await self.server.get(path(uri))).header("etag")
        sibling = self.server.sibling()
        await sibling.application.keys.open()
        for server in (self.server, sibling):
            for value in (tag, f'"a", {tag}', tag.removeprefix("W/"), "*"):
                answer = await server.get(path(uri), headers=[("If-None-Match", value)])
                self.assertEqual((answer.status, answer.body, answer.header("etag")), (304, b"", tag), value)
            self.assertEqual((await server.get(path(uri), headers=[("If-None-Match", '"a"')])).status, 200)
        await self.server.post("/oauth2/revoke", {"token": token}, basic=self.app.basic)
        changed = await self.fetch(path(uri), If_None_Match=tag)
        self.assertEqual(changed.status, 200)
        self.assertNotEqual(changed.header("etag"), tag)

    async def test_section_13_7_caching(self) -> None:
        """Section 13.7: HTTP caches keep a list until iat + ttl, whenever they got it; then not at all."""
        uri, _ = await reference(self.server, await machine(self.server, self.app))
        for passed, said in ((0, "public, max-age=300"), (100, "public, max-age=200"), (199, "public, max-age=1"),
                             (1, "no-cache")):  # fmt: skip
            self.server.clock.advance(passed)
            self.assertEqual((await self.server.get(path(uri))).header("cache-control"), said)

    async def test_never_fresh_by_being_asked(self) -> None:
        """Nothing but a look at the tokens moves `iat` on; without one the list ends at `exp`, then it is 503."""
        token = await machine(self.server, self.app)
        uri, index = await reference(self.server, token)
        keys = await published(self.server)
        issued = int(self.server.clock.seconds())
        self.server.clock.advance(TTL * 2)
        await machine(self.server, self.app)
        claims = (await verified(self.server, (await self.server.get(path(uri))).body.decode(), "ES256")).claims
        self.assertEqual(claims["iat"], issued)
        self.server.clock.advance(900 - TTL * 2 - 1)
        self.assertEqual(await read(self.server, uri, index, keys), VALID)
        self.server.clock.advance(1)
        answer = await self.server.get(path(uri))
        self.assertEqual((answer.status, answer.error), (503, "temporarily_unavailable"))
        self.assertTrue(answer.header("retry-after"))
        await self.server.application.status_sweep.due()
        self.assertEqual(await read(self.server, uri, index, keys), VALID)

    async def test_store_away(self) -> None:
        """While the store is away the last list is told until it ends, unchanged; a list that was never read is 503."""
        uri, index = await reference(self.server, await machine(self.server, self.app))
        keys = await published(self.server)
        first = (await self.server.get(path(uri))).body
        await self.server.connection.stop()
        self.server.clock.advance(899)
        self.assertEqual(await read(self.server, uri, index, keys), VALID)
        self.assertEqual((await self.server.get(path(uri))).body, first)
        self.server.clock.advance(1)
        self.assertEqual((await self.server.get(path(uri))).status, 503)
        self.assertEqual((await self.server.get(f"{AGGREGATION}/7")).status, 503)
        self.assertEqual((await self.server.get(AGGREGATION)).status, 503)
        with_none = await self.server.token(self.app, "client_credentials")
        self.assertEqual(with_none.status, 503)
        self.server = await Server.start()  # for what looks at the database after each test

    async def test_many_lists(self) -> None:
        """However many lists there have been, those that are asked for now are kept for when the store is away."""
        token = await machine(self.server, self.app)
        uri, index = await reference(self.server, token)
        keys = await published(self.server)
        stored = await self.server.application.statuses.find(0)
        assert stored is not None
        await self.server.store.put(*[Write(status_lists.where(n), stored.record) for n in range(1, 2 * MOST_KEPT)])
        for number in range(1, 2 * MOST_KEPT):
            self.assertEqual((await self.server.get(f"{AGGREGATION}/{number}")).status, 200)
        self.assertEqual(await read(self.server, uri, index, keys), VALID)
        await self.server.connection.stop()
        self.assertEqual(await read(self.server, uri, index, keys), VALID)
        self.assertEqual((await self.server.get(f"{AGGREGATION}/1")).status, 503)
        self.server = await Server.start()

    async def test_issued_together(self) -> None:
        """Tokens that are made together have places of their own; where none is in hand they are made one by one."""
        redemption = Redemption(scope=(), generations=await self.server.store.generations("app"))
        answers = TokenAnswers(self.server.application.minting, self.server.application.resources)
        wanted = [(self.app.record, redemption, UNBOUND)] * 3
        self.assertEqual(answers.make_together(wanted), [None] * 3)
        await self.server.application.statuses.place()
        made = [answer for answer in answers.make_together(wanted) if answer is not None]
        self.assertEqual(len({answer.access.record.status for answer in made} - {0}), 3)
        for answer in made:
            self.assertEqual(answer.puts[1].ref, status_lists.entry(answer.access.record.status - 1))
            await self.server.store.put(*answer.puts)
            self.assertEqual(await told(self.server, json.loads(answer.body)["access_token"]), VALID)

    async def test_section_9_aggregation(self) -> None:
        """Section 9: metadata name the document that names every list there is."""
        metadata = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertEqual(metadata["status_list_aggregation_endpoint"], ISSUER + AGGREGATION)
        self.assertEqual(ok(await self.server.get(AGGREGATION)), {"status_lists": []})
        uri, _ = await reference(self.server, await machine(self.server, self.app))
        answer = await self.server.get(AGGREGATION)
        self.assertEqual(answer.header("content-type"), "application/json")
        self.assertEqual(answer.json(), {"status_lists": [uri]})

    async def test_section_12_5_scattered(self) -> None:
        """Section 12.5.1: places tell nothing of the order in which they were given out."""
        places = [(await reference(self.server, await machine(self.server, self.app)))[1] for _ in range(60)]
        self.assertEqual(len(set(places)), 60)
        self.assertNotIn(places, (sorted(places), sorted(places, reverse=True)))
        self.assertGreater(max(places) - min(places), status_list.SIZE // 2)
        rising = sum(one < other for one, other in itertools.pairwise(places))
        self.assertTrue(15 < rising < 45, rising)

    async def test_section_13_1_retired(self) -> None:
        """Section 13.1: a full list goes when its last token has expired and nobody can add one; the newest stays."""
        await machine(self.server, self.app)
        lists, sweep = self.server.application.statuses, self.server.application.status_sweep
        await self.server.connection.call(("SET", "sequence:status blocks", status_lists.BLOCKS))
        lists.give_up()
        token = await machine(self.server, self.app)
        uris = [f"{ISSUER}{AGGREGATION}/{number}" for number in (0, 1)]
        self.assertEqual((await reference(self.server, token))[0], uris[1])
        self.assertEqual(ok(await self.server.get(AGGREGATION)), {"status_lists": uris})
        for passed, left in ((1801, uris), (status_lists.HOLD - 1801 + 120, uris), (TTL, uris[1:]), (90000, uris[1:])):
            self.server.clock.advance(passed)
            await sweep.due()
            self.assertEqual(ok(await self.server.get(AGGREGATION)), {"status_lists": left}, passed)
        self.assertEqual((await self.server.get(path(uris[0]))).status, 404)


class EndTests(AdminCase):
    """Whatever ends a token is in its list within `ttl`."""

    async def prepare(self) -> None:
        """A client whose tokens are listed, and users."""
        self.app = await self.server.client("app", status_listed=True)
        self.alice = await self.server.user()
        self.bob = await self.server.user("bob")

    async def sign_in(self, person: Any = None) -> dict[str, Any]:
        """The tokens of a user."""
        return await self.server.signed_in(self.app, person or self.alice)

    async def pass_ttl(self) -> None:
        """Let `ttl` pass as it does where a server runs."""
        sweep, clock = self.server.application.status_sweep, self.server.clock
        for _ in range(8):
            clock.advance(sweep.pause)
            await sweep.due()

    async def ends(self, token: str, other: str) -> None:
        """Within `ttl` the one is invalid, and the other still valid; and introspection says the same."""
        self.assertEqual(await told(self.server, other), VALID)
        await self.pass_ttl()
        self.assertEqual(await told(self.server, token), INVALID)
        self.assertEqual(await told(self.server, other), VALID)
        self.assertFalse(await self.server.active(token))
        self.assertTrue(await self.server.active(other))

    async def test_revocation(self) -> None:
        """A client's revocation of one token: at once."""
        one, other = await self.sign_in(), await self.sign_in()
        await self.server.post("/oauth2/revoke", {"token": one["access_token"]}, basic=self.app.basic)
        self.assertEqual(await told(self.server, one["access_token"]), INVALID)
        await self.ends(one["access_token"], other["access_token"])

    async def test_administrator(self) -> None:
        """An administrator's deletion of one token, by its id: at once."""
        one = (await self.sign_in())["access_token"]
        (listed,) = [two for two in await self.everything(TOKENS, "tokens", client_id="app") if two["kind"] == "access"]
        other = (await self.sign_in())["access_token"]
        await self.done("DELETE", f"{TOKENS}/{listed['token_id']}", status=204)
        self.assertEqual(await told(self.server, one), INVALID)
        await self.ends(one, other)

    async def test_refresh_token(self) -> None:
        """The end of a refresh token ends its grant, and with that the access token."""
        one, other = await self.sign_in(), await self.sign_in()
        await self.server.post("/oauth2/revoke", {"token": one["refresh_token"]}, basic=self.app.basic)
        await self.ends(one["access_token"], other["access_token"])

    async def test_replay(self) -> None:
        """A code that is redeemed twice."""
        code, other = await self.server.code(self.app, self.alice), await self.sign_in()
        one = ok(await self.server.redeem(self.app, code))
        self.assertEqual((await self.server.redeem(self.app, code)).status, 400)
        await self.ends(one["access_token"], other["access_token"])

    async def test_user(self) -> None:
        """All tokens of a user, her deactivation, a new password; other users' stay."""
        other = (await self.sign_in(self.bob))["access_token"]
        one = (await self.sign_in())["access_token"]
        await self.done("DELETE", TOKENS, status=204, user_id=self.alice.user_id)
        await self.ends(one, other)
        one = (await self.sign_in())["access_token"]
        await self.done("PUT", f"{USERS}/{self.alice.user_id}/password", {"password": "another good one"}, status=204)
        await self.ends(one, other)
        alice = await self.server.user("carol")
        one = (await self.sign_in(alice))["access_token"]
        await self.done("DELETE", f"{USERS}/{alice.user_id}", status=204)
        await self.ends(one, other)

    async def test_client(self) -> None:
        """All tokens of a client, its deactivation, its deletion; other clients' stay."""
        second = await self.server.client("second", status_listed=True)
        other = await machine(self.server, second)
        for how in ("tokens", "deactivated", "deleted"):
            app = await self.server.client(how, status_listed=True)
            one = await machine(self.server, app)
            if how == "tokens":
                await self.done("DELETE", TOKENS, status=204, client_id=how)
            elif how == "deactivated":
                await self.done("PUT", f"{CLIENTS}/{how}", {"is_active": False})
            else:
                await self.done("DELETE", f"{CLIENTS}/{how}", status=204)
            await self.ends(one, other)

    async def test_grant(self) -> None:
        """An administrator's end of a grant."""
        one, other = await self.sign_in(), await self.sign_in()
        record = await self.server.application.tokens.find_access(one["access_token"])
        assert record is not None
        await self.done("DELETE", TOKENS, status=204, grant_id=record.grant)
        await self.ends(one["access_token"], other["access_token"])

    async def test_resource(self) -> None:
        """All tokens for a resource; those for another stay, and those that are issued for it afterwards."""
        api = await self.server.client("api", resources=("https://a.example", "https://b.example"))
        other, one, both = [
            await machine(self.server, self.app, resource=f"https://{name}.example") for name in ("b", "a", "a")
        ]
        await self.done("DELETE", TOKENS, status=204, resource="https://a.example")
        after = await machine(self.server, self.app, resource="https://a.example")
        await self.pass_ttl()
        self.assertEqual([await told(self.server, token) for token in (other, one, both, after)], [0, 1, 1, 0])
        for token, active in ((other, True), (one, False), (after, True)):
            self.assertIs((await self.server.introspect(token, api))["active"], active)

    async def test_everything(self) -> None:
        """Everything; what is issued afterwards is valid."""
        one = (await self.sign_in())["access_token"]
        await self.done("DELETE", TOKENS, status=204, all="true")
        await self.ends(one, (await self.sign_in())["access_token"])

    async def test_not_written_down(self) -> None:
        """Tokens that are not written down: valid as long as they live, ended one by one and with their client."""
        app = await self.server.client("stateless", status_listed=True, stateless=True)
        one, two = await machine(self.server, app), await machine(self.server, app)
        other = await machine(self.server, self.app)
        await self.pass_ttl()
        self.assertEqual([await told(self.server, token) for token in (one, two)], [VALID, VALID])
        await self.server.post("/oauth2/revoke", {"token": one}, basic=app.basic)
        self.assertEqual(await told(self.server, one), INVALID)
        await self.ends(one, two)
        await self.done("DELETE", TOKENS, status=204, client_id="stateless")
        await self.ends(two, other)

    async def test_stays(self) -> None:
        """An ended token stays invalid while more looks pass, and until it has expired."""
        one = await machine(self.server, self.app)
        await self.server.post("/oauth2/revoke", {"token": one}, basic=self.app.basic)
        uri, index = await reference(self.server, one)
        keys = await published(self.server)
        for _ in range(7):
            await self.pass_ttl()
            self.assertEqual(await read(self.server, uri, index, keys), INVALID)

    async def test_policy(self) -> None:
        """Whether tokens are listed is the client's policy, which an administrator sets; the next token obeys."""
        made = await self.done(
            "POST",
            CLIENTS,
            {"name": "N", "client_type": "confidential", "grant_types": ["client_credentials"]},
            status=201,
        )
        self.assertIs(made["status_listed"], False)
        app = App(await self._record(made["client_id"]), made["client_secret"])
        self.assertNotIn("status", (await verified(self.server, await machine(self.server, app), "ES256")).claims)
        changed = await self.done("PUT", f"{CLIENTS}/{made['client_id']}", {"status_listed": True})
        self.assertIs(changed["status_listed"], True)
        self.assertEqual(await told(self.server, await machine(self.server, app)), VALID)

    async def _record(self, client_id: str) -> Any:
        return await self.server.application.clients.find(client_id)


class RsaTests(ServerCase):
    """Where RSA signs access tokens."""

    sections = {
        "users": CHEAP,
        "tokens": TokenSettings(access_algorithm="PS256"),
        "status_lists": StatusListSettings(ttl=60, lifetime=120, aggregation=False),
    }

    async def test_signed_alike(self) -> None:
        """Section 11.3: the list is signed by the key that signs the tokens; both of them in a thread."""
        app = await self.server.client("app", status_listed=True)
        token = await machine(self.server, app)
        self.assertEqual(await told(self.server, token, "PS256"), VALID)
        uri, _ = await reference(self.server, token, "PS256")
        listed = await verified(self.server, (await self.server.get(path(uri))).body.decode(), "PS256")
        self.assertEqual(listed.header["kid"], (await verified(self.server, token, "PS256")).header["kid"])
        self.assertEqual((listed.claims["ttl"], listed.claims["exp"] - listed.claims["iat"]), (60, 120))

    async def test_no_aggregation(self) -> None:
        """Section 12.4: where all lists are is told to nobody, if that is so wished."""
        self.assertEqual((await self.server.get(AGGREGATION)).status, 404)
        metadata = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertNotIn("status_list_aggregation_endpoint", metadata)
