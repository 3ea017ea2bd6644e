"""RFC 7592, OAuth 2.0 Dynamic Client Registration Management: section by section, what holds of the running server."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from oauthd.admin.client_members import ClientMembers
from oauthd.protocol import opaque
from oauthd.protocol.records import Client
from oauthd.stores.interface import StoreUnavailable
from tests.server import ISSUER, REDIRECT, App, together
from tests.specs.registering import KEY, PATH, RegisteringCase, public
from tests.wire import Answer

OTHER = "https://other.example/cb"


class ConfigurationCase(RegisteringCase):
    """A client that has registered itself: `self.told` is what it was told."""

    async def prepare(self) -> None:
        """Register one."""
        await super().prepare()
        self.told = await self.registered(
            {
                "redirect_uris": [REDIRECT],
                "client_name": "Mine",
                "logo_uri": "https://app.example/logo",
                "scope": "openid read",
                "grant_types": ["authorization_code", "refresh_token"],
            }
        )
        self.client_id: str = self.told["client_id"]
        self.right: str = self.told["registration_access_token"]

    async def call(self, method: str, body: Any = None, *, bearer: str | None = None, client_id: str = "") -> Answer:
        """Call the configuration endpoint."""
        path = f"{PATH}/{client_id or self.client_id}"
        return await self.server.http.request(
            method, path, json_body=body, bearer=self.right if bearer is None else bearer
        )

    async def replaced(self, **body: Any) -> dict[str, Any]:
        """Replace the registration; it must succeed, and the new token counts from then on."""
        answer = await self.call("PUT", {"client_id": self.client_id, "redirect_uris": [REDIRECT], **body})
        self.assertEqual(answer.status, 200, answer.body)
        told: dict[str, Any] = answer.json()
        self.right = told["registration_access_token"]
        return told

    async def authenticates(self, secret: str) -> bool:
        """Does the secret work?"""
        answer = await self.server.post("/oauth2/revoke", {"token": "x"}, basic=(self.client_id, secret))
        return answer.status == 200


class ReadTests(ConfigurationCase):
    """Section 2.1: reading."""

    async def test_section_3_place_and_right(self) -> None:
        """Section 3: the registration tells where the client's configuration is, and gives the right to it."""
        self.assertEqual(self.told["registration_client_uri"], f"{ISSUER}{PATH}/{self.client_id}")
        self.assertIsNotNone(opaque.parse(opaque.REGISTRATION, self.right))

    async def test_section_2_1_read(self) -> None:
        """Section 2.1: all that is registered comes back, as often as it is asked for; the secret is not kept."""
        expected = {
            name: value for name, value in self.told.items() if not name.startswith("client_secret")
        }
        for _ in range(2):
            answer = await self.call("GET")
            self.assertEqual((answer.status, answer.header("cache-control")), (200, "no-store"))
            self.assertEqual(answer.json(), expected)

    async def test_section_2_1_refused_alike(self) -> None:
        """Section 2.1: no token, a wrong one, another client's, an unknown client: 401 in the same words."""
        other = await self.registered({"redirect_uris": [OTHER]})
        app = await self.server.client()
        answers = []
        for method in ("GET", "PUT", "DELETE"):
            body = {"client_id": self.client_id, "redirect_uris": [OTHER]} if method == "PUT" else None
            for client_id, right in (
                (self.client_id, other["registration_access_token"]),
                (other["client_id"], self.right),
                ("nobody", self.right),
                (app.client_id, self.right),
                (self.client_id, opaque.make(opaque.REGISTRATION, self.server.entropy)),
                (self.client_id, "x"),
                (self.client_id, self.told["client_secret"]),
                (self.client_id, await self.admin_token() if method == "GET" else "y"),
            ):
                answer = await self.call(method, body, bearer=right, client_id=client_id)
                self.refused(answer, "invalid_token", 401)
                answers.append((answer.header("www-authenticate"), answer.body))
            self.refused(await self.call(method, body, bearer=""), "invalid_token", 401)
        self.assertEqual(len(set(answers)), 1)
        self.assertEqual((await self.record(self.told)).redirect_uris, (REDIRECT,))

    async def test_token_is_for_nothing_else(self) -> None:
        """Section 5: the registration access token opens neither the admin API nor userinfo nor registration."""
        for method, path in (("GET", "/api/v1/oauth/clients"), ("GET", "/oauth2/userinfo"), ("POST", PATH)):
            body = {"redirect_uris": [REDIRECT]} if method == "POST" else None
            answer = await self.server.http.request(method, path, json_body=body, bearer=self.right)
            self.assertEqual(answer.status, 401)


