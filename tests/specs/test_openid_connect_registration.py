"""OpenID Connect Dynamic Client Registration 1.0: section by section, what holds of the running server."""

from __future__ import annotations

import json
from typing import Any

from oauthd.config import RegistrationSettings
from oauthd.protocol import jose
from tests.server import CHEAP, DEVICE_GRANT, ISSUER, REDIRECT, App, ok
from tests.specs.registering import KEY, PATH, RegisteringCase, public

SECTOR = "https://sector.example/uris.json"
TWO = ["https://one.example/cb", "https://two.example/cb"]


class MetadataTests(RegisteringCase):
    """Section 2: client metadata."""

    async def test_section_2_defaults(self) -> None:
        """Section 2: what a client does not say is told as the specification defines it."""
        told = await self.registered({"redirect_uris": [REDIRECT]})
        for name, value in {
            "application_type": "web",
            "response_types": ["code"],
            "grant_types": ["authorization_code"],
            "id_token_signed_response_alg": "RS256",
            "token_endpoint_auth_method": "client_secret_basic",
            "subject_type": "public",
            "require_auth_time": False,
        }.items():
            self.assertEqual(told[name], value, name)

    async def test_section_2_every_member(self) -> None:
        """Section 2: every member that goes with what is on comes back as it was sent."""
        offered = self.endpoint.registration.offered
        sent: dict[str, Any] = {
            "redirect_uris": [REDIRECT],
            "application_type": "web",
            "subject_type": "public",
            "id_token_signed_response_alg": "ES256",
            "userinfo_signed_response_alg": "ES256",
            "jwks": {"keys": [public(KEY)]},
            "default_max_age": 3600,
            "require_auth_time": True,
            "default_acr_values": ["urn:one", "urn:two"],
            "initiate_login_uri": "https://app.example/login",
            "request_uris": ["https://app.example/request#GkurKxf5T0Y-mnPFCHqWOMiZi4VS138cQO_V7PZHAdM"],
            "post_logout_redirect_uris": ["https://app.example/bye"],
            "require_signed_request_object": False,
            "require_pushed_authorization_requests": True,
            "dpop_bound_access_tokens": True,
            "tls_client_certificate_bound_access_tokens": False,
            "authorization_signed_response_alg": "ES256",
            "response_modes": ["jwt", "form_post.jwt"],
        }
        for name in ("id_token_encrypted_response", "userinfo_encrypted_response", "authorization_encrypted_response"):
            sent[f"{name}_alg"], sent[f"{name}_enc"] = "ECDH-ES", "A128GCM"
        if "ES256" in offered.request_algorithms:
            sent["request_object_signing_alg"] = "ES256"
        told = await self.registered(sent)
        self.assertEqual({name: told[name] for name in sent}, sent)
        read = await self.server.http.request(
            "GET", f"{PATH}/{told['client_id']}", bearer=told["registration_access_token"]
        )
        self.assertEqual({name: read.json()[name] for name in sent}, sent)

    async def test_section_2_encryption(self) -> None:
        """Section 2: enc has a default where there is alg, and is refused without; there is a key to encrypt to."""
        keys = {"redirect_uris": [REDIRECT], "jwks": {"keys": [public(KEY)]}}
        told = await self.registered({**keys, "id_token_encrypted_response_alg": "ECDH-ES"})
        self.assertEqual(told["id_token_encrypted_response_enc"], "A128CBC-HS256")
        self.assertNotIn("userinfo_encrypted_response_alg", told)
        for sent in (
            {**keys, "id_token_encrypted_response_enc": "A128GCM"},
            {**keys, "id_token_encrypted_response_alg": "RSA1_5"},
            {**keys, "id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A128"},
            {"redirect_uris": [REDIRECT], "userinfo_encrypted_response_alg": "ECDH-ES"},
        ):
            self.refused(await self.register(sent), "invalid_client_metadata")

    async def test_section_2_by_its_secret(self) -> None:
        """Section 2: an id token signed with the client's secret verifies with the secret that it was told."""
        told = await self.registered({"redirect_uris": [REDIRECT], "id_token_signed_response_alg": "HS256"})
        app = App(await self.record(told), told["client_secret"])
        token = (await self.server.signed_in(app, await self.server.user("alice")))["id_token"]
        secret = told["client_secret"].encode()
        header, claims = jose.verify_hmac(token, secret, ("HS256",), now=self.server.clock.seconds())
        self.assertEqual((header["alg"], claims["aud"]), ("HS256", told["client_id"]))
        self.assertRaises(jose.TokenRefused, jose.verify_hmac, token, b"x" * 43, ("HS256",), now=None)

    async def test_section_2_refused(self) -> None:
        """Section 2: whatever is out of its form, or not offered here, is refused."""
        for name, value in (
            ("application_type", "desktop"),
            ("subject_type", "secret"),
            ("id_token_signed_response_alg", "none"),
            ("id_token_signed_response_alg", "RS1"),
            ("userinfo_signed_response_alg", "none"),
            ("default_max_age", -1),
            ("default_max_age", "3600"),
            ("default_max_age", True),
            ("require_auth_time", "true"),
            ("default_acr_values", "urn:one"),
            ("initiate_login_uri", "http://app.example/login"),
            ("initiate_login_uri", "javascript:alert(1)"),
            ("request_uris", ["http://app.example/request"]),
            ("request_uris", ["file:///etc/passwd"]),
            ("request_uris", [f"https://app.example/{n}" for n in range(51)]),
            ("sector_identifier_uri", "http://app.example/uris.json"),
        ):
            self.refused(await self.register({"redirect_uris": [REDIRECT], name: value}), "invalid_client_metadata")
        self.assertEqual(self.documents.asked, [])

    async def test_section_2_native(self) -> None:
        """Section 2: native applications have loopback addresses, schemes of their own, and claimed https addresses."""
        for uri in ("http://127.0.0.1:4000/cb", "http://[::1]/cb", "com.example.app:/cb", REDIRECT):
            told = await self.registered({"redirect_uris": [uri], "application_type": "native"})
            self.assertEqual(told["application_type"], "native")
        sent = {"redirect_uris": ["http://app.example/cb"], "application_type": "native"}
        self.refused(await self.register(sent), "invalid_redirect_uri")


