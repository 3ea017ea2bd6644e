"""A revocation is never undone by a redemption that was under way."""

from __future__ import annotations

from tests.server import ServerCase


class RevokedInBetweenTests(ServerCase):
    """A revocation comes between the look and the step of a redemption."""

    async def prepare(self) -> None:
        """A client with the tokens of a user."""
        self.app, self.alice = await self.server.client(), await self.server.user()
        self.tokens = await self.server.signed_in(self.app, self.alice)

    async def test_refresh(self) -> None:
        """A refresh that is overtaken by the revocation of its grant is refused, and nothing of it lives."""

        async def revoke() -> None:
            await self.server.post("/oauth2/revoke", {"token": self.tokens["refresh_token"]}, basic=self.app.basic)

        self.overtaken_by(revoke)
        self.refused(await self.server.refresh(self.app, self.tokens["refresh_token"]), "invalid_grant")
        self.assertFalse(await self.server.active(self.tokens["access_token"]))

    async def test_code(self) -> None:
        """A code that is overtaken by the end of all of the user's tokens brings nothing that lives."""
        code = await self.server.code(self.app, self.alice)
        self.overtaken_by(lambda: self.server.application.tokens.end_all_of_user(self.alice.user_id))
        answer = await self.server.redeem(self.app, code)
        for name in ("access_token", "refresh_token"):
            token = answer.json().get(name, "none")
            self.assertEqual(await self.server.introspect(token, self.app), {"active": False})
