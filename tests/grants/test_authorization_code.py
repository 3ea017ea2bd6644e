"""The authorization code grant: who may redeem a code, once, and what becomes of a grant whose code comes back."""

from __future__ import annotations

from oauthd.config import TokenSettings
from oauthd.protocol.pkce import challenge_of
from oauthd.stores import kinds
from tests.server import REDIRECT, VERIFIER, ServerCase, ok, together


class CodeTests(ServerCase):
    """One code, redeemed."""

    async def prepare(self) -> None:
        """A client and a user."""
        self.app = await self.server.client()
        self.alice = await self.server.user()

    async def test_a_stranger_burns_nothing(self) -> None:
        """A code sent by another client is refused and stays good for its own, before and after it was used."""
        stranger, public = await self.server.client("stranger"), await self.server.client("public", public=True)
        code = await self.server.code(self.app, self.alice)
        for thief in (stranger, public):
            self.refused(await self.server.redeem(thief, code), "invalid_grant")
        tokens = ok(await self.server.redeem(self.app, code))
        for thief in (stranger, public):
            self.refused(await self.server.redeem(thief, code), "invalid_grant")
        self.assertTrue(await self.server.active(tokens["access_token"]))

    async def test_a_wrong_attempt_burns_nothing(self) -> None:
        """A wrong redirect URI or verifier is refused and changes nothing, before and after the code was used."""
        code = await self.server.code(
            self.app, self.alice, code_challenge=challenge_of(VERIFIER), code_challenge_method="S256"
        )
        wrong: tuple[dict[str, str | None], ...] = (
            {"code_verifier": VERIFIER, "redirect_uri": REDIRECT + "/"},
            {"code_verifier": VERIFIER, "redirect_uri": None},
            {"code_verifier": "x" * 43},
            {"code_verifier": None},
        )
        for parameters in wrong:
            self.refused(await self.server.redeem(self.app, code, **parameters), "invalid_grant")
        tokens = ok(await self.server.redeem(self.app, code, code_verifier=VERIFIER))
        for parameters in wrong:
            self.refused(await self.server.redeem(self.app, code, **parameters), "invalid_grant")
        self.assertTrue(await self.server.active(tokens["access_token"]))

    async def test_a_valid_replay_ends_the_grant(self) -> None:
        """A code that comes back rightly is refused, and all tokens of its grant are dead; those of others live."""
        code = await self.server.code(self.app, self.alice)
        tokens = ok(await self.server.redeem(self.app, code))
        other = await self.server.signed_in(self.app, self.alice)
        refreshed = ok(await self.server.refresh(self.app, tokens["refresh_token"]))
        self.refused(await self.server.redeem(self.app, code), "invalid_grant")
        for token in (tokens["access_token"], refreshed["access_token"]):
            self.assertEqual(await self.server.introspect(token), {"active": False})
        self.refused(await self.server.refresh(self.app, refreshed["refresh_token"]), "invalid_grant")
        self.assertTrue(await self.server.active(other["access_token"]))
        self.refused(await self.server.redeem(self.app, code), "invalid_grant")  # the grant is gone by now
        self.assertEqual(len(self.server.told("grant.replayed")), 1)

    async def test_parallel_redemptions_have_one_winner(self) -> None:
        """Of twenty redemptions at once one gets tokens; the others are refused."""
        code = await self.server.code(self.app, self.alice)
        answers = await together(self.server.redeem(self.app, code) for _ in range(20))
        self.assertEqual(sorted(answer.status for answer in answers), [200] + [400] * 19)
        self.assertEqual({answer.error for answer in answers if answer.status == 400}, {"invalid_grant"})

    async def test_a_crash_before_the_commit_burns_nothing(self) -> None:
        """When the store is lost between decision and commit the answer is 503, and a retry works."""
        code = await self.server.code(self.app, self.alice)
        self.server.store.crash_before = 1
        answer = await self.server.redeem(self.app, code)
        self.refused(answer, "temporarily_unavailable", 503)
        self.assertNotEqual(answer.header("retry-after"), "")
        tokens = ok(await self.server.redeem(self.app, code))
        self.assertTrue(await self.server.active(tokens["access_token"]))

    async def test_it_ends_in_time(self) -> None:
        """A code can be redeemed until its 60 seconds are over, whatever the database still holds."""
        first, second = [await self.server.code(self.app, self.alice) for _ in range(2)]
        self.server.clock.advance(59)
        ok(await self.server.redeem(self.app, first))
        self.server.clock.advance(1)
        self.refused(await self.server.redeem(self.app, second), "invalid_grant")

    async def test_a_late_replay_changes_nothing(self) -> None:
        """A used code that comes back after its end is just an unknown one."""
        code = await self.server.code(self.app, self.alice)
        tokens = ok(await self.server.redeem(self.app, code))
        self.server.clock.advance(61)
        self.refused(await self.server.redeem(self.app, code), "invalid_grant")
        self.assertTrue(await self.server.active(tokens["access_token"]))

    async def test_what_is_no_code(self) -> None:
        """A truncated, changed, made-up or otherwise typed string is refused like an unknown code."""
        code = await self.server.code(self.app, self.alice)
        refresh = (await self.server.signed_in(self.app, self.alice))["refresh_token"]
        for value in (code[:-1], code + "x", code.swapcase(), " " + code, "x", "x" * 20000, refresh, "\u00e4"):
            self.refused(await self.server.redeem(self.app, value), "invalid_grant")
        self.refused(await self.server.redeem(self.app, ""), "invalid_request")
        ok(await self.server.redeem(self.app, code))

    async def test_a_user_who_is_gone(self) -> None:
        """A code of a user who was deactivated, or whose password was changed, since then is refused."""
        codes = [await self.server.code(self.app, self.alice) for _ in range(2)]
        await self.server.application.tokens.end_all_of_user(self.alice.user_id)
        self.refused(await self.server.redeem(self.app, codes[0]), "invalid_grant")
        await self.server.application.users.deactivate(self.alice.user_id)
        self.refused(await self.server.redeem(self.app, codes[1]), "invalid_grant")

    async def test_a_client_made_anew(self) -> None:
        """A code of a deleted client is worth nothing to a new client of the same id."""
        code = await self.server.code(self.app, self.alice)
        await self.server.application.clients.delete(self.app.client_id)
        self.refused(await self.server.redeem(self.app, code), "invalid_client", 401)
        again = await self.server.client(self.app.client_id)
        self.refused(await self.server.redeem(again, code), "invalid_grant")

    async def test_the_database_holds_no_code(self) -> None:
        """Neither the code nor a token made from it stands in the database."""
        code = await self.server.code(self.app, self.alice)
        tokens = ok(await self.server.redeem(self.app, code))
        held = b"\n".join(key + value for key, value in (await self.server.dump()).items())
        for secret in (code, tokens["access_token"], tokens["refresh_token"], tokens["id_token"]):
            self.assertNotIn(secret.encode(), held)
            self.assertNotIn(secret[-30:].encode(), held)


