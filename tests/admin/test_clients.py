"""Clients in the admin API."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from oauthd.config import AuthorizationSettings
from oauthd.protocol.client_documents import as_segment
from tests.admin.case import CLIENTS, AdminCase
from tests.details import DECLARATIONS, PAY, PAYMENT_TYPE, sent
from tests.server import DEVICE_GRANT, ISSUER, REDIRECT, App, ok, together

FULL: dict[str, Any] = {
    "client_id": "chosen.id",
    "client_secret": "a-secret-of-at-least-32-characters!",
    "client_type": "confidential",
    "name": "Full",
    "redirect_uris": [REDIRECT, "http://127.0.0.1/cb", "com.example.app:/cb"],
    "post_logout_redirect_uris": ["https://app.example/bye"],
    "grant_types": ["authorization_code", "refresh_token", "client_credentials", "password", DEVICE_GRANT],
    "scopes": ["openid", "read"],
    "default_scopes": ["read"],
    "resources": ["https://api.example/v1", "urn:example:api"],
    "access_format": "opaque",
    "id_token_algorithm": "EdDSA",
    "introspects": False,
    "machine_refresh": True,
    "first_party": True,
    "pkce_required": True,
    "rotates_refresh": False,
    "client_uri": "https://app.example/",
    "is_active": True,
}


class CreateTests(AdminCase):
    """POST /api/v1/oauth/clients"""

    async def test_least(self) -> None:
        """A name makes a confidential client with an id, a secret that works and the usual grants."""
        made = await self.done("POST", CLIENTS, {"name": "Least"}, 201)
        self.assertEqual(made["client_type"], "confidential")
        self.assertEqual(made["grant_types"], ["authorization_code", "refresh_token"])
        self.assertEqual((made["scopes"], made["redirect_uris"], made["machine_refresh"]), (None, [], False))
        self.assertTrue(await self.knows(made["client_id"], made["client_secret"]))

    async def test_full(self) -> None:
        """Every member is kept as it was sent, the secret apart, and is where Location says."""
        answer = await self.call("POST", CLIENTS, FULL)
        self.assertEqual(answer.status, 201)
        made = answer.json()
        self.assertEqual({name: made[name] for name in FULL}, FULL)
        self.assertTrue(await self.knows("chosen.id", FULL["client_secret"]))
        shown = await self.done("GET", answer.location)
        self.assertEqual(shown, {name: value for name, value in made.items() if name != "client_secret"})
        self.assertEqual(self.server.told("client.created")[-1], {"client_id": "chosen.id", **self.facts})

    async def test_public(self) -> None:
        """A public client has no secret, cannot choose one, and cannot have client_credentials."""
        made = await self.done("POST", CLIENTS, {"name": "Public", "client_type": "public"}, 201)
        self.assertNotIn("client_secret", made)
        self.assertEqual(made["secrets"], [])
        body = {"name": "Public", "client_type": "public", "grant_types": ["client_credentials"]}
        body["client_secret"] = FULL["client_secret"]
        await self.wrong("POST", CLIENTS, body, "client_secret", "grant_types.0")

    async def test_wrong_members(self) -> None:
        """Every member that is out of its form is named."""
        for member, value, named in [
            ("name", "", "name"),
            ("name", " a", "name"),
            ("name", "a\u202eb", "name"),
            ("name", "a\x00b", "name"),
            ("name", "x" * 201, "name"),
            ("name", None, "name"),
            ("client_id", "", "client_id"),
            ("client_id", "a/b", "client_id"),
            ("client_id", "..", "client_id"),
            ("client_id", "x" * 129, "client_id"),
            ("client_secret", "short", "client_secret"),
            ("client_type", "secret", "client_type"),
            ("client_type", ["public"], "client_type"),
            ("redirect_uris", REDIRECT, "redirect_uris"),
            ("redirect_uris", [REDIRECT, REDIRECT], "redirect_uris"),
            ("redirect_uris", ["http://app.example/cb"], "redirect_uris.0"),
            ("redirect_uris", [REDIRECT, "javascript:alert(1)"], "redirect_uris.1"),
            ("redirect_uris", [REDIRECT + "#f"], "redirect_uris.0"),
            ("redirect_uris", ["https://user@app.example/"], "redirect_uris.0"),
            ("redirect_uris", ["http://0x7f.1/cb"], "redirect_uris.0"),
            ("redirect_uris", [f"https://app.example/{n}" for n in range(51)], "redirect_uris"),
            ("post_logout_redirect_uris", ["/bye"], "post_logout_redirect_uris.0"),
            ("grant_types", ["implicit"], "grant_types.0"),
            ("scopes", ["a b"], "scopes.0"),
            ("scopes", "openid", "scopes"),
            ("resources", ["https://api.example/#x"], "resources.0"),
            ("resources", ["api"], "resources.0"),
            ("access_format", "saml", "access_format"),
            ("id_token_algorithm", "none", "id_token_algorithm"),
            ("id_token_algorithm", "HS512", "id_token_algorithm"),
            ("first_party", "yes", "first_party"),
            ("introspects", 1, "introspects"),
            ("client_uri", "javascript:alert(1)", "client_uri"),
            ("is_active", None, "is_active"),
        ]:  # fmt: skip
            await self.wrong("POST", CLIENTS, {"name": "Odd", member: value}, named)
        self.assertEqual(len((await self.done("GET", CLIENTS))["clients"]), 1)

    async def test_redirect_uri_reason(self) -> None:
        """What is wrong with a redirect URI is said."""
        answer = await self.call("POST", CLIENTS, {"name": "Odd", "redirect_uris": ["http://app.example/cb"]})
        self.assertIn("https", answer.json()["errors"]["redirect_uris.0"])

    async def test_conflicts(self) -> None:
        """What is fine in itself but not beside what is there is 409, and named."""
        await self.done("POST", CLIENTS, {"name": "One", "client_id": "one"}, 201)
        refused: list[tuple[dict[str, Any], list[str]]] = [
            ({"client_id": "one"}, ["client_id"]),
            ({"scopes": ["openid", "nonsense"]}, ["scopes.1"]),
            ({"default_scopes": ["nonsense"]}, ["default_scopes.0"]),
            ({"scopes": ["openid"], "default_scopes": ["read"]}, ["default_scopes"]),
            ({"resources": [ISSUER]}, ["resources"]),
        ]
        for body, named in refused:
            await self.wrong("POST", CLIENTS, {"name": "Two", **body}, *named, status=409)

    async def test_same_id_at_once(self) -> None:
        """Of many who want one id at once, one gets it."""
        wanted = [self.call("POST", CLIENTS, {"name": f"N{n}", "client_id": "same"}) for n in range(10)]
        self.assertEqual(sorted(answer.status for answer in await together(wanted)), [201] + [409] * 9)

    async def test_secret_is_stored_hashed(self) -> None:
        """Neither a chosen secret nor one that was made stands in the database or in an event."""
        made = await self.done("POST", CLIENTS, {"name": "Least"}, 201)
        await self.done("POST", CLIENTS, FULL, 201)
        held = b"".join([key + value for key, value in (await self.server.dump()).items()]).decode("latin-1")
        for secret in (made["client_secret"], FULL["client_secret"]):
            self.assertNotIn(secret, held + repr(self.server.events))

    async def knows(self, client_id: str, secret: str) -> bool:
        """Does the secret authenticate the client?"""
        answer = await self.server.post("/oauth2/revoke", {"token": "x"}, basic=(client_id, secret))
        return answer.status == 200

    facts: dict[str, str | None] = {"by_client": "root", "by_user": None}


class ListTests(AdminCase):
    """GET /api/v1/oauth/clients and /{client_id}"""

    async def test_pages(self) -> None:
        """Pages in the order of making, each client once, the last one without a cursor."""
        for n in range(7):
            await self.done("POST", CLIENTS, {"name": f"N{n}", "client_id": f"n{n}"}, 201)
        expected = ["root", *(f"n{n}" for n in range(7))]
        for limit in ("1", "2", "3", "8", "200"):
            found = await self.everything(CLIENTS, "clients", limit=limit)
            self.assertEqual([one["client_id"] for one in found], expected)

    async def test_filters(self) -> None:
        """By a part of the name, by type, by being active, and by all of them."""
        for name, kind, active in [
            ("Alpha", "public", True),
            ("Beta", "public", False),
            ("ALPHABET", "confidential", True),
        ]:
            await self.done("POST", CLIENTS, {"name": name, "client_type": kind, "is_active": active}, 201)

        async def names(**query: str) -> list[str]:
            return [one["name"] for one in await self.everything(CLIENTS, "clients", limit="1", **query)]

        self.assertEqual(await names(name="alpha"), ["Alpha", "ALPHABET"])
        self.assertEqual(await names(client_type="public"), ["Alpha", "Beta"])
        self.assertEqual(await names(is_active="false"), ["Beta"])
        self.assertEqual(await names(name="alpha", client_type="public", is_active="true"), ["Alpha"])
        self.assertEqual(await names(name="gamma"), [])
        await self.wrong("GET", CLIENTS, None, "client_type", client_type="x")
        await self.wrong("GET", CLIENTS, None, "is_active", is_active="1")

    async def test_cursor_of_another_list(self) -> None:
        """The cursor of another list is 404, as is one whose last character was changed."""
        for n in range(3):
            await self.server.user(f"user{n}")
            await self.server.client(f"client{n}")
        users = (await self.done("GET", "/api/v1/users", limit="1"))["next_cursor"]
        self.refused(await self.call("GET", CLIENTS, cursor=users), "not_found", 404)
        own = (await self.done("GET", CLIENTS, limit="1"))["next_cursor"]
        forged = own[:-1] + ("A" if own[-1] != "A" else "B")
        self.refused(await self.call("GET", CLIENTS, cursor=forged), "not_found", 404)

    async def test_show_unknown(self) -> None:
        """An unknown client is 404."""
        self.refused(await self.call("GET", f"{CLIENTS}/nobody"), "not_found", 404)


class UpdateTests(AdminCase):
    """PUT /api/v1/oauth/clients/{client_id}"""

    async def full(self) -> App:
        """A client with every member set."""
        made = await self.done("POST", CLIENTS, FULL, 201)
        found = await self.server.application.clients.find(made["client_id"])
        return App(found or self.root.record, made["client_secret"])

    async def test_merges(self) -> None:
        """What is sent changes, all else stays as it is."""
        app = await self.full()
        before = await self.done("GET", f"{CLIENTS}/{app.client_id}")
        self.server.clock.advance(10)
        for member, value in [
            ("name", "Other"),
            ("redirect_uris", []),
            ("scopes", ["openid", "read", "read_write"]),
            ("default_scopes", []),
            ("scopes", None),
            ("resources", ["https://api.example/v2"]),
            ("access_format", None),
            ("id_token_algorithm", None),
            ("client_uri", None),
            ("introspects", True),
            ("is_active", False),
        ]:  # fmt: skip
            after = await self.done("PUT", f"{CLIENTS}/{app.client_id}", {member: value})
            expected = before | {member: value, "updated_at": before["created_at"] + 10}
            self.assertEqual(after, expected)
            self.assertEqual(await self.done("GET", f"{CLIENTS}/{app.client_id}"), expected)
            before = after
        self.assertEqual(await self.done("PUT", f"{CLIENTS}/{app.client_id}", {}), before)
        owners = await self.server.application.clients.resources()
        self.assertEqual(dict(owners), {"https://api.example/v2": ("chosen.id",)})

    async def test_what_does_not_change(self) -> None:
        """Id, type, secret and dates are not taken."""
        app = await self.full()
        for member in ("client_id", "client_type", "client_secret", "id", "created_at", "secrets"):
            await self.wrong("PUT", f"{CLIENTS}/{app.client_id}", {member: FULL.get(member, 1)}, member)

    async def test_conflicts(self) -> None:
        """A public client gets no client_credentials, nobody an unknown scope; nothing changes then."""
        public = await self.server.client("public", public=True)
        path = f"{CLIENTS}/{public.client_id}"
        before = await self.done("GET", path)
        await self.wrong("PUT", path, {"name": "New", "grant_types": ["client_credentials"]}, "grant_types", status=409)
        await self.wrong("PUT", path, {"name": "New", "scopes": ["nonsense"]}, "scopes.0", status=409)
        await self.wrong("PUT", path, {"name": "New", "resources": [ISSUER]}, "resources", status=409)
        self.assertEqual(await self.done("GET", path), before)

    async def test_deleted_scope_stays(self) -> None:
        """A client may keep a scope that was deleted meanwhile, but not get it again."""
        app = await self.full()
        scopes = (await self.done("GET", "/api/v1/oauth/scopes"))["scopes"]
        number = next(scope["scope_id"] for scope in scopes if scope["name"] == "read")
        await self.done("DELETE", f"/api/v1/oauth/scopes/{number}", status=204)
        path = f"{CLIENTS}/{app.client_id}"
        await self.done("PUT", path, {"name": "New", "scopes": ["openid", "read"]})
        await self.done("PUT", path, {"scopes": ["openid"], "default_scopes": []})
        await self.wrong("PUT", path, {"scopes": ["openid", "read"]}, "scopes.1", status=409)

    async def test_deactivation_ends_tokens(self) -> None:
        """A deactivated client's tokens are dead and stay so; it cannot authenticate until it is active again."""
        app = await self.full()
        token = await self.own_token(app, "read")
        await self.done("PUT", f"{CLIENTS}/{app.client_id}", {"is_active": False})
        self.assertFalse(await self.server.active(token))
        self.refused(await self.server.token(app, "client_credentials"), "invalid_client", 401)
        await self.done("PUT", f"{CLIENTS}/{app.client_id}", {"is_active": True})
        self.assertFalse(await self.server.active(token))
        await self.own_token(app, "read")

    async def test_deactivation_is_repeated(self) -> None:
        """When ending the tokens is lost, the answer is 503 and the same request again ends them."""
        app = await self.full()
        token = await self.own_token(app, "read")
        path, store = f"{CLIENTS}/{app.client_id}", self.server.application.clients
        await store.update(app.client_id, lambda client: replace(client, is_active=False))  # all that was done
        self.assertTrue(await self.server.active(token))
        await self.done("PUT", path, {"is_active": False})
        self.assertFalse(await self.server.active(token))

    async def test_lost_scope_ends_tokens(self) -> None:
        """Taking a scope from a client ends its tokens; giving one, or saying the same again, does not."""
        app = await self.full()
        path = f"{CLIENTS}/{app.client_id}"
        await self.done("PUT", path, {"default_scopes": []})
        for scopes, lives in [
            (["read", "openid"], True),
            (["openid", "read", "read_write"], True),
            (["openid", "read_write"], False),
            (None, True),
            (["openid"], False),
            (["openid", "admin"], True),
            (None, False),
        ]:  # fmt: skip
            token = await self.own_token(app)
            await self.done("PUT", path, {"scopes": scopes})
            self.assertEqual(await self.server.active(token), lives, scopes)

    async def test_own_token(self) -> None:
        """A client does not deactivate itself, nor take from itself what it needs to administer."""
        path = f"{CLIENTS}/{self.root.client_id}"
        for body in ({"is_active": False}, {"scopes": ["openid"]}, {"scopes": None}, {"grant_types": ["password"]}):
            await self.wrong("PUT", path, body, status=409)
        await self.done("PUT", path, {"name": "Still root", "default_scopes": ["admin"]})
        await self.done("GET", path)

    async def test_unknown(self) -> None:
        """An unknown client is 404."""
        self.refused(await self.call("PUT", f"{CLIENTS}/nobody", {"name": "x"}), "not_found", 404)

    async def test_at_once(self) -> None:
        """Changes of different members at once are all there in the end."""
        app = await self.full()
        path = f"{CLIENTS}/{app.client_id}"
        changes: list[dict[str, Any]] = [{"name": "N"}, {"first_party": False}, {"introspects": True}]
        for answer in await together([self.call("PUT", path, body) for body in changes]):
            self.assertEqual(answer.status, 200)
        shown = await self.done("GET", path)
        for body in changes:
            self.assertEqual({name: shown[name] for name in body}, body)


