"""The simple registration of the API document."""

from __future__ import annotations

from typing import Any

from oauthd.config import ClientSettings
from tests.server import CHEAP, DEVICE_GRANT, ServerCase, ok
from tests.wire import HERE, Answer

PATH = "/oauth2/register_client"


class RegistrationCase(ServerCase):
    """Registers clients."""

    async def register(self, body: Any, **more: Any) -> Answer:
        """Send a registration."""
        return await self.server.http.request("POST", PATH, json_body=body, **more)

    async def registered(self, body: Any, **more: Any) -> dict[str, Any]:
        """Send a registration that must succeed."""
        answer = await self.register(body, **more)
        self.assertEqual(answer.status, 201, answer.body)
        told: dict[str, Any] = answer.json()
        return told

    async def admin_token(self, scope: str = "admin") -> str:
        """A machine's token."""
        app = await self.server.client(f"machine-{scope}", scopes=("admin", "read"))
        return str(ok(await self.server.token(app, "client_credentials", scope=scope))["access_token"])


class DocumentTests(RegistrationCase):
    """What the document prints."""

    async def test_web_application(self) -> None:
        """Section 1: the members of the document, and those that a client cannot do without."""
        asked = {
            "name": "Your App Name", "client_type": "confidential", "redirect_uris": "https://your-app.com/callback",
        }  # fmt: skip
        told = await self.registered(asked)
        self.assertEqual((told["id"], type(told["id"])), (1, int))
        printed = {"name": "Your App Name", "client_type": "confidential", "is_active": True}
        self.assertEqual({name: told[name] for name in printed}, printed)
        self.assertEqual(told["redirect_uris"], ["https://your-app.com/callback"])
        grants = ["authorization_code", "refresh_token", DEVICE_GRANT, "client_credentials"]
        self.assertEqual(told["grant_types"], grants)
        members = "id client_id name client_type is_active redirect_uris grant_types client_secret"
        self.assertEqual(set(told), set(members.split()))
        self.assertEqual((await self.registered(asked))["id"], 2)

    async def test_service(self) -> None:
        """Section 2: without redirect URIs; its token answer carries a refresh token, as printed."""
        told = await self.registered({"name": "Your Service", "client_type": "confidential", "redirect_uris": ""})
        self.assertEqual(told["redirect_uris"], [])
        credentials = {"client_id": told["client_id"], "client_secret": told["client_secret"]}
        answer = ok(await self.server.post("/oauth2/token", {"grant_type": "client_credentials", **credentials}))
        self.assertEqual((answer["token_type"], answer["expires_in"]), ("Bearer", 1800))
        self.assertIn("refresh_token", answer)

    async def test_public(self) -> None:
        """A public client has neither secret nor client_credentials."""
        told = await self.registered({"name": "TV", "client_type": "public"})
        self.assertNotIn("client_secret", told)
        self.assertEqual(told["grant_types"], ["authorization_code", "refresh_token", DEVICE_GRANT])

    async def test_redirect_uris(self) -> None:
        """A string with blanks, commas and lines, or a list; each once."""
        expected = ["https://a.example/cb", "http://127.0.0.1/cb"]
        for given in (" https://a.example/cb,\nhttp://127.0.0.1/cb https://a.example/cb", [*expected, expected[0]]):
            self.assertEqual((await self.registered({"name": "A", "redirect_uris": given}))["redirect_uris"], expected)

    async def test_wrong(self) -> None:
        """Every error has a detail, and nothing is registered."""
        for body, error in [
            ({}, "invalid_client_metadata"),
            ({"name": ""}, "invalid_client_metadata"),
            ({"name": 1}, "invalid_client_metadata"),
            ({"name": "a\x00b"}, "invalid_client_metadata"),
            ({"name": "A", "client_type": "native"}, "invalid_client_metadata"),
            ({"name": "A", "client_type": ["public"]}, "invalid_client_metadata"),
            ({"name": "A", "redirect_uris": "javascript:alert(1)"}, "invalid_redirect_uri"),
            ({"name": "A", "redirect_uris": "http://a.example/cb"}, "invalid_redirect_uri"),
            ({"name": "A", "redirect_uris": ["https://a.example/cb", 1]}, "invalid_redirect_uri"),
            ({"name": "A", "redirect_uris": {"a": 1}}, "invalid_redirect_uri"),
            ({"name": "A", "redirect_uris": None}, "invalid_redirect_uri"),
            ({"name": "A", "redirect_uris": [f"https://a.example/{n}" for n in range(51)]}, "invalid_client_metadata"),
            ([], "invalid_request"),
        ]:
            self.refused(await self.register(body), error)
        self.refused(await self.server.post(PATH, {"name": "A"}), "unsupported_media_type", 415)
        self.assertEqual((await self.server.application.clients.page(None, 10)).items, ())

    async def test_nothing_else_is_asked_for(self) -> None:
        """Members beyond the document's give no rights: they are ignored (RFC 7591 section 2)."""
        told = await self.registered(
            {"name": "A", "grant_types": ["password"], "scope": "admin", "scopes": ["admin"], "client_id": "root",
             "first_party": True, "is_active": False, "client_secret": "x" * 40}
        )  # fmt: skip
        client = await self.server.application.clients.find(told["client_id"])
        assert client is not None
        self.assertEqual((client.scopes, client.first_party, client.is_active), (None, False, True))
        self.assertNotEqual(told["client_id"], "root")
        self.assertNotEqual(told["client_secret"], "x" * 40)
        self.assertNotIn("password", client.grant_types)

    async def test_no_admin_scope(self) -> None:
        """A client that registered itself gets no reserved scope."""
        told = await self.registered({"name": "A"})
        for scope in ("admin", "account"):
            answer = await self.server.post(
                "/oauth2/token",
                {"grant_type": "client_credentials", "scope": scope},
                basic=(told["client_id"], told["client_secret"]),
            )
            self.refused(answer, "invalid_scope")

    async def test_told_once(self) -> None:
        """The answer is not cached, and the secret is neither in the database nor in an event."""
        answer = await self.register({"name": "A"})
        self.assertEqual(answer.header("cache-control"), "no-store")
        secret = answer.json()["client_secret"]
        held = b"".join([key + value for key, value in (await self.server.dump()).items()]).decode("latin-1")
        self.assertNotIn(secret, held + repr(self.server.events))
        self.assertEqual(self.server.told("client.created"), [{"client_id": answer.json()["client_id"]}])


