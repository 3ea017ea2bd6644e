"""Members of clients in the admin API that registration knows, too: by their names on the wire."""

from __future__ import annotations

from typing import Any

from jwcrypto.jwk import JWK

from oauthd.app import Application
from oauthd.protocol import client_metadata as metadata
from tests.admin.case import CLIENTS, AdminCase
from tests.admin.test_clients import FULL

KEY = JWK.generate(kty="EC", crv="P-256", kid="one")
JWKS = {"keys": [KEY.export_public(as_dict=True)]}
MEMBERS: dict[str, Any] = {
    "logo_uri": "https://app.example/logo.png",
    "policy_uri": "https://app.example/policy",
    "tos_uri": "https://app.example/tos",
    "contacts": ["ada@app.example"],
    "initiate_login_uri": "https://app.example/login",
    "application_type": "web",
    "software_id": "software",
    "software_version": "1",
    "token_endpoint_auth_method": "client_secret_post",
    "jwks": JWKS,
    "jwks_uri": None,
    "tls_client_certificate_bound_access_tokens": True,
    "dpop_bound_access_tokens": True,
    "require_pushed_authorization_requests": True,
    "require_signed_request_object": True,
    "request_uris": ["https://app.example/request#hash"],
    "id_token_encrypted_response_alg": "ECDH-ES",
    "id_token_encrypted_response_enc": "A128GCM",
    "userinfo_signed_response_alg": "ES256",
    "userinfo_encrypted_response_alg": "ECDH-ES",
    "userinfo_encrypted_response_enc": "A256GCM",
    "authorization_signed_response_alg": "ES256",
    "authorization_encrypted_response_alg": None,
    "authorization_encrypted_response_enc": None,
    "response_modes": ["jwt"],
    "subject_type": "pairwise",
    "sector_identifier_uri": "https://sector.example/uris",
    "default_max_age": 0,
    "require_auth_time": True,
    "default_acr_values": ["urn:one"],
    "profile": "fapi2",
    "unused_until": 2_000_000_000,
}


class MemberTests(AdminCase):
    """Every member of the table."""

    def table(self) -> list[metadata.Row]:
        """The rows that the API has."""
        application: Application = self.server.application
        return [row for row in metadata.rows(application.offered) if row.admin and row.supported]

    async def test_every_member(self) -> None:
        """Every member that is sent is kept, shown in every answer, and of the record."""
        made = await self.done("POST", CLIENTS, {"name": "M", **MEMBERS}, 201)
        self.assertEqual({name: made[name] for name in MEMBERS}, MEMBERS)
        shown = await self.done("GET", f"{CLIENTS}/{made['client_id']}")
        self.assertEqual({name: shown[name] for name in MEMBERS}, MEMBERS)
        self.assertLessEqual({row.name for row in self.table()}, set(shown))
        client = await self.server.application.clients.find(made["client_id"])
        assert client is not None
        self.assertEqual((client.sector, client.default_max_age, client.jwks), ("sector.example", 0, JWKS))
        self.assertEqual(client.id_token_encryption, ("ECDH-ES", "A128GCM"))

    async def test_left_out(self) -> None:
        """What is not said is null, false or empty; a native application is known by its redirect URIs."""
        made = await self.done("POST", CLIENTS, {"name": "M", "redirect_uris": ["http://127.0.0.1/cb"]}, 201)
        for row in self.table():
            expected = {"application_type": "native", "subject_type": "public"}.get(row.name, row.empty)
            self.assertEqual(made[row.name], expected, row.name)

    async def test_changes(self) -> None:
        """One member changes, the others stay, also those that share a field of the record; null takes one away."""
        made = await self.done("POST", CLIENTS, {"name": "M", **MEMBERS}, 201)
        path = f"{CLIENTS}/{made['client_id']}"
        made.pop("client_secret")
        changes: tuple[dict[str, Any], ...] = (
            {"id_token_encrypted_response_enc": "A256GCM"},
            {"id_token_encrypted_response_alg": "RSA-OAEP-256"},
            {"id_token_encrypted_response_alg": None, "id_token_encrypted_response_enc": None},
            {"default_max_age": None},
            {"contacts": []},
            {"require_auth_time": False},
            {"profile": None},
            {"unused_until": None},
            {"jwks": None, "userinfo_encrypted_response_alg": None, "userinfo_encrypted_response_enc": None},
        )
        for change in changes:
            made |= change
            self.assertEqual(await self.done("PUT", path, change), made)
        told = await self.done("PUT", path, {"subject_type": None})
        self.assertEqual(told["subject_type"], "public")

    async def test_wrong_members(self) -> None:
        """Every member that is out of its form is named."""
        for member, value in (
            ("logo_uri", "javascript:alert(1)"),
            ("tos_uri", "http://app.example/tos"),
            ("policy_uri", ""),
            ("jwks_uri", "http://app.example/jwks"),
            ("jwks", {"keys": [KEY.export(as_dict=True)]}),
            ("jwks", {"keys": []}),
            ("request_uris", ["http://app.example/x"]),
            ("subject_type", "secret"),
            ("default_max_age", -1),
            ("default_acr_values", ["a b"]),
            ("token_endpoint_auth_method", "none"),
            ("userinfo_signed_response_alg", "none"),
            ("id_token_encrypted_response_alg", "RSA1_5"),
            ("application_type", "desktop"),
            ("profile", "fapi3"),
            ("unused_until", -1),
        ):
            answer = await self.call("POST", CLIENTS, {"name": "Odd", member: value})
            self.refused(answer, "unprocessable_content", 422)
            self.assertEqual({name.partition(".")[0] for name in answer.json()["errors"]}, {member}, value)

    async def test_conflicts(self) -> None:
        """Members that are fine in themselves and do not go together are 409, and named."""
        weak = {"keys": [JWK.generate(kty="RSA", size=1024).export_public(as_dict=True)]}
        conflicts: list[tuple[dict[str, Any], str]] = [
            ({"jwks": JWKS, "jwks_uri": "https://app.example/jwks"}, "jwks_uri"),
            ({"jwks": weak}, "jwks"),
            ({"id_token_encrypted_response_alg": "ECDH-ES"}, "id_token_encrypted_response_alg"),
            ({"jwks": JWKS, "id_token_encrypted_response_enc": "A128GCM"}, "id_token_encrypted_response_alg"),
            ({"subject_type": "pairwise"}, "sector_identifier_uri"),
            ({"logo_uri": "https://localhost:8000/oauth2/authorize?client_id=x"}, "logo_uri"),
        ]
        for body, named in conflicts:
            await self.wrong("POST", CLIENTS, {"name": "Odd", **body}, named, status=409)

    async def test_public(self) -> None:
        """A public client proves nothing, so it is not asked how."""
        body = {"name": "P", "client_type": "public", "token_endpoint_auth_method": "client_secret_post"}
        await self.wrong("POST", CLIENTS, body, "token_endpoint_auth_method")
        good = {"name": "P", "client_type": "public", "dpop_bound_access_tokens": True}
        made = await self.done("POST", CLIENTS, good, 201)
        self.assertIsNone(made["token_endpoint_auth_method"])

    async def test_never_ends(self) -> None:
        """An administrator keeps a client that registered itself, for good."""
        made = await self.done("POST", CLIENTS, {**FULL, "unused_until": int(self.server.clock.seconds()) + 60}, 201)
        path = f"{CLIENTS}/{made['client_id']}"
        await self.done("PUT", path, {"unused_until": None})
        self.server.clock.advance(61)
        bearer = await self.own_token(self.root, "admin")
        self.assertIsNone((await self.done("GET", path, bearer=bearer))["unused_until"])