class DetailsTests(AdminCase):
    """Types of authorization details, which an operator gives to clients and takes from them."""

    sections = {**AdminCase.sections, "authorization": AuthorizationSettings(details_types=DECLARATIONS)}

    async def test_lost_details_end_tokens(self) -> None:
        """Taking a type from a client ends its tokens, also those that it would refresh; giving one does not."""
        app, both = await self.server.client("app"), [PAYMENT_TYPE, "account_information"]
        for types, lives in ((both, False), (both[::-1], True), (both[:1], False), (both, True), (None, True)):
            token = await self.own_token(app)
            await self.done("PUT", f"{CLIENTS}/app", {"authorization_details_types": types})
            self.assertEqual(await self.server.active(token), lives, types)
        tokens = await self.server.signed_in(app, await self.server.user(), authorization_details=sent(PAY))
        await self.done("PUT", f"{CLIENTS}/app", {"authorization_details_types": both[1:]})
        self.refused(await self.server.refresh(app, tokens["refresh_token"]), "invalid_grant")


class DeleteTests(AdminCase):
    """DELETE /api/v1/oauth/clients/{client_id}"""

    async def test_delete(self) -> None:
        """The client is gone with its tokens and resources, and one of the same id later is another."""
        app = await self.server.client("app", resources=("https://api.example/",))
        token = await self.own_token(app, "read")
        self.assertEqual((await self.call("DELETE", f"{CLIENTS}/app")).body, b"")
        self.refused(await self.call("GET", f"{CLIENTS}/app"), "not_found", 404)
        self.refused(await self.call("DELETE", f"{CLIENTS}/app"), "not_found", 404)
        self.assertFalse(await self.server.active(token))
        self.refused(await self.server.token(app, "client_credentials"), "invalid_client", 401)
        self.assertEqual(dict(await self.server.application.clients.resources()), {})
        facts = {"client_id": "app", "by_client": "root", "by_user": None}
        self.assertEqual(self.server.told("client.deleted"), [facts])
        await self.done("POST", CLIENTS, {"name": "Again", "client_id": "app"}, 201)
        self.assertFalse(await self.server.active(token))

    async def test_own(self) -> None:
        """A client does not delete itself; another administrator does."""
        await self.wrong("DELETE", f"{CLIENTS}/root", None, status=409)
        other = await self.server.client("other", scopes=("admin",))
        token = await self.own_token(other, "admin")
        await self.done("DELETE", f"{CLIENTS}/root", status=204, bearer=token)
        self.refused(await self.call("GET", CLIENTS), "invalid_token", 401)


