"""The token endpoint: nothing is spent before the answer is ready, and losers see what happened."""

from __future__ import annotations

from typing import Any

from oauthd.stores.interface import Commit
from tests.server import ServerCase, ok


class TokenTests(ServerCase):
    """Commit, retry, tell."""

    async def prepare(self) -> None:
        """A client with the tokens of a user."""
        self.app = await self.server.client()
        self.alice = await self.server.user()
        self.tokens = await self.server.signed_in(self.app, self.alice)
        self.server.events.clear()

    async def test_a_commit_that_never_succeeds(self) -> None:
        """Who is always overtaken is told to come back, 503, and nothing is spent."""

        async def lost(step: Commit) -> bool:
            return False

        patched = self.patch(self.server.store, "commit", lost)
        answer = await self.server.refresh(self.app, self.tokens["refresh_token"])
        patched.restore()
        self.refused(answer, "temporarily_unavailable", 503)
        self.assertEqual(answer.header("retry-after"), "1")
        ok(await self.server.refresh(self.app, self.tokens["refresh_token"]))

    async def test_events(self) -> None:
        """Each answer and each refusal is told of, with identifiers and no secret."""
        new = ok(await self.server.refresh(self.app, self.tokens["refresh_token"]))
        await self.server.token(self.app, "client_credentials", scope="unknown")
        issued: dict[str, Any] = {
            "grant_type": "refresh_token", "client_id": "app", "user_id": self.alice.user_id, "scope": "openid",
        }  # fmt: skip
        self.assertEqual(self.server.told("token.issued"), [issued])
        self.assertEqual(self.server.told("token.refused"), [{"client_id": "app", "error": "invalid_scope"}])
        told = repr(self.server.events)
        for secret in (self.app.secret, *(new[name] for name in ("access_token", "refresh_token", "id_token"))):
            self.assertNotIn(secret, told)

    async def test_a_refused_client_is_told_of(self) -> None:
        """A failed authentication is an event that names the client only where it exists, and the method."""
        await self.server.post("/oauth2/token", {}, basic=("unknown", "x"))
        await self.server.post("/oauth2/token", {"client_id": "app", "client_secret": "wrong"})
        told = self.server.told("client.refused")
        self.assertEqual([facts["client_id"] for facts in told], [None, "app"])
        self.assertEqual([facts["method"] for facts in told], ["client_secret_basic", "client_secret_post"])

    async def test_the_losers_tokens_are_dead(self) -> None:
        """An access token that was minted for a step that failed is never active."""
        before = set(await self.server.keys())
        self.server.store.crash_before = 1
        await self.server.refresh(self.app, self.tokens["refresh_token"])
        left = {key.split(b":")[0] for key in set(await self.server.keys()) - before}
        self.assertLessEqual(left, {b"a", b"x"})  # it may stay, listed, until it ends: nobody has it

    async def test_the_document_as_printed(self) -> None:
        """The contract's answer to a code: these members, in these types."""
        for name, kind in (("access_token", str), ("token_type", str), ("expires_in", int), ("refresh_token", str)):
            self.assertIsInstance(self.tokens[name], kind)
        self.assertEqual((self.tokens["expires_in"], self.tokens["scope"]), (1800, "openid"))