class LoopbackTests(RegistrationCase):
    """By default it is open to this machine alone."""

    async def test_from_elsewhere(self) -> None:
        """From another address, or through anything that forwards, an administrator's token is needed."""
        for more in (
            {"source": "192.0.2.7"},
            {"headers": [("X-Forwarded-For", "127.0.0.1")]},
            {"headers": [("Forwarded", "for=127.0.0.1")]},
        ):
            self.refused(await self.register({"name": "A"}, **more), "invalid_token", 401)
            self.assertEqual((await self.register({"name": "A"}, bearer=await self.admin_token(), **more)).status, 201)
            await self.server.application.clients.delete("machine-admin")
        self.assertEqual((await self.register({"name": "A"}, source=HERE)).status, 201)

    async def test_pages(self) -> None:
        """No page in a browser on this machine registers a client, not even under a name that points to us."""

        async def register(*fields: str) -> Answer:
            head = "".join(f"{one}\r\n" for one in (*fields, "Content-Type: application/json", "Content-Length: 12"))
            request = f'POST {PATH} HTTP/1.1\r\n{head}Connection: close\r\n\r\n{{"name":"A"}}'
            return await self.server.http.raw(request.encode())

        for page in (
            ("Host: page.example:8000", "Origin: http://page.example:8000"),
            ("Host: page.example",),
            ("Host: localhost.page.example:8000",),
            ("Host: 127.0.0.1.page.example",),
            ("Host: localhost:8000", "Origin: https://page.example"),
            ("Host: localhost:8000", "Origin: null"),
        ):
            self.refused(await register(*page), "invalid_token", 401)
        for name in ("localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.0.0.1", "[::1]:8000", "[::1]"):
            self.assertEqual((await register(f"Host: {name}")).status, 201, name)


class AdministratorTests(RegistrationCase):
    """By setting only administrators register clients."""

    sections: dict[str, Any] = {"users": CHEAP, "clients": ClientSettings(registration="administrator")}

    async def test_tokens(self) -> None:
        """A token with the scope admin does, none and another do not, on this machine too."""
        answer = await self.register({"name": "A"})
        self.refused(answer, "invalid_token", 401)
        self.assertEqual(answer.header("www-authenticate").split()[0], "Bearer")
        token = await self.admin_token("read")
        self.refused(await self.register({"name": "A"}, bearer=token), "insufficient_scope", 403)
        told = await self.registered({"name": "A"}, bearer=await self.admin_token())
        facts = {"client_id": told["client_id"], "by_client": "machine-admin", "by_user": None}
        self.assertEqual(self.server.told("client.created"), [facts])


class OffTests(RegistrationCase):
    """By setting nobody does."""

    sections: dict[str, Any] = {"users": CHEAP, "clients": ClientSettings(registration="off")}

    async def test_off(self) -> None:
        """Not even an administrator registers a client in this form where that is off."""
        self.refused(await self.register({"name": "A"}), "forbidden", 403)
        self.refused(await self.register({"name": "A"}, bearer=await self.admin_token()), "forbidden", 403)