class UpdateTests(ConfigurationCase):
    """Section 2.2: replacing."""

    async def test_section_2_2_replaced(self) -> None:
        """Section 2.2: what is left out is gone, what is sent is there; the client is the same and its secret works."""
        told = await self.replaced(client_name="Yours", policy_uri="https://app.example/policy", logo_uri=None)
        self.assertEqual((told["client_name"], told["policy_uri"]), ("Yours", "https://app.example/policy"))
        self.assertFalse({"logo_uri", "scope"} & set(told))
        self.assertEqual(told["grant_types"], ["authorization_code"])
        self.assertEqual(told["client_id_issued_at"], self.told["client_id_issued_at"])
        self.assertNotIn("client_secret", told)
        self.assertTrue(await self.authenticates(self.told["client_secret"]))
        self.assertEqual(self.server.told("client.updated"), [{"client_id": self.client_id}])

    async def test_section_5_rotated(self) -> None:
        """Section 5: each change gives a new registration access token, and the former one is void at once."""
        former = self.right
        await self.replaced()
        self.assertNotEqual(former, self.right)
        self.refused(await self.call("GET", bearer=former), "invalid_token", 401)
        self.assertEqual((await self.call("GET")).status, 200)

    async def test_at_once(self) -> None:
        """Of several changes with one token at the same moment one is carried out, and the token it gave counts."""
        body = {"client_id": self.client_id, "redirect_uris": [REDIRECT]}
        answers = await together(self.call("PUT", {**body, "client_name": f"N{n}"}) for n in range(10))
        self.assertEqual(sorted(answer.status for answer in answers), [200] + [401] * 9)
        (won,) = [answer.json() for answer in answers if answer.status == 200]
        self.right = won["registration_access_token"]
        self.assertEqual((await self.call("GET")).json()["client_name"], won["client_name"])

    async def test_section_2_2_refused(self) -> None:
        """Section 2.2: members of this server's, another client's id, another secret; and nothing changes."""
        good = {"client_id": self.client_id, "redirect_uris": [REDIRECT]}
        for change in (
            {"client_id": None},
            {"client_id": "other"},
            {"client_secret": "chosen"},
            {"client_secret": 5},
            {"registration_access_token": self.right},
            {"registration_client_uri": self.told["registration_client_uri"]},
            {"client_secret_expires_at": 0},
            {"client_id_issued_at": self.told["client_id_issued_at"]},
            {"logo_uri": "javascript:alert(1)"},
            {"jwks": {"keys": [KEY.export(as_dict=True)]}},
            {"token_endpoint_auth_method": "none"},
            {"scope": "openid admin"},
            {"grant_types": ["client_credentials"]},
            {"sector_identifier_uri": "https://app.example/nowhere"},
        ):
            self.refused(await self.call("PUT", good | change), "invalid_client_metadata")
        self.refused(await self.call("PUT", good | {"redirect_uris": []}), "invalid_redirect_uri")
        self.refused(await self.call("PUT", good | {"redirect_uris": ["http://evil.example/"]}), "invalid_redirect_uri")
        self.assertEqual((await self.call("GET")).json()["client_name"], "Mine")

    async def test_section_2_2_own_secret(self) -> None:
        """Section 2.2: the client may send its secret along, if it is its own."""
        await self.replaced(client_secret=self.told["client_secret"])
        self.assertTrue(await self.authenticates(self.told["client_secret"]))

    async def test_what_administrators_say_stays(self) -> None:
        """A change leaves alone what only an administrator says of a client."""
        clients = self.server.application.clients
        await clients.update(self.client_id, _trusted)
        await self.replaced(first_party=False, introspects=False, resources=[], is_active=True)
        client = await self.record(self.told)
        self.assertEqual((client.first_party, client.introspects, client.resources), (True, True, ("urn:r",)))

    async def test_new_method(self) -> None:
        """A client may come to prove keys in place of a secret; when it comes back, it gets a new secret."""
        keys = {"jwks": {"keys": [public(KEY)]}}
        told = await self.replaced(token_endpoint_auth_method="private_key_jwt", **keys)
        self.assertEqual(told["token_endpoint_auth_method"], "private_key_jwt")
        self.assertFalse(await self.authenticates(self.told["client_secret"]))
        told = await self.replaced(token_endpoint_auth_method="client_secret_jwt")
        self.assertEqual(told["client_secret_expires_at"], 0)
        client = await self.record(self.told)
        self.assertEqual(self.server.application.clients.open_secrets(client), (told["client_secret"].encode(),))

    async def test_scope_taken_away(self) -> None:
        """Tokens that carry a scope which the client gave up are dead."""
        alice = await self.server.user("alice")
        app = App(await self.record(self.told), self.told["client_secret"])
        token = (await self.server.signed_in(app, alice, scope="openid read"))["access_token"]
        self.assertTrue(await self.server.active(token))
        await self.replaced(scope="openid read")
        self.assertTrue(await self.server.active(token))
        await self.replaced(scope="openid")
        self.assertFalse(await self.server.active(token))

    async def test_scope_taken_away_and_a_store_that_fails(self) -> None:
        """They are dead, too, where the store fails as soon as the record is changed."""
        alice = await self.server.user("alice")
        app = App(await self.record(self.told), self.told["client_secret"])
        token = (await self.server.signed_in(app, alice, scope="openid read"))["access_token"]
        raise_generation = self.server.store.raise_generation

        async def lost(subject: str) -> int:
            if (await self.record(self.told)).scopes == ("openid",):
                raise StoreUnavailable("away")
            return await raise_generation(subject)

        patched = self.patch(self.server.store, "raise_generation", lost)
        body = {"client_id": self.client_id, "redirect_uris": [REDIRECT], "scope": "openid"}
        self.assertEqual((await self.call("PUT", body)).status, 503)
        patched.restore()
        self.assertFalse(await self.server.active(token))


