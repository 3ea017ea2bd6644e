"""A client that asks for a token at every request gets the same one, as long as it is alive and half of it is left."""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve
from msgspec.structs import replace

from oauthd.protocol import jose
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds
from oauthd.stores.interface import Write
from tests.possession import Holder
from tests.server import App, Server, ServerCase, ok


class ReuseCase(ServerCase):
    """Such a client, and one that is none."""

    async def prepare(self) -> None:
        """Register both."""
        self.app = await self.server.client("app", reuses_tokens=True)
        self.other = await self.server.client("other")

    async def change(self, **fields: Any) -> None:
        """Give the client another policy."""
        await self.server.application.clients.update("app", lambda one: replace(one, **fields))

    async def ask(self, app: App | None = None, server: Server | None = None, **form: Any) -> dict[str, Any]:
        """The answer to a client's own request."""
        return ok(await (server or self.server).token(app or self.app, "client_credentials", **form))


class ReuseTests(ReuseCase):
    """When it is the same."""

    async def test_the_same(self) -> None:
        """The same request gets the same token with what is left of its life; nothing else of the answer changes."""
        first = await self.ask(scope="read")
        self.server.clock.advance(100)
        second = await self.ask(scope="read")
        self.assertEqual(second, first | {"expires_in": first["expires_in"] - 100})
        self.assertEqual(len(self.server.told("token.issued")), 1)
        self.assertEqual(self.server.told("token.reused"), [{"client_id": "app"}])

    async def test_others(self) -> None:
        """A client that is not registered for it gets a new one each time."""
        self.assertNotEqual(await self.ask(self.other, scope="read"), await self.ask(self.other, scope="read"))

    async def test_half_of_it(self) -> None:
        """While half of its life is left; the next one is then the one that is reused."""
        first = await self.ask(scope="read")
        self.server.clock.advance(first["expires_in"] // 2)
        self.assertEqual((await self.ask(scope="read"))["access_token"], first["access_token"])
        self.server.clock.advance(1)
        second = await self.ask(scope="read")
        self.assertNotEqual(second["access_token"], first["access_token"])
        self.assertEqual((await self.ask(scope="read"))["access_token"], second["access_token"])
        self.assertTrue(await self.server.active(first["access_token"]))

    async def test_other_requests(self) -> None:
        """Another scope, or a client of which another policy holds, has tokens of its own."""
        await self.server.client("owner", resources=("https://a.example", "https://b.example"))
        forms: list[dict[str, Any]] = [
            {"scope": "read"}, {"scope": "write"}, {"scope": "read", "resource": "https://a.example"},
            {"scope": "read", "resource": "https://b.example"},
        ]  # fmt: skip
        found = [(await self.ask(**form))["access_token"] for form in (*forms, *forms)]
        self.assertEqual((found[:4], len(set(found))), (found[4:], 4))
        fields: dict[str, Any]
        for fields in ({"stateless": True}, {"access_format": "opaque"}, {"access_lifetime": 60}):
            await self.change(**fields)
            found.append((await self.ask(scope="read"))["access_token"])
        self.assertEqual(len(set(found)), 7)

    async def test_other_declarations(self) -> None:
        """What the operator declares of tokens, otherwise than when a token was made, leads to another one."""
        await self.server.client("owner", resources=("https://a.example",))
        await self.change(token_claims=("tenant",))
        form: dict[str, Any] = {"scope": "read", "resource": "https://a.example"}
        found = [await self.ask(**form)]
        tenant, other = json.dumps({"name": "tenant", "value": 7}), json.dumps({"name": "tenant", "value": 8})
        resource: dict[str, Any] = {"resource": "https://a.example"}
        declared: list[tuple[str, dict[str, Any]]] = [
            (tenant, {}), (other, {}), (other, {"access_lifetime": 600}), (other, {"access_format": "opaque"}),
            (other, {"access_algorithm": "EdDSA"}), (other, {"access_format": "jwt"}),
        ]  # fmt: skip
        for claim, policy in declared:
            node = await self.node(claims=(claim,), resources=(json.dumps(resource | policy),))
            found.append(await self.ask(server=node, **form))
        usual = await self.node(access_lifetime=700)
        found.append(await self.ask(server=usual, **form))
        tokens = [one["access_token"] for one in found]
        self.assertEqual(tokens[6], tokens[2])  # it would be a JWT anyhow
        self.assertEqual(len(set(tokens)), 7)
        self.assertEqual(jose.peek(tokens[2])[1]["tenant"], 8)
        self.assertEqual(found[3]["expires_in"], 600)

    async def node(self, **fields: Any) -> Server:
        """Another node on the same store, whose operator says other things of tokens."""
        server = self.server
        settings = evolve(server.settings, tokens=evolve(server.settings.tokens, **fields))
        node = server.node(server.connection, server.clock, server.entropy, settings)
        await node.application.keys.open()
        return node

    async def test_bound_ones(self) -> None:
        """A token that is bound to a key is handed out to who holds that key alone."""
        holders = [Holder(), Holder(1)]
        found = []
        for holder in (*holders, *holders):
            found.append((await self.bound(holder))["access_token"])
        self.assertEqual((found[:2], len(set(found))), (found[2:], 2))
        self.assertNotIn((await self.ask(scope="read"))["access_token"], found)

    async def bound(self, holder: Holder) -> dict[str, Any]:
        """The answer to a request with a proof."""
        proof = holder.proof("POST", "/oauth2/token", self.server.clock.seconds())
        form = {"grant_type": "client_credentials", "scope": "read"}
        headers = (("DPoP", proof),)
        return ok(await self.server.post("/oauth2/token", form, basic=self.app.basic, headers=headers))

    async def test_revoked(self) -> None:
        """What was ended, in whatever way, is never handed out again."""
        end = self.server.application.tokens
        seen: set[str] = set()
        for stateless in (False, True):
            await self.change(stateless=stateless)
            for revoke in (
                end.end_access,
                lambda token: end.end_all_of_client("app"),
                lambda token: end.end_everything(),
            ):
                token = (await self.ask(scope="read"))["access_token"]
                self.assertEqual((await self.ask(scope="read"))["access_token"], token)
                await revoke(token)
                seen.add(token)
                self.assertNotIn((await self.ask(scope="read"))["access_token"], seen)

    async def test_with_refresh_tokens(self) -> None:
        """Where a refresh token comes with it nothing is handed out twice."""
        app = await self.server.client("refreshing", reuses_tokens=True, machine_refresh=True)
        first, second = await self.ask(app, scope="read"), await self.ask(app, scope="read")
        self.assertNotEqual(first["refresh_token"], second["refresh_token"])
        self.assertNotEqual(first["access_token"], second["access_token"])

    async def test_by_the_lane(self) -> None:
        """Such an answer teaches no decision by which another token would be made."""
        for _ in range(3):
            answer = await self.server.token(self.app, "client_credentials", scope="read")
            self.assertEqual(answer.json()["access_token"], (await self.ask(scope="read"))["access_token"])


class KeepingTests(ReuseCase):
    """Where it is kept."""

    async def test_by_all_nodes(self) -> None:
        """Another node hands out the same one, and knows when it is dead."""
        sibling = self.server.sibling()
        await sibling.application.keys.open()
        token = (await self.ask(scope="read"))["access_token"]
        self.assertEqual((await self.ask(server=sibling, scope="read"))["access_token"], token)
        await self.server.application.tokens.end_access(token)
        new = (await self.ask(server=sibling, scope="read"))["access_token"]
        self.assertNotEqual(new, token)
        self.assertEqual((await self.ask(scope="read"))["access_token"], new)

    async def test_sealed(self) -> None:
        """No token stands in the database, and it is gone when the token is."""
        token = (await self.ask(scope="read"))["access_token"]
        kept = [key for key in await self.server.keys() if key.startswith(b"ru:")]
        self.assertEqual(len(kept), 1)
        for name, value in (await self.server.dump()).items():
            self.assertNotIn(token.rpartition(".")[2].encode(), name + value)
            self.assertNotIn(jose.peek(token)[1]["jti"].encode(), value if name in kept else b"")
        (ttl,) = await self.server.connection.call(("TTL", kept[0]))
        self.assertLessEqual(ttl, 1800 + 120)

    async def test_another_master_key(self) -> None:
        """What nobody can open any more is no reason to fail: there is a new token."""
        token = (await self.ask(scope="read"))["access_token"]
        reuse = self.server.application.reuse
        reuse._kept.clear()
        ref = next(iter([key for key in await self.server.keys() if key.startswith(b"ru:")]))
        (stored,) = await self.server.store.get(kinds.REUSED.at(ref[3:]))
        assert stored is not None
        strange = Seals((b"x" * 32,), self.server.entropy)
        await self.server.store.put(Write(stored.ref, replace(stored.record, sealed=strange.seal("x", b"{}"))))
        self.assertNotEqual((await self.ask(scope="read"))["access_token"], token)