class WithoutRefreshTests(ServerCase):
    """A client that is not registered for refresh tokens."""

    async def test_the_access_token_lives_to_its_end(self) -> None:
        """The grant lasts as long as the access token says, though the code ended long before."""
        app = await self.server.client(grant_types=("authorization_code",))
        tokens = await self.server.signed_in(app, await self.server.user())
        self.server.clock.advance(1799)
        self.assertTrue(await self.server.active(tokens["access_token"]))
        self.server.clock.advance(1)
        self.assertFalse(await self.server.active(tokens["access_token"]))

    async def test_the_grant_does_not_outlive_its_token_for_long(self) -> None:
        """A minute after the access token the grant is gone, too: nothing could use it."""
        app = await self.server.client(grant_types=("authorization_code",))
        code = await self.server.code(app, await self.server.user())
        ok(await self.server.redeem(app, code))
        self.server.clock.advance(1800 + 61)
        self.assertEqual(await self.server.store.get(kinds.grant(code[4:18])), (None,))


class ShortGrantTests(ServerCase):
    """A grant that ends before its access tokens would."""

    sections = {"tokens": TokenSettings(refresh_absolute=2000)}

    async def test_no_token_promises_more_than_its_grant(self) -> None:
        """The lifetime that an answer tells is never longer than that of the grant."""
        app, alice = await self.server.client(), await self.server.user()
        tokens = await self.server.signed_in(app, alice)
        self.server.clock.advance(1000)
        again = ok(await self.server.refresh(app, tokens["refresh_token"]))
        self.assertEqual(again["expires_in"], 1000)
        told = await self.server.introspect(again["access_token"])
        self.assertEqual(told["exp"], int(self.server.clock.seconds()) + 1000)
        self.server.clock.advance(999)
        self.assertTrue(await self.server.active(again["access_token"]))
        self.server.clock.advance(1)
        self.assertFalse(await self.server.active(again["access_token"]))
        self.refused(await self.server.refresh(app, again["refresh_token"]), "invalid_grant")


class StoredTests(ServerCase):
    """What a redemption leaves behind."""

    async def test_the_spent_code_stays_to_its_end(self) -> None:
        """A used code is remembered until it would have ended, so that a replay is seen."""
        app, alice = await self.server.client(), await self.server.user()
        code = await self.server.code(app, alice)
        ok(await self.server.redeem(app, code))
        (stored,) = await self.server.store.get(kinds.code(code[4:18], code))
        assert stored is not None
        self.assertIsNotNone(stored.record.spent)
