"""A user's own profile and password."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from oauthd.config import UserinfoSettings
from tests.admin.case import PROFILE, AdminCase
from tests.server import CHEAP, PASSWORD

NEW = "a new password"


class ProfileTests(AdminCase):
    """GET and PUT /api/v1/users/profile"""

    async def test_show_and_change(self) -> None:
        """The own claims are shown, changed and removed; all else stays as it is."""
        alice = await self.server.user()
        token = await self.token_of(alice, "account")
        shown = await self.done("GET", PROFILE, bearer=token)
        self.assertEqual((shown["user_id"], shown["username"]), (alice.user_id, "alice"))
        after = await self.done("PUT", PROFILE, {"nickname": "Al", "name": None}, bearer=token)
        self.assertEqual(after["claims"], {"email": "alice@example.com", "email_verified": True, "nickname": "Al"})
        self.assertEqual(await self.done("GET", PROFILE, bearer=token), after)
        facts = {"user_id": alice.user_id, "by_client": "root", "by_user": alice.user_id}
        self.assertEqual(self.server.told("user.updated"), [facts])

    async def test_changed_address_is_not_verified(self) -> None:
        """Another email address or phone number is no longer verified, the same one still is."""
        verified = {"email_verified": True, "phone_number_verified": True}
        alice = await self.server.user(claims={"email": "a@example.com", "phone_number": "1", **verified})
        token = await self.token_of(alice, "account")
        same = await self.done("PUT", PROFILE, {"email": "a@example.com"}, bearer=token)
        self.assertTrue(same["claims"]["email_verified"])
        other = await self.done("PUT", PROFILE, {"email": "b@example.com", "phone_number": None}, bearer=token)
        self.assertEqual(other["claims"], {"email": "b@example.com"})

    async def test_not_for_users(self) -> None:
        """Names, roles, being active and verified are not the user's own to say."""
        token = await self.token_of(await self.server.user(), "account")
        for member in ("email_verified", "phone_number_verified", "roles", "username", "is_active", "sub", "claims"):
            await self.wrong("PUT", PROFILE, {member: True}, member, bearer=token)
        await self.wrong("PUT", PROFILE, {}, "body", bearer=token)

    async def test_deactivated(self) -> None:
        """A deactivated user's token is worth nothing."""
        alice = await self.server.user()
        token = await self.token_of(alice, "account")
        await self.done("DELETE", f"/api/v1/users/{alice.user_id}", status=204)
        self.refused(await self.call("GET", PROFILE, bearer=token), "invalid_token", 401)

    async def test_read_write(self) -> None:
        """The scope read_write is as good as account, by the setting that is on."""
        await self.done("GET", PROFILE, bearer=await self.token_of(await self.server.user(), "read_write"))


class UserCodeTests(AdminCase):
    """PUT /api/v1/users/profile/user-code"""

    async def test_user_code(self) -> None:
        """Who knows the password gives and takes the own code; whoever has a token alone does not."""
        token = await self.token_of(await self.server.user(), "account")
        path = f"{PROFILE}/user-code"
        wrong = {"current_password": "not it at all", "user_code": "246802"}
        self.refused(await self.call("PUT", path, wrong, bearer=token), "forbidden", 403)
        self.assertFalse((await self.done("GET", PROFILE, bearer=token))["has_user_code"])
        await self.wrong("PUT", path, {"user_code": "246802"}, "current_password", bearer=token)
        for code, has in (("246802", True), (None, False)):
            body = {"current_password": PASSWORD, "user_code": code}
            self.assertEqual((await self.call("PUT", path, body, bearer=token)).status, 204)
            self.assertIs((await self.done("GET", PROFILE, bearer=token))["has_user_code"], has)

    async def test_never_the_password(self) -> None:
        """Neither becomes the other: applications see user codes."""
        token = await self.token_of(await self.server.user(), "account")
        known, code = {"current_password": PASSWORD}, "the 2nd thing she knows"
        path = f"{PROFILE}/user-code"
        self.refused(await self.call("PUT", path, known | {"user_code": PASSWORD}, bearer=token), "conflict", 409)
        self.assertEqual((await self.call("PUT", path, known | {"user_code": code}, bearer=token)).status, 204)
        path = f"{PROFILE}/password"
        self.refused(await self.call("PUT", path, known | {"password": code}, bearer=token), "conflict", 409)
        self.assertEqual((await self.call("PUT", path, known | {"password": f"{code}!"}, bearer=token)).status, 204)


class StrictProfileTests(AdminCase):
    """With the setting off."""

    sections: dict[str, Any] = {"users": CHEAP, "userinfo": UserinfoSettings(account_by_read_write=False)}

    async def test_read_write(self) -> None:
        """read_write alone does not do."""
        token = await self.token_of(await self.server.user(), "read_write")
        answer = await self.call("GET", PROFILE, bearer=token)
        self.refused(answer, "insufficient_scope", 403)
        self.assertIn('scope="account"', answer.header("www-authenticate"))


class PasswordTests(AdminCase):
    """PUT /api/v1/users/profile/password"""

    path = f"{PROFILE}/password"

    async def test_change(self) -> None:
        """With the current password: the new one fits, and every token and session ends, this request's too."""
        alice = await self.server.user()
        app = await self.server.client()
        signed_in = await self.server.signed_in(app, alice)
        token = await self.token_of(alice, "account")
        body = {"current_password": PASSWORD, "password": NEW}
        await self.done("PUT", self.path, body, 204, bearer=token)
        for one in (token, signed_in["access_token"]):
            self.assertFalse(await self.server.active(one))
        self.refused(await self.server.refresh(app, signed_in["refresh_token"]), "invalid_grant")
        answer = await self.server.token(self.root, "password", username="alice", password=PASSWORD)
        self.refused(answer, "invalid_grant")
        await self.token_of(evolve(alice, password=NEW), "account")

    async def test_wrong_current(self) -> None:
        """A wrong current password is 403, changes nothing, and is counted like a sign-in: then 429."""
        alice = await self.server.user()
        token = await self.token_of(alice, "account")
        body = {"current_password": "wrong", "password": NEW}
        for _ in range(5):
            await self.wrong("PUT", self.path, body, "current_password", status=403, bearer=token)
        answer = await self.call("PUT", self.path, body, bearer=token)
        self.refused(answer, "too_many_requests", 429)
        self.assertTrue(answer.header("retry-after").isdigit())
        answer = await self.call("PUT", self.path, body | {"current_password": PASSWORD}, bearer=token)
        self.refused(answer, "too_many_requests", 429)
        self.server.clock.advance(3600 * 2)
        await self.token_of(alice, "account")

    async def test_not_counted(self) -> None:
        """A request that is refused for its form counts as no attempt."""
        token = await self.token_of(await self.server.user(), "account")
        for _ in range(20):
            await self.wrong("PUT", self.path, {"current_password": "x", "password": "s"}, "password", bearer=token)
            await self.wrong("PUT", self.path, {"password": NEW}, "current_password", bearer=token)

    async def test_somebody_elses(self) -> None:
        """Another user's password is none, and no token reaches another user."""
        alice = await self.server.user()
        bob = await self.server.user("bob", "the password of bob")
        token = await self.token_of(alice, "account")
        body = {"current_password": bob.password, "password": NEW}
        await self.wrong("PUT", self.path, body, "current_password", status=403, bearer=token)
        await self.token_of(bob, "account")
