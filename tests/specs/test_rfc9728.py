"""Protected resource metadata (RFC 9728), of the resources that the operator declares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from oauthd import config
from oauthd.config import ResourceSettings
from oauthd.protocol import jose
from oauthd.protocol.resource_metadata import PATH, Resource
from tests.server import CHEAP, ISSUER, ServerCase, ok

ELSEWHERE = "https://mcp.example.com/mcp"
HERE = f"{ISSUER}/notes/v1"
NOTES = {
    "resource": ELSEWHERE,
    "resource_name": "Notes",
    "resource_name#de": "Notizen",
    "scopes_supported": ["notes.read", "notes.write"],
    "dpop_bound_access_tokens_required": True,
    "authorization_servers": ["https://other.example"],
}
DECLARED = (json.dumps(NOTES), json.dumps({"resource": HERE, "bearer_methods_supported": []}))


class DocumentTests(ServerCase):
    """Sections 2 and 3."""

    sections = {"users": CHEAP, "protected_resources": ResourceSettings(declared=DECLARED)}

    async def told(self, path: str, **query: str) -> dict[str, Any]:
        """The document there."""
        answer = await self.server.get(path, query)
        found = ok(answer)
        self.assertEqual(answer.header("content-type"), "application/json")
        self.assertEqual(answer.header("cache-control"), "public, max-age=300")
        return found

    async def test_elsewhere(self) -> None:
        """A resource at another host is told by its identifier, with this server first among its servers."""
        told = await self.told(PATH, resource=ELSEWHERE)
        self.assertEqual(told["resource"], ELSEWHERE)
        self.assertEqual(told["authorization_servers"], [ISSUER, "https://other.example"])
        self.assertEqual((told["resource_name"], told["resource_name#de"]), ("Notes", "Notizen"))
        self.assertEqual(told["bearer_methods_supported"], ["header"])
        self.assertIn("ES256", told["dpop_signing_alg_values_supported"])
        self.assertNotIn("signed_metadata", told)

    async def test_here(self) -> None:
        """Section 3.1: one at this host stands at the path that its identifier leads to; [] says that there is none."""
        told = await self.told(f"{PATH}/notes/v1")
        self.assertEqual((told["resource"], told["bearer_methods_supported"]), (HERE, []))
        self.assertEqual(told, await self.told(PATH, resource=HERE))
        self.assertEqual(told["authorization_servers"], [ISSUER])

    async def test_others(self) -> None:
        """What is not declared is not there: no other identifier, no other path, and nothing of ours."""
        for path in (PATH, f"{PATH}/notes", f"{PATH}/notes/v1/", f"{PATH}/notes/v1/x", f"{PATH}/mcp", f"{PATH}/api/v1"):
            self.refused(await self.server.get(path), "not_found", 404)
        for resource in ("", ISSUER, f"{ELSEWHERE}/", "https://MCP.example.com/mcp", f"{ELSEWHERE}?x"):
            self.refused(await self.server.get(PATH, {"resource": resource}), "not_found", 404)
        answer = await self.server.get(PATH, [("resource", ELSEWHERE), ("resource", HERE)])
        self.refused(answer, "invalid_request")

    async def test_challenge_of_our_own(self) -> None:
        """What is protected here points to no metadata: each URL would have to be a resource (section 3.3)."""
        answer = await self.server.get("/oauth2/userinfo")
        self.assertEqual(answer.status, 401)
        self.assertNotIn("resource_metadata", answer.header("www-authenticate"))

    async def test_listed(self) -> None:
        """Section 4: this server's metadata list them."""
        told = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertEqual(told["protected_resources"], [ELSEWHERE, HERE])

    async def test_pages_elsewhere(self) -> None:
        """A client in a browser may read them."""
        answer = await self.server.get(PATH, {"resource": ELSEWHERE}, headers=[("Origin", "https://spa.example")])
        self.assertEqual(answer.header("access-control-allow-origin"), "*")


