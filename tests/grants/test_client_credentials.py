"""The client credentials grant: one record for one token."""

from __future__ import annotations

from oauthd.stores import kinds
from tests.server import ServerCase, ok


class MachineTests(ServerCase):
    """Tokens of clients for themselves."""

    async def test_one_record(self) -> None:
        """A token costs one record and its place in one list: no grant, no refresh token."""
        app = await self.server.client()
        before = set(await self.server.keys())
        token = ok(await self.server.token(app, "client_credentials"))["access_token"]
        new = set(await self.server.keys()) - before
        self.assertEqual(len(new), 2)
        (stored,) = await self.server.store.get(kinds.access_token(token))
        assert stored is not None
        self.assertEqual((stored.record.grant, stored.record.user_id), ("", ""))

    async def test_admin_scope_by_name_only(self) -> None:
        """A client acts as an administrator where its own list says so, and not because it has no list."""
        free, script = await self.server.client("free"), await self.server.client("script", scopes=("admin",))
        self.refused(await self.server.token(free, "client_credentials", scope="admin"), "invalid_scope")
        self.assertEqual(ok(await self.server.token(script, "client_credentials", scope="admin"))["scope"], "admin")

    async def test_revoked_between_look_and_answer(self) -> None:
        """A token whose client was deleted while it was minted is dead."""
        app = await self.server.client()
        put = self.server.store.put

        async def slow(*writes: object) -> None:
            await self.server.application.clients.delete("app")
            await put(*writes)  # type: ignore[arg-type]

        patched = self.patch(self.server.store, "put", slow)
        token = ok(await self.server.token(app, "client_credentials"))["access_token"]
        patched.restore()
        self.assertEqual(await self.server.introspect(token), {"active": False})

    async def test_refresh_of_a_machine(self) -> None:
        """A machine's grant ends like any other: by its refresh token, by its client."""
        app = await self.server.client(machine_refresh=True)
        first, second = [ok(await self.server.token(app, "client_credentials")) for _ in range(2)]
        await self.server.post("/oauth2/revoke", {"token": first["refresh_token"]}, basic=app.basic)
        self.assertFalse(await self.server.active(first["access_token"]))
        self.assertTrue(await self.server.active(second["access_token"]))
        await self.server.application.tokens.end_all_of_client("app")
        self.refused(await self.server.refresh(app, second["refresh_token"]), "invalid_grant")