class SecretTests(AdminCase):
    """POST /api/v1/oauth/clients/{client_id}/secret"""

    async def asks(self, app: App, secret: str) -> bool:
        """Does the secret authenticate?"""
        answer = await self.server.post("/oauth2/revoke", {"token": "x"}, basic=(app.client_id, secret))
        return answer.status == 200

    async def test_overlap(self) -> None:
        """Old and new secret work side by side for as long as was asked, then the new one alone."""
        app = await self.server.client("app")
        told = await self.done("POST", f"{CLIENTS}/app/secret", {"overlap": 100})
        new = told["client_secret"]
        self.assertEqual([one["expires_at"] is None for one in told["secrets"]], [True, False])
        self.assertTrue(await self.asks(app, app.secret) and await self.asks(app, new))
        self.server.clock.advance(100)
        self.assertFalse(await self.asks(app, app.secret))
        self.assertTrue(await self.asks(app, new))
        self.assertEqual(self.server.told("client.secret_rotated")[0]["client_id"], "app")

    async def test_leaked(self) -> None:
        """With an overlap of 0 the old secret ends at once."""
        app = await self.server.client("app")
        new = (await self.done("POST", f"{CLIENTS}/app/secret", {"overlap": 0}))["client_secret"]
        self.assertEqual((await self.asks(app, app.secret), await self.asks(app, new)), (False, True))

    async def test_twice(self) -> None:
        """Of three secrets the two newest work; without a body the overlap is the setting's."""
        app = await self.server.client("app")
        second = (await self.done("POST", f"{CLIENTS}/app/secret"))["client_secret"]
        third = (await self.done("POST", f"{CLIENTS}/app/secret"))["client_secret"]
        worked = [await self.asks(app, one) for one in (app.secret, second, third)]
        self.assertEqual(worked, [False, True, True])
        self.server.clock.advance(self.server.settings.clients.secret_overlap)
        self.assertFalse(await self.asks(app, second))

    async def test_refusals(self) -> None:
        """A public client has none (409), an unknown one is 404, an odd overlap 422."""
        await self.server.client("public", public=True)
        await self.wrong("POST", f"{CLIENTS}/public/secret", None, status=409)
        self.refused(await self.call("POST", f"{CLIENTS}/nobody/secret"), "not_found", 404)
        for overlap in (-1, 365 * 86400 + 1, "1", 1.5, True, None, 10**400):
            await self.wrong("POST", f"{CLIENTS}/root/secret", {"overlap": overlap}, "overlap")
        await self.done("POST", f"{CLIENTS}/root/secret", {"overlap": 1.0})  # JSON does not tell it from 1


