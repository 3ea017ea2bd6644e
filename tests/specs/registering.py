"""What tests of registration start from: a server that is open to it, and a world outside that holds documents."""

from __future__ import annotations

from typing import Any

from jwcrypto.jwk import JWK
from treq.testing import RequestTraversalAgent
from twisted.web.resource import Resource

from oauthd.config import RegistrationSettings
from oauthd.endpoints.register import Register
from oauthd.protocol.records import Client
from tests.server import CHEAP, ServerCase, ok
from tests.wire import Answer

PATH = "/oauth2/register"
KEY = JWK.generate(kty="EC", crv="P-256", kid="one")


def public(key: JWK) -> dict[str, Any]:
    """The public members of a key."""
    exported: dict[str, Any] = key.export_public(as_dict=True)
    return exported


class ClientsDocuments(Resource):
    """Every document of the world outside: by its address, as JSON; 404 for all others.

    :ivar asked: the addresses that were asked for.
    """

    isLeaf = True  # noqa: N815 - a name of Twisted

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.content_type = b"application/json"

    def render_GET(self, request: Any) -> bytes:
        """The document."""
        address = f"https://{request.getHeader('host')}{request.uri.decode()}"
        self.asked.append(address)
        request.setHeader(b"content-type", self.content_type)
        if address not in self.at:
            request.setResponseCode(404)
        return self.at.get(address, b"")


class RegisteringCase(ServerCase):
    """Registers clients. `self.documents` is the world outside."""

    sections: dict[str, Any] = {"users": CHEAP, "registration": RegistrationSettings(allow="open")}

    async def prepare(self) -> None:
        """Let the server call the documents of the test, and nobody else."""
        self.documents = ClientsDocuments()
        fetcher: Any = self.server.application.fetcher
        self.patch(fetcher, "agent", RequestTraversalAgent(self.documents))
        self.patch(fetcher, "_kept", fetcher._make_kept())
        self.patch(fetcher, "_kept_of_strangers", fetcher._make_kept())

    @property
    def endpoint(self) -> Register:
        """The registration endpoint."""
        found = self.server.application.endpoints["register"]
        assert isinstance(found, Register)
        return found

    async def register(self, body: Any, path: str = PATH, **more: Any) -> Answer:
        """Send a registration."""
        return await self.server.http.request("POST", path, json_body=body, **more)

    async def registered(self, body: Any, **more: Any) -> dict[str, Any]:
        """Send a registration that must succeed."""
        answer = await self.register(body, **more)
        self.assertEqual(answer.status, 201, answer.body)
        told: dict[str, Any] = answer.json()
        return told

    async def record(self, told: dict[str, Any]) -> Client:
        """What is kept of a client."""
        found = await self.server.application.clients.find(told["client_id"])
        assert found is not None
        return found

    async def admin_token(self) -> str:
        """An administrator's access token."""
        name = f"machine-admin-{self.server.entropy(4).hex()}"
        app = await self.server.client(name, scopes=("admin",))
        return str(ok(await self.server.token(app, "client_credentials", scope="admin"))["access_token"])