class SignedTests(ServerCase):
    """Section 2.2."""

    sections = {"users": CHEAP, "protected_resources": ResourceSettings(declared=DECLARED, signed="ES256")}

    async def test_signed(self) -> None:
        """The same members, signed with a published key, by whom it says, and of a type of its own."""
        told = ok(await self.server.get(PATH, {"resource": ELSEWHERE}))
        signed = told.pop("signed_metadata")
        keys = ok(await self.server.get("/oauth2/jwks"))["keys"]
        _, claims = jose.verify_with(
            signed, keys, ("ES256",), typ=("resource-metadata+jwt",), now=None, exp_optional=True
        )
        self.assertEqual(claims.pop("iss"), ISSUER)
        self.assertEqual(claims.pop("iat"), int(self.server.clock.seconds()))
        self.assertEqual(claims, told)

    async def test_again(self) -> None:
        """A signature is used for five minutes, and then another is made."""
        first = ok(await self.server.get(PATH, {"resource": ELSEWHERE}))["signed_metadata"]
        self.assertEqual(ok(await self.server.get(PATH, {"resource": ELSEWHERE}))["signed_metadata"], first)
        self.server.clock.advance(300)
        self.assertNotEqual(ok(await self.server.get(PATH, {"resource": ELSEWHERE}))["signed_metadata"], first)

    async def test_no_other_token(self) -> None:
        """It is neither an access token nor an id token here."""
        signed = ok(await self.server.get(PATH, {"resource": ELSEWHERE}))["signed_metadata"]
        self.assertFalse(await self.server.active(signed))
        self.assertEqual((await self.server.userinfo(signed)).status, 401)


class NothingTests(ServerCase):
    """The default."""

    async def test_nothing(self) -> None:
        """Without declarations there is nothing, and the metadata do not speak of it."""
        self.refused(await self.server.get(PATH), "not_found", 404)
        told = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertNotIn("protected_resources", told)


class DeclarationTests(SynchronousTestCase):
    """What may be declared."""

    def test_refused(self) -> None:
        """Section 1.2 and the types of section 2; an empty list is left out (section 3.2)."""
        for text in (
            "", "x", "[]", "{}", '{"resource": 1}', '{"resource": "http://mcp.example.com"}',
            '{"resource": "https://mcp.example.com/#x"}', '{"resource": "https://u@mcp.example.com/"}',
            '{"resource": "mcp.example.com"}', " " * 9000,
            *(
                json.dumps({"resource": ELSEWHERE, name: value})
                for name, value in (
                    ("scopes_supported", []), ("scopes_supported", "a b"), ("scopes_supported", [1]),
                    ("bearer_methods_supported", ["cookie"]), ("resource_name", ""), ("resource_name#de", 7),
                    ("signed_metadata", "x.y.z"), ("dpop_bound_access_tokens_required", "yes"),
                    ("resource_signing_alg_values_supported", ["none"]), ("jwks_uri", "http://mcp.example.com/jwks"),
                )
            ),
        ):  # fmt: skip
            with self.assertRaises(ValueError, msg=text):
                Resource.of(text)

    def test_settings(self) -> None:
        """A declaration that is none, one twice, and an algorithm without keys are refused with the settings."""
        one = json.dumps(json.dumps({"resource": ELSEWHERE}))
        for text, name in (
            ('declared = ["{}"]', "protected_resources.declared"),
            (f"declared = [{one}, {one}]", "protected_resources.declared"),
            ('signed = "ES512"', "protected_resources.signed"),
            ('signed = "ES256"\n[keys]\nalgorithms = ["RS256"]', "protected_resources.signed"),
        ):
            path = Path(self.mktemp())
            path.write_text(f"[protected_resources]\n{text}\n")
            with self.assertRaises(config.SettingsError) as caught:
                config.load(str(path), {}, {})
            self.assertIn(name, str(caught.exception))

    def test_place(self) -> None:
        """Section 3.1: between host and path; a slash after the host alone goes; elsewhere there is none."""
        for resource, place in (
            ("https://a.example", PATH), ("https://a.example/", PATH), ("https://a.example/x/y", f"{PATH}/x/y"),
            ("https://a.example/x/", f"{PATH}/x/"), ("https://a.example:8443/x", ""), ("https://b.example/x", ""),
            ("https://a.example/x?y=z", ""),
        ):  # fmt: skip
            self.assertEqual(Resource.of(json.dumps({"resource": resource})).place("https://a.example"), place)