class SectorTests(RegisteringCase):
    """Section 5: sector identifiers."""

    async def test_section_5_pairwise(self) -> None:
        """Section 5: the host of the redirect URIs, or of the document that names them, stands for the client."""
        one = await self.record(await self.registered({"redirect_uris": [REDIRECT], "subject_type": "pairwise"}))
        self.assertEqual(one.sector, "app.example")
        self.documents.at[SECTOR] = json.dumps([*TWO, "https://three.example/"]).encode()
        sent = {"redirect_uris": TWO, "subject_type": "pairwise", "sector_identifier_uri": SECTOR}
        two = await self.record(await self.registered(sent))
        self.assertEqual(two.sector, "sector.example")

    async def test_section_5_no_room(self) -> None:
        """Section 5: when strangers have too many documents fetched, a stranger is told to come back: 503."""
        self.patch(self.server.application.fetcher, "_strangers", 1000)
        sent = {"redirect_uris": TWO, "subject_type": "pairwise", "sector_identifier_uri": SECTOR}
        self.refused(await self.register(sent), "temporarily_unavailable", 503)

    async def test_section_5_several_hosts(self) -> None:
        """Section 5: with several hosts, or none, a pairwise client must say which one stands for it."""
        for uris in (TWO, ["com.example.app:/cb"]):
            answer = await self.register({"redirect_uris": uris, "subject_type": "pairwise"})
            self.refused(answer, "invalid_client_metadata")
            self.assertIn("sector_identifier_uri", answer.json()["errors"])

    async def test_section_5_no_way_past_the_redirect_uris(self) -> None:
        """Section 5: who is shown to be of a sector by its redirect URIs gets no grant that goes past them."""
        self.documents.at[SECTOR] = json.dumps(TWO).encode()
        for more in ({"redirect_uris": [REDIRECT]}, {"redirect_uris": [], "sector_identifier_uri": SECTOR}):
            sent = {**more, "grant_types": [DEVICE_GRANT], "response_types": []}
            answer = await self.register({**sent, "subject_type": "pairwise"})
            self.refused(answer, "invalid_client_metadata")
            self.assertEqual(list(answer.json()["errors"]), ["subject_type"])
            await self.registered({**sent, "subject_type": "public"})

    async def test_section_5_into_another_sector(self) -> None:
        """Core section 8.1: no client takes what people granted to it along into another's sector."""
        grants = {"grant_types": ["authorization_code", "refresh_token"]}
        for first, then in (("pairwise", "https://victim.example/cb"), ("public", REDIRECT)):
            told = await self.registered({"redirect_uris": [REDIRECT], "subject_type": first, **grants})
            place, token = told["registration_client_uri"].removeprefix(ISSUER), told["registration_access_token"]
            body = {"client_id": told["client_id"], "redirect_uris": [then], "subject_type": "pairwise", **grants}
            answer = await self.server.http.request("PUT", place, json_body=body, bearer=token)
            self.refused(answer, "invalid_client_metadata")
            same = {**body, "redirect_uris": [f"{REDIRECT}/new"], "subject_type": first}
            ok(await self.server.http.request("PUT", place, json_body=same, bearer=token))

    async def test_section_5_document(self) -> None:
        """Section 5: the document is looked at whenever it is named, and must be an array with every redirect URI."""
        sent = {"redirect_uris": TWO, "sector_identifier_uri": SECTOR}
        for number, document in enumerate(
            (
                b"",
                b"[]",
                b'["https://one.example/cb"]',
                b'["https://one.example/cb", "https://two.example/cb/"]',
                b'{"https://one.example/cb": 1, "https://two.example/cb": 2}',
                b'["https://one.example/cb", ["https://two.example/cb"]]',
                b"[" * 30000,
                b'["\xff"]',
                json.dumps(TWO).encode() + b"x",
                b" " * 70000 + json.dumps(TWO).encode(),
            )
        ):
            uri = f"https://sector.example/{number}"
            self.documents.at[uri] = document
            answer = await self.register({**sent, "sector_identifier_uri": uri})
            self.refused(answer, "invalid_client_metadata")
            self.assertEqual(list(answer.json()["errors"]), ["sector_identifier_uri"])
        answer = await self.register({**sent, "sector_identifier_uri": "https://sector.example/nothing"})
        self.refused(answer, "invalid_client_metadata")
        self.assertEqual(self.server.told("client.created"), [])

    async def test_section_5_as_it_is_now(self) -> None:
        """Section 5: a document that has changed since it was last looked at is looked at again."""
        sent = {"redirect_uris": TWO, "sector_identifier_uri": SECTOR}
        self.documents.at[SECTOR] = json.dumps(TWO).encode()
        await self.registered(sent)
        self.documents.at[SECTOR] = b"[]"
        self.refused(await self.register(sent), "invalid_client_metadata")