class FlowTests(AdminCase):
    """What was registered works."""

    async def test_machine(self) -> None:
        """A client with default scopes gets them, without a refresh token."""
        body = {"name": "M", "grant_types": ["client_credentials"], "scopes": ["read"], "default_scopes": ["read"]}
        made = await self.done("POST", CLIENTS, body, 201)
        answer = ok(
            await self.server.post(
                "/oauth2/token",
                {"grant_type": "client_credentials"},
                basic=(made["client_id"], made["client_secret"]),
            )
        )
        self.assertEqual(answer["scope"], "read")
        self.assertNotIn("refresh_token", answer)


class AddressTests(AdminCase):
    """Clients whose id is an address (Client ID Metadata Documents section 6.9)."""

    ADDRESS = "https://agent.example/oauth/client.json"

    async def test_whole_life(self) -> None:
        """One is registered by its address, and shown, changed and deleted by a segment that stands for it."""
        body = {"client_id": self.ADDRESS, "name": "Agent", "client_type": "public", "redirect_uris": [REDIRECT]}
        answer = await self.call("POST", CLIENTS, body)
        self.assertEqual(answer.status, 201, answer.body)
        place = answer.header("location")
        self.assertEqual(place, f"{CLIENTS}/{as_segment(self.ADDRESS)}")
        self.assertEqual((await self.done("GET", place))["client_id"], self.ADDRESS)
        self.assertEqual((await self.done("PUT", place, {"name": "Other"}))["name"], "Other")
        self.assertEqual((await self.call("DELETE", place)).status, 204)
        self.refused(await self.call("GET", place), "not_found", 404)

    async def test_one_spelling(self) -> None:
        """No other segment stands for the same client, and none for what is no address."""
        body = {"client_id": self.ADDRESS, "name": "Agent", "client_type": "public", "redirect_uris": [REDIRECT]}
        self.assertEqual((await self.call("POST", CLIENTS, body)).status, 201)
        segment = as_segment(self.ADDRESS)
        for other in (segment + "=", segment[:-1], segment[1:], "~", "~~", "~YXBw", "~gICA"):
            self.assertIn((await self.call("GET", f"{CLIENTS}/{other}")).status, (400, 404, 422))

    async def test_refused(self) -> None:
        """What could be no client's address is none here either."""
        for client_id in ("https://agent.example", "http://a.example/x", f"{self.ADDRESS}?x", "https://a.example/ x"):
            body = {"client_id": client_id, "name": "Agent", "client_type": "public", "redirect_uris": [REDIRECT]}
            self.assertIn((await self.call("POST", CLIENTS, body)).status, (400, 422), client_id)