class HeldTests(ConfigurationCase):
    """What an administrator has decided for a client that registered itself."""

    async def administered(self, **members: Any) -> dict[str, Any]:
        """Change the client as an administrator."""
        path = f"/api/v1/oauth/clients/{self.client_id}"
        answer = await self.server.http.request("PUT", path, json_body=members, bearer=await self.admin_token())
        self.assertEqual(answer.status, 200, answer.body)
        told: dict[str, Any] = answer.json()
        return told

    async def test_left_out(self) -> None:
        """A change that says nothing of what an administrator has decided leaves every such member as it is."""
        keys = {"keys": [public(KEY)]}
        decided: dict[str, Any] = {
            "name": "Decided", "scopes": ["read"], "grant_types": ["authorization_code"], "redirect_uris": [OTHER],
            "dpop_bound_access_tokens": True, "require_pushed_authorization_requests": True,
            "require_signed_request_object": True, "tls_client_certificate_bound_access_tokens": True,
            "token_endpoint_auth_method": "private_key_jwt", "jwks": keys, "request_object_signing_alg": "ES256",
            "request_uris": ["https://app.example/r"], "id_token_encrypted_response_alg": "ECDH-ES",
            "contacts": ["ada@app.example"], "default_max_age": 60, "require_auth_time": True,
            "client_uri": "http://app.example/", "id_token_algorithm": "ES256", "application_type": "native",
        }  # fmt: skip
        told = await self.administered(**decided)
        self.assertEqual(set(told["held"]) - {"id_token_encrypted_response_enc"}, set(decided))
        before = await self.record(self.told)
        for _ in range(2):
            await self.replaced(redirect_uris=None)
            client = await self.record(self.told)
            same = {name: (getattr(before, name), getattr(client, name)) for name in before.held}
            self.assertEqual([name for name, (one, other) in same.items() if one != other], [])
        self.assertEqual(client.logo_uri, "")

    async def test_what_follows_from_it(self) -> None:
        """A name that nobody says follows from the redirect URIs that an administrator has decided."""
        await self.administered(redirect_uris=[OTHER])
        told = await self.replaced(redirect_uris=None)
        self.assertEqual((told["client_name"], told["redirect_uris"]), ("other.example", [OTHER]))

    async def test_said_otherwise(self) -> None:
        """One that says something else is refused, and named; one that says the same is carried out."""
        await self.administered(
            dpop_bound_access_tokens=True,
            scopes=["read"],
            token_endpoint_auth_method=None,
            id_token_encrypted_response_alg=None,
        )
        for name, other, same in (
            ("dpop_bound_access_tokens", False, True),
            ("scope", "openid read", "read"),
            ("token_endpoint_auth_method", "client_secret_post", "client_secret_basic"),
            ("id_token_encrypted_response_alg", "ECDH-ES", None),
            ("id_token_encrypted_response_enc", "A128GCM", None),
        ):
            answer = await self.call("PUT", {"client_id": self.client_id, "redirect_uris": [REDIRECT], name: other})
            self.refused(answer, "invalid_client_metadata")
            self.assertEqual(list(answer.json()["errors"]), [name])
            await self.replaced(**{name: same})
        told = await self.replaced(client_name="Mine still")
        self.assertEqual((told["dpop_bound_access_tokens"], told["scope"]), (True, "read"))

    async def test_what_was_read_can_be_sent(self) -> None:
        """Whoever sends back what it was told, as section 2.2 wants it, is understood."""
        await self.administered(dpop_bound_access_tokens=True, scopes=["read", "openid"], grant_types=["refresh_token"])
        told = (await self.call("GET")).json()
        ours = ("registration_access_token", "registration_client_uri", "client_id_issued_at")
        sent = {name: value for name, value in told.items() if name not in ours}
        self.assertEqual((await self.replaced(**sent))["scope"], told["scope"])

    async def test_given_back(self) -> None:
        """An administrator who lets go of members leaves them to the client again."""
        await self.administered(dpop_bound_access_tokens=True, require_auth_time=True)
        told = await self.administered(held=["require_auth_time"])
        self.assertEqual(told["held"], ["require_auth_time"])
        told = await self.replaced()
        self.assertEqual((told["dpop_bound_access_tokens"], told["require_auth_time"]), (False, True))

    async def test_where_a_first_party_is(self) -> None:
        """A client for which nobody is asked does not lead what people are not asked about to another address."""
        self.assertEqual((await self.administered(first_party=True))["held"], ["redirect_uris"])
        answer = await self.call("PUT", {"client_id": self.client_id, "redirect_uris": [OTHER]})
        self.refused(answer, "invalid_redirect_uri")
        self.assertEqual((await self.replaced(client_name="Other"))["redirect_uris"], [REDIRECT])
        self.assertEqual((await self.administered(first_party=False, held=[]))["held"], [])
        self.assertEqual((await self.replaced(redirect_uris=[OTHER]))["redirect_uris"], [OTHER])

    async def test_nothing_else_is_held(self) -> None:
        """What the administrator did not send stays the client's; of a client that he made nothing is held."""
        self.assertEqual((await self.administered(require_auth_time=True))["held"], ["require_auth_time"])
        self.assertEqual((await self.replaced(client_name="Other"))["client_name"], "Other")
        app = await self.server.client()
        path = f"/api/v1/oauth/clients/{app.client_id}"
        answer = await self.server.http.request("PUT", path, json_body={"name": "X"}, bearer=await self.admin_token())
        self.assertEqual(answer.json()["held"], [])

    async def test_at_the_same_moment(self) -> None:
        """A change that was judged before an administrator's does not undo that: it is refused, and can be repeated."""
        registration: Any = self.server.application.endpoints["client_configuration"].registration  # type: ignore[attr-defined]
        read = type(registration).read

        async def slowly(*given: Any) -> Any:
            wanted = await read(*given)
            await self.administered(dpop_bound_access_tokens=True)
            return wanted

        self.patch(type(registration), "read", slowly)
        body = {"client_id": self.client_id, "redirect_uris": [REDIRECT]}
        self.refused(await self.call("PUT", body), "conflict", 409)
        self.assertTrue((await self.record(self.told)).dpop_bound)
        self.patch(type(registration), "read", read)
        self.assertTrue((await self.replaced())["dpop_bound_access_tokens"])

    async def test_every_member_can_be_held(self) -> None:
        """There is no member that a change replaces, and that an administrator could not hold."""
        registration: Any = self.server.application.endpoints["client_configuration"].registration  # type: ignore[attr-defined]
        application = self.server.application
        members = ClientMembers(application.offered, machine_refresh=False)
        offered = {row.field for row in registration.table if row.supported}
        self.assertLessEqual(offered | {"scopes"}, set(members._holdable.values()))


class DeleteTests(ConfigurationCase):
    """Section 2.3: ending."""

    async def test_section_2_3_deleted(self) -> None:
        """Section 2.3: the client, its secret, its tokens and its registration access token end at once."""
        alice = await self.server.user("alice")
        app = App(await self.record(self.told), self.told["client_secret"])
        token = (await self.server.signed_in(app, alice))["access_token"]
        answer = await self.call("DELETE")
        self.assertEqual((answer.status, answer.body, answer.header("cache-control")), (204, b"", "no-store"))
        self.assertFalse(await self.server.active(token))
        self.assertFalse(await self.authenticates(self.told["client_secret"]))
        for method in ("GET", "DELETE"):
            self.refused(await self.call(method), "invalid_token", 401)
        self.assertEqual(await self.server.application.clients.registered(), 0)
        self.assertEqual(self.server.told("client.deleted"), [{"client_id": self.client_id}])

    async def test_methods(self) -> None:
        """Section 2: nothing but reading, replacing and ending."""
        answer = await self.call("POST", {})
        self.assertEqual(answer.status, 405)


def _trusted(client: Client) -> Client:
    return replace(client, first_party=True, introspects=True, resources=("urn:r",))