class InnerNetworkTests(RegisteringCase):
    """Section 9: what a client names is not looked up where only this server could see it."""

    async def prepare(self) -> None:
        """Leave the server its own way out."""

    async def test_refused_addresses(self) -> None:
        """Sector identifiers on this machine and inner networks are refused without a call."""
        for host in ("127.0.0.1", "[::1]", "localhost", "10.0.0.1", "169.254.169.254", "[fe80::1]", "0.0.0.0"):
            sent = {"redirect_uris": [REDIRECT], "sector_identifier_uri": f"https://{host}/uris.json"}
            answer = await self.register(sent)
            self.refused(answer, "invalid_client_metadata")
            self.assertEqual(list(answer.json()["errors"]), ["sector_identifier_uri"])


class CountedFirstTests(RegisteringCase):
    """Nobody makes this server call others without end."""

    sections = {"users": CHEAP, "registration": RegistrationSettings(allow="open", per_source=3)}

    async def test_calls_are_counted(self) -> None:
        """A stranger's registrations count before anything is fetched for them."""
        for number in range(10):
            uri = f"https://victim.example/{number}"
            await self.register({"redirect_uris": [REDIRECT], "sector_identifier_uri": uri})
        self.assertEqual(len(self.documents.asked), 3)

    async def test_calls_of_changes_are_counted(self) -> None:
        """Neither does a client that changes its registration again and again."""
        told = await self.registered({"redirect_uris": [REDIRECT]})
        for number in range(10):
            uri = f"https://victim.example/{number}"
            body = {"client_id": told["client_id"], "redirect_uris": [REDIRECT], "sector_identifier_uri": uri}
            path = f"{PATH}/{told['client_id']}"
            await self.server.http.request("PUT", path, json_body=body, bearer=told["registration_access_token"])
        self.assertEqual(len(self.documents.asked), 2)

    async def test_addresses_of_changes_are_counted(self) -> None:
        """What is fetched whenever somebody names the client counts when it is new, and not when it stays."""
        told = await self.registered({"redirect_uris": [REDIRECT], "jwks_uri": "https://app.example/keys"})
        place, statuses = f"{PATH}/{told['client_id']}", []
        for number in (0, 0, 0, 1, 1, 2):
            named = {"jwks_uri": "https://app.example/keys", "request_uris": [f"https://victim.example/{number}"]}
            body = {"client_id": told["client_id"], "redirect_uris": [REDIRECT], **named}
            bearer = told["registration_access_token"]
            answer = await self.server.http.request("PUT", place, json_body=body, bearer=bearer)
            statuses.append(answer.status)
            told |= answer.json()
        self.assertEqual(statuses, [200, 200, 200, 200, 200, 429])
