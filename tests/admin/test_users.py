"""Users in the admin API."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from msgspec.structs import replace

from tests.admin.case import USERS, AdminCase
from tests.server import PASSWORD, Person, together

CLAIMS: dict[str, Any] = {
    "name": "Alice Ä. Example",
    "given_name": "Alice",
    "family_name": "Example",
    "middle_name": "Ä.",
    "nickname": "Al",
    "preferred_username": "alice",
    "profile": "https://example.com/alice",
    "picture": "https://example.com/alice.png",
    "website": "http://alice.example:8080/?a=b",
    "email": "alice@example.com",
    "email_verified": True,
    "gender": "female",
    "birthdate": "0000-03-22",
    "zoneinfo": "Europe/Berlin",
    "locale": "de-AT",
    "phone_number": "+1 (604) 555-1234;ext=5678",
    "phone_number_verified": False,
    "address": {"formatted": "1 Street\nTown", "street_address": "1 Street", "locality": "Town", "region": "R",
                "postal_code": "12 345", "country": "Austria"},
}  # fmt: skip


class CreateTests(AdminCase):
    """POST /api/v1/users"""

    async def test_least(self) -> None:
        """A name makes a user, who cannot sign in without a password."""
        made = await self.done("POST", USERS, {"username": "bob"}, 201)
        self.assertEqual((made["roles"], made["claims"], made["email"], made["has_password"]), ([], {}, None, False))
        answer = await self.server.token(self.root, "password", username="bob", password="")
        self.assertEqual(answer.status, 400)

    async def test_full(self) -> None:
        """Every claim is kept, the user is where Location says, and signs in; the hash is nowhere."""
        body = {"username": "Älice", "password": PASSWORD, "roles": ["staff", "editor"], "claims": CLAIMS}
        answer = await self.call("POST", USERS, body)
        self.assertEqual(answer.status, 201, answer.body)
        made = answer.json()
        self.assertEqual((made["username"], made["roles"], made["claims"]), ("Älice", ["staff", "editor"], CLAIMS))
        self.assertEqual((made["email"], made["has_password"], made["is_active"]), ("alice@example.com", True, True))
        self.assertEqual(await self.done("GET", answer.location), made)
        self.assertNotIn(b"argon2", answer.body)
        user = await self.server.application.users.find(made["user_id"])
        assert user is not None
        await self.token_of(Person(user), "read")
        facts = {"user_id": made["user_id"], "by_client": "root", "by_user": None}
        self.assertEqual(self.server.told("user.created"), [facts])

    async def test_email(self) -> None:
        """The email at the top counts before the one in the claims."""
        body = {"username": "bob", "email": "a@example.com", "claims": {"email": "b@example.com"}}
        made = await self.done("POST", USERS, body, 201)
        self.assertEqual((made["email"], made["claims"]), ("a@example.com", {"email": "a@example.com"}))

    async def test_name_is_taken(self) -> None:
        """A name in another spelling is the same name; what was made in vain is gone."""
        await self.done("POST", USERS, {"username": "alice"}, 201)
        keys = await self.server.keys()
        for spelling in ("alice", "ALICE", "\uff21lice", "al\u200dice"):
            await self.wrong("POST", USERS, {"username": spelling}, "username", status=409)
        self.assertEqual(len((await self.done("GET", USERS))["users"]), 1)
        self.assertEqual({key for key in await self.server.keys() if key not in keys and b"gen:" not in key}, set())

    async def test_same_name_at_once(self) -> None:
        """Of many who want one name at once, one gets it."""
        answers = await together(self.call("POST", USERS, {"username": "same"}) for _ in range(10))
        self.assertEqual(sorted(answer.status for answer in answers), [201] + [409] * 9)
        self.assertEqual(len((await self.done("GET", USERS))["users"]), 1)

    async def test_wrong_members(self) -> None:
        """Every member that is out of its form is named."""
        for member, value, named in [
            ("username", "", "username"),
            ("username", " alice", "username"),
            ("username", "alice\u3000", "username"),
            ("username", "\u200b", "username"),
            ("username", "a\nb", "username"),
            ("username", "a\x00b", "username"),
            ("username", "x" * 129, "username"),
            ("username", 1, "username"),
            ("password", "short", "password"),
            ("password", "x" * 257, "password"),
            ("password", "correct\x00horse", "password"),
            ("password", None, "password"),
            ("email", "alice", "email"),
            ("email", "a b@example.com", "email"),
            ("roles", "admin", "roles"),
            ("roles", ["Admin"], "roles.0"),
            ("roles", ["a", "a"], "roles"),
            ("claims", {"sub": "other"}, "claims.sub"),
            ("claims", {"email_verified": "true"}, "claims.email_verified"),
            ("claims", {"birthdate": "22.3.1970"}, "claims.birthdate"),
            ("claims", {"picture": "javascript:alert(1)"}, "claims.picture"),
            ("claims", {"address": "Street 1"}, "claims.address"),
            ("claims", {"address": {"planet": "Mars"}}, "claims.address.planet"),
            ("claims", {"updated_at": 1}, "claims.updated_at"),
            ("claims", {"phone_number": "call me"}, "claims.phone_number"),
            ("claims", [], "claims"),
            ("user_id", "chosen", "user_id"),
            ("is_active", False, "is_active"),
        ]:
            await self.wrong("POST", USERS, {"username": "bob", member: value}, named)
        await self.wrong("POST", USERS, {}, "username")
        self.assertEqual((await self.done("GET", USERS))["users"], [])

    async def test_passwords_of_every_kind(self) -> None:
        """A password may hold any characters that a form carries, and fits as it is."""
        for number, password in enumerate(("pässwörd🔑!", " blanks at the ends ", "x" * 256, '"\\&+%=;<')):
            made = await self.done("POST", USERS, {"username": f"u{number}", "password": password}, 201)
            user = await self.server.application.users.find(made["user_id"])
            assert user is not None
            await self.token_of(Person(user, password), "read")


class ListTests(AdminCase):
    """GET /api/v1/users"""

    async def test_pages_and_filters(self) -> None:
        """In the order of making; by name in any spelling, role and being active."""
        people = [await self.server.user(f"user{n}", roles=("even",) if n % 2 == 0 else ()) for n in range(5)]
        await self.done("DELETE", f"{USERS}/{people[2].user_id}", status=204)

        async def names(**query: str) -> list[str]:
            return [one["username"] for one in await self.everything(USERS, "users", **query)]

        for limit in ("1", "2", "200"):
            self.assertEqual(sorted(await names(limit=limit)), [f"user{n}" for n in range(5)])
            self.assertEqual(sorted(await names(limit=limit, role="even")), ["user0", "user2", "user4"])
            self.assertEqual(await names(limit=limit, is_active="false"), ["user2"])
            self.assertEqual(sorted(await names(limit=limit, is_active="true", role="even")), ["user0", "user4"])
        self.assertEqual(await names(username="USER3"), ["user3"])
        self.assertEqual(await names(username="user3", role="even"), [])
        self.assertEqual(await names(username="nobody"), [])
        self.refused(await self.call("GET", USERS, username="user3", cursor="AAAA"), "not_found", 404)


class UpdateTests(AdminCase):
    """PUT /api/v1/users/{user_id}"""

    async def test_merges(self) -> None:
        """What is sent changes, all else stays; claims and roles are replaced as a whole."""
        alice = await self.server.user()
        path = f"{USERS}/{alice.user_id}"
        before = await self.done("GET", path)
        email = {"email": "new@example.com"}
        changed: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({"username": "Alice"}, {"username": "Alice"}),
            ({"roles": ["staff"]}, {"roles": ["staff"]}),
            (email, {**email, "claims": before["claims"] | email}),
            ({"claims": {"name": "A"}}, {"claims": {"name": "A"}, "email": None}),
            ({"claims": {"name": "A"}, **email}, {"claims": {"name": "A", **email}, **email}),
            ({}, {}),
        ]
        for body, changes in changed:
            self.server.clock.advance(1)
            after = await self.done("PUT", path, body)
            before |= {**changes, "updated_at": before["updated_at"] + 1}
            self.assertEqual(after, before)
        await self.token_of(alice, "read")
        for member in ("password", "user_id", "created_at", "has_password"):
            await self.wrong("PUT", path, {member: PASSWORD}, member)

    async def test_rename(self) -> None:
        """A new name counts, the old one is free again; a taken one is 409 and changes nothing."""
        alice, bob = await self.server.user(), await self.server.user("bob")
        path = f"{USERS}/{alice.user_id}"
        await self.wrong("PUT", path, {"username": "BOB", "roles": ["x"]}, "username", status=409)
        self.assertEqual((await self.done("GET", path))["roles"], [])
        await self.done("PUT", path, {"username": "carol"})
        await self.token_of(evolve(alice, record=replace(alice.record, username="carol")), "read")
        await self.done("PUT", f"{USERS}/{bob.user_id}", {"username": "alice"})

    async def test_refused_rename_frees_the_name(self) -> None:
        """A change that is refused for another reason takes no name."""
        boss = await self.administrator()
        await self.wrong("PUT", f"{USERS}/{boss.user_id}", {"username": "new", "roles": []}, status=409)
        await self.done("POST", USERS, {"username": "new"}, 201)

    async def test_lost_role(self) -> None:
        """Who is no administrator any more loses every token and cannot get the scope again."""
        boss, other = await self.administrator(), await self.administrator("other")
        token = await self.token_of(other, "admin")
        path = f"{USERS}/{other.user_id}"
        await self.done("PUT", path, {"roles": ["admin", "staff"]})
        self.assertTrue(await self.server.active(token))
        await self.done("PUT", path, {"roles": ["staff"]})
        self.assertFalse(await self.server.active(token))
        answer = await self.server.token(
            self.root, "password", username="other", password=PASSWORD, scope="admin"
        )
        self.refused(answer, "invalid_scope")
        await self.wrong("PUT", f"{USERS}/{boss.user_id}", {"roles": []}, status=409)
        await self.done("PUT", path, {"roles": ["admin"]})
        await self.done("GET", USERS, bearer=await self.token_of(other, "admin"))
        await self.done("PUT", f"{USERS}/{boss.user_id}", {"roles": []})

    async def test_deactivates(self) -> None:
        """`is_active` false deactivates as DELETE does, true reactivates."""
        alice = await self.server.user()
        token = await self.token_of(alice, "read")
        path = f"{USERS}/{alice.user_id}"
        self.assertFalse((await self.done("PUT", path, {"is_active": False}))["is_active"])
        self.assertFalse(await self.server.active(token))
        self.refused(await self.call("GET", path), "not_found", 404)
        self.refused(await self.call("PUT", path, {"roles": []}), "not_found", 404)
        await self.done("PUT", path, {"is_active": True})
        self.assertFalse(await self.server.active(token))
        await self.token_of(alice, "read")
        self.assertEqual([len(self.server.told(f"user.{what}")) for what in ("updated", "deactivated")], [1, 1])


class DeactivationTests(AdminCase):
    """DELETE /api/v1/users/{user_id} and POST .../reactivate"""

    async def test_deactivate(self) -> None:
        """Tokens, sessions and sign-in end at once; the list still shows the user, the address does not."""
        alice = await self.server.user()
        path = f"{USERS}/{alice.user_id}"
        app = await self.server.client()
        browser = self.server.browser()
        signed_in = await self.server.signed_in(app, alice, browser=browser)
        self.assertTrue(await self.server.active(signed_in["access_token"]))
        await self.done("DELETE", path, status=204)
        self.assertFalse(await self.server.active(signed_in["access_token"]))
        self.refused(await self.server.refresh(app, signed_in["refresh_token"]), "invalid_grant")
        login = await browser.open("/oauth2/authorize", self.server.asking(app))
        self.assertIn("password", [name for form in login.forms for name in form.fields])
        answer = await self.server.token(self.root, "password", username="alice", password=PASSWORD)
        self.refused(answer, "invalid_grant")
        self.refused(await self.call("GET", path), "not_found", 404)
        self.assertIn("deactivated", (await self.call("GET", path)).json()["detail"])
        (listed,) = (await self.done("GET", USERS, is_active="false"))["users"]
        self.assertEqual((listed["user_id"], listed["is_active"]), (alice.user_id, False))

    async def test_reactivate(self) -> None:
        """A reactivated user signs in; what had ended stays so; for an active user nothing changes."""
        alice = await self.server.user()
        path = f"{USERS}/{alice.user_id}"
        token = await self.token_of(alice, "read")
        await self.done("DELETE", path, status=204)
        self.assertTrue((await self.done("POST", f"{path}/reactivate"))["is_active"])
        self.assertFalse(await self.server.active(token))
        token = await self.token_of(alice, "read")
        await self.done("POST", f"{path}/reactivate")
        self.assertTrue(await self.server.active(token))
        self.assertEqual(len(self.server.told("user.reactivated")), 2)

    async def test_repeated(self) -> None:
        """DELETE again ends what is left, should the first time have been cut off in the middle."""
        alice = await self.server.user()
        token = await self.token_of(alice, "read")
        users = self.server.application.users
        await users.update(alice.user_id, lambda user: replace(user, is_active=False))  # all that was done
        self.assertTrue(await self.server.active(token))
        await self.done("DELETE", f"{USERS}/{alice.user_id}", status=204)
        self.assertFalse(await self.server.active(token))

    async def test_last_administrator(self) -> None:
        """The last administrator is neither deactivated nor robbed of the role; a reactivated one counts again."""
        boss, other = await self.administrator(), await self.administrator("other")
        await self.done("DELETE", f"{USERS}/{other.user_id}", status=204)
        await self.wrong("DELETE", f"{USERS}/{boss.user_id}", None, status=409)
        await self.wrong("PUT", f"{USERS}/{boss.user_id}", {"is_active": False}, status=409)
        await self.wrong("PUT", f"{USERS}/{boss.user_id}", {"roles": ["staff"]}, status=409)
        await self.done("GET", USERS, bearer=await self.token_of(boss, "admin"))
        await self.done("POST", f"{USERS}/{other.user_id}/reactivate")
        await self.done("DELETE", f"{USERS}/{boss.user_id}", status=204)

    async def test_last_administrators_at_once(self) -> None:
        """Of many administrators who are all removed at once, in whatever way, one is left."""
        ways: list[tuple[str, Any]] = [("DELETE", None), ("PUT", {"roles": []}), ("PUT", {"is_active": False})]
        left: list[str] = []
        for turn in range(10):
            left += [(await self.administrator(f"boss{turn}.{n}")).user_id for n in range(4 - len(left))]
            answers = await together(
                self.call(ways[(turn + n) % 3][0], f"{USERS}/{user_id}", ways[(turn + n) % 3][1])
                for n, user_id in enumerate(left)
            )
            self.assertEqual([answer.status for answer in answers].count(409), 1)
            listed = await self.everything(USERS, "users", is_active="true", role="admin")
            left = [one["user_id"] for one in listed]
            self.assertEqual(len(left), 1)

    async def test_unknown(self) -> None:
        """An unknown user is 404 everywhere."""
        for method, path, body in [
            ("GET", "", None), ("PUT", "", {}), ("DELETE", "", None), ("POST", "/reactivate", None),
            ("PUT", "/password", {"password": PASSWORD}), ("PUT", "", {"is_active": False}),
        ]:  # fmt: skip
            self.refused(await self.call(method, f"{USERS}/nobody{path}", body), "not_found", 404)


class UserCodeTests(AdminCase):
    """PUT /api/v1/users/{user_id}/user-code"""

    async def test_user_code(self) -> None:
        """It is given, taken away, and told of by has_user_code alone; tokens stay."""
        alice = await self.server.user()
        token = await self.token_of(alice, "read")
        path = f"{USERS}/{alice.user_id}"
        for code, has in (("246802", True), ("another code", True), (None, False)):
            self.assertEqual((await self.call("PUT", f"{path}/user-code", {"user_code": code})).status, 204)
            shown = await self.done("GET", path)
            self.assertIs(shown["has_user_code"], has)
            self.assertNotIn("user_code", shown)
        self.assertTrue(await self.server.active(token))
        self.assertEqual(len(self.server.told("user.user_code_changed")), 3)

    async def test_tells_no_password(self) -> None:
        """It is not compared with the password, which could be tried out by it."""
        path = f"{USERS}/{(await self.server.user()).user_id}/user-code"
        for code in (PASSWORD, f"{PASSWORD}!"):
            self.assertEqual((await self.call("PUT", path, {"user_code": code})).status, 204)

    async def test_wrong(self) -> None:
        """One that is too short or long or no text is 422, and changes nothing."""
        alice = await self.server.user()
        path = f"{USERS}/{alice.user_id}/user-code"
        for value in ("x" * 5, "x" * 65, "", 246802, "24680\n"):
            await self.wrong("PUT", path, {"user_code": value}, "user_code")
        await self.wrong("PUT", path, {}, "user_code")
        self.refused(await self.call("PUT", f"{USERS}/nobody/user-code", {"user_code": None}), "not_found", 404)
        self.assertFalse((await self.done("GET", f"{USERS}/{alice.user_id}"))["has_user_code"])


class PasswordTests(AdminCase):
    """PUT /api/v1/users/{user_id}/password"""

    async def test_password(self) -> None:
        """The new password fits, the old one does not, and every token is dead."""
        alice = await self.server.user()
        token = await self.token_of(alice, "read")
        path = f"{USERS}/{alice.user_id}/password"
        self.assertEqual((await self.call("PUT", path, {"password": "another password"})).status, 204)
        self.assertFalse(await self.server.active(token))
        answer = await self.server.token(self.root, "password", username="alice", password=PASSWORD)
        self.refused(answer, "invalid_grant")
        await self.token_of(evolve(alice, password="another password"), "read")
        self.assertEqual(len(self.server.told("user.password_changed")), 1)

    async def test_wrong(self) -> None:
        """A password that is too short, or none, is 422 and changes nothing."""
        alice = await self.server.user()
        path = f"{USERS}/{alice.user_id}/password"
        for value in ("x" * 7, "", None, 12345678):
            await self.wrong("PUT", path, {"password": value}, "password")
        await self.wrong("PUT", path, {}, "password")
        await self.token_of(alice, "read")
