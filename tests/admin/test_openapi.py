"""The OpenAPI document: valid, whole, and true of every answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from oauthd.admin.declarations import AdminEndpoint, Answer, Operation, Parameter, Who, endpoints_of, operation
from oauthd.admin.openapi import OpenApi
from oauthd.admin.reference import markdown
from oauthd.protocol.messages import Response
from oauthd.protocol.schemas import Text
from oauthd.web.routes import ROUTES
from tests.admin.case import CLIENTS, KEYS, PROFILE, SCOPES, TOKENS, USERS, AdminCase
from tests.admin.test_clients import FULL
from tests.admin.test_users import CLAIMS
from tests.server import ISSUER, PASSWORD


class DocumentTests(AdminCase):
    """GET /api/v1/openapi.json"""

    async def document(self) -> dict[str, Any]:
        """The document, as anybody gets it."""
        answer = await self.call("GET", "/api/v1/openapi.json", bearer="")
        self.assertEqual((answer.status, answer.header("content-type")), (200, "application/json"))
        document: dict[str, Any] = answer.json()
        return document

    async def test_valid(self) -> None:
        """It is an OpenAPI 3.1 document of this server."""
        document = await self.document()
        OpenAPIV31SpecValidator(document).validate()
        self.assertEqual((document["openapi"], document["servers"]), ("3.1.0", [{"url": ISSUER}]))

    async def test_whole(self) -> None:
        """It has every method of every path of the API, and nothing else."""
        expected = {
            (route.paths[0].replace("<", "{").replace(">", "}"), method.lower()): name
            for route in ROUTES
            if route.paths[0].startswith("/api/v1/")
            for method, name in route.endpoints.items()
        }
        told = {
            (path, method): described["operationId"]
            for path, methods in (await self.document())["paths"].items()
            for method, described in methods.items()
        }
        self.assertEqual(told, expected)

    async def test_security(self) -> None:
        """Every operation wants a bearer token, but for the document and the clients' own revocation."""
        for path, methods in (await self.document())["paths"].items():
            for described in methods.values():
                wanted = described["security"]
                if path.endswith("/openapi.json"):
                    self.assertEqual(wanted, [])
                elif path.endswith("/revoke"):
                    self.assertEqual(wanted, [{"bearer": ["admin"]}, {"client": []}, {}])
                else:
                    scopes = {"/profile": "account", "/backchannel": "backchannel"}
                    scope = next((scope for part, scope in scopes.items() if part in path), "admin")
                    self.assertEqual(wanted, [{"bearer": [scope]}])
                    self.assertTrue({"401", "403"} < set(described["responses"]))

    async def test_nothing_secret(self) -> None:
        """Nothing that belongs to this installation but its address is in it."""
        text = json.dumps(await self.document())
        for secret in (self.root.secret, self.bearer, "argon2"):
            self.assertNotIn(secret, text)

    async def test_answers_are_as_documented(self) -> None:
        """Each operation's answers, good and bad, have a documented status, schema and headers."""
        document = await self.document()
        alice = await self.server.user("alice")
        account = await self.token_of(alice, "account")
        await self.server.signed_in(await self.server.client(), alice)
        user = {"username": "bob", "password": PASSWORD, "roles": ["a"], "claims": CLAIMS}
        for method, path, place, body in [
            ("POST", CLIENTS, CLIENTS, FULL),
            ("POST", CLIENTS, CLIENTS, {"name": "P", "client_type": "public", "client_id": "p"}),
            ("POST", CLIENTS, CLIENTS, {"name": "P", "client_id": "p"}),
            ("POST", CLIENTS, CLIENTS, {"nam": "P"}),
            ("GET", CLIENTS, CLIENTS, None),
            ("GET", f"{CLIENTS}/p", f"{CLIENTS}/{{client_id}}", None),
            ("GET", f"{CLIENTS}/q", f"{CLIENTS}/{{client_id}}", None),
            ("PUT", f"{CLIENTS}/p", f"{CLIENTS}/{{client_id}}", {"name": "Q"}),
            ("POST", f"{CLIENTS}/chosen.id/secret", f"{CLIENTS}/{{client_id}}/secret", {"overlap": 5}),
            ("POST", f"{CLIENTS}/p/secret", f"{CLIENTS}/{{client_id}}/secret", None),
            ("DELETE", f"{CLIENTS}/p", f"{CLIENTS}/{{client_id}}", None),
            ("POST", SCOPES, SCOPES, {"name": "new"}),
            ("GET", SCOPES, SCOPES, None),
            ("PUT", f"{SCOPES}/1", f"{SCOPES}/{{scope_id}}", {"description": "x"}),
            ("DELETE", f"{SCOPES}/1", f"{SCOPES}/{{scope_id}}", None),
            ("POST", USERS, USERS, user),
            ("POST", USERS, USERS, user),
            ("GET", USERS, USERS, None),
            ("GET", f"{USERS}/{alice.user_id}", f"{USERS}/{{user_id}}", None),
            ("PUT", f"{USERS}/{alice.user_id}", f"{USERS}/{{user_id}}", {"claims": CLAIMS}),
            ("GET", PROFILE, PROFILE, None),
            ("PUT", PROFILE, PROFILE, {"name": "A"}),
            ("PUT", f"{PROFILE}/password", f"{PROFILE}/password", {"current_password": "x", "password": PASSWORD}),
            ("GET", TOKENS, TOKENS, None),
            ("GET", f"{TOKENS}?cursor=x", TOKENS, None),
            ("DELETE", f"{TOKENS}?client_id=root&all=true", TOKENS, None),
            ("POST", f"{TOKENS}/revoke", f"{TOKENS}/revoke", {"token": "x"}),
            ("DELETE", f"{TOKENS}/x", f"{TOKENS}/{{token_id}}", None),
            ("GET", KEYS, KEYS, None),
            ("POST", f"{KEYS}/rotate", f"{KEYS}/rotate", None),
            ("DELETE", f"{USERS}/{alice.user_id}", f"{USERS}/{{user_id}}", None),
            ("POST", f"{USERS}/{alice.user_id}/reactivate", f"{USERS}/{{user_id}}/reactivate", None),
        ]:
            described = document["paths"][place][method.lower()]
            for bearer in (account if path.startswith(PROFILE) else self.bearer, "bad"):
                answer = await self.call(method, path, body, bearer=bearer)
                told = described["responses"].get(str(answer.status))
                self.assertIsNotNone(told, (method, path, answer.status))
                for name, header in told.get("headers", {}).items():
                    self.assertTrue(answer.header(name) or not header["required"], (method, path, name))
                if "content" in told:
                    schema = told["content"][answer.header("content-type")]["schema"]
                    whole = {**schema, "components": document["components"]}
                    Draft202012Validator(whole).validate(answer.json())
                else:
                    self.assertEqual(answer.body, b"")

    async def test_reference_page(self) -> None:
        """The reference page in the source tree is the document's, with the grants and settings of the default."""
        page = Path(__file__).parents[2] / "etc" / "docs" / "admin-api.md"
        self.assertEqual(page.read_text("utf-8"), markdown(await self.document()))

    async def test_limits_are_the_settings(self) -> None:
        """What a setting limits is in the document."""
        body = (await self.document())["paths"][f"{USERS}/{{user_id}}/password"]["put"]["requestBody"]
        password = body["content"]["application/json"]["schema"]["properties"]["password"]
        users = self.server.settings.users
        self.assertEqual(
            (password["minLength"], password["maxLength"]), (users.password_min_length, users.password_max_length // 4)
        )


class DeclarationTests(AdminCase):
    """A new resource."""

    class Stamps:
        """A resource as a later feature would add it: one file."""

        @operation(
            Operation(
                "stamps.show",
                "Show a stamp",
                {200: Answer("The stamp.", Text())},
                who=Who.ANYBODY,
                arguments=(Parameter("stamp_id", Text("[a-z]+"), "Its id."),),
            )
        )
        async def show(self, call: Any) -> Response:
            """Answer."""
            return Response(200, (), call.arguments["stamp_id"].encode())

    def endpoints(self) -> dict[str, AdminEndpoint]:
        """Its endpoints."""
        found = self.server.application.endpoints["scopes.list"]
        assert isinstance(found, AdminEndpoint)
        return dict(endpoints_of(self.Stamps(), found.access))

    async def test_place(self) -> None:
        """The document has it where the route table has it, and refuses to be made where that does not fit."""
        own = ("/openapi", {"GET": "openapi"})
        made = OpenApi(ISSUER, self.endpoints(), [("/stamps/<stamp_id>", {"GET": "stamps.show"}), own])
        self.assertIn("get", json.loads(made.body)["paths"]["/stamps/{stamp_id}"])
        with self.assertRaises(LookupError):
            OpenApi(ISSUER, self.endpoints(), [own])
        with self.assertRaises(TypeError):
            OpenApi(ISSUER, self.endpoints(), [("/stamps/<id>", {"GET": "stamps.show"}), own])
