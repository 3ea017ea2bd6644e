"""What tests of described clients start from: a world outside that holds documents, and a person with a browser."""

from __future__ import annotations

import json
from typing import Any

from treq.testing import RequestTraversalAgent

from oauthd.config import ClientDocumentSettings
from oauthd.protocol.records import Client
from tests.server import CHEAP, REDIRECT, App, Server, ServerCase
from tests.specs.registering import ClientsDocuments
from tests.wire import Answer

HERE = "https://agent.example/oauth/client.json"


def described(client_id: str = HERE, **members: Any) -> dict[str, Any]:
    """A document; None leaves a member out."""
    usual = {
        "client_id": client_id,
        "client_name": "Agent",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    return {name: value for name, value in (usual | members).items() if value is not None}


class DescribedCase(ServerCase):
    """`self.documents` is the world outside; `self.alice` signs in."""

    sections: dict[str, Any] = {"users": CHEAP, "client_documents": ClientDocumentSettings(allow="open")}

    async def prepare(self) -> None:
        """Let the server call the documents of the test, and nobody else."""
        self.documents = ClientsDocuments()
        self.forget()
        self.patch(self.server.application.fetcher, "agent", RequestTraversalAgent(self.documents))
        vars_of = self.server.application.described
        vars_of._read.clear()
        self.alice = await self.server.user()

    def forget(self) -> None:
        """Let the time of every document be over."""
        fetcher: Any = self.server.application.fetcher
        for name in ("_kept", "_kept_of_strangers"):
            self.patch(fetcher, name, fetcher._make_kept())

    def publish(self, client_id: str = HERE, **members: Any) -> App:
        """Put a document where its client is; the client as tests use it, which knows nothing of the record."""
        document = described(client_id, **members)
        self.documents.at[client_id] = json.dumps(document).encode()
        self.forget()
        uris = tuple(uri for uri in document.get("redirect_uris", ()) if isinstance(uri, str))
        return App(Client(client_id, 0, "", "public", 0, 0, redirect_uris=uris), "")

    def change(self, client_id: str = HERE, **members: Any) -> None:
        """Put another document there, of which whoever has the former one in memory does not know yet."""
        self.documents.at[client_id] = json.dumps(described(client_id, **members)).encode()

    async def agreed(self, app: App, **more: str | None) -> Answer:
        """Come likewise, sign in and agree; where that leads."""
        browser = self.server.browser()
        return await browser.finish(await browser.get("/oauth2/authorize", self.server.asking(app, **more)), self.alice)

    async def another(self) -> Server:
        """Another node on the same store, with a memory of its own."""
        node = self.server.sibling()
        await node.application.keys.open()
        self.patch(node.application.fetcher, "agent", RequestTraversalAgent(self.documents))
        return node

    async def begin(self, app: App, **more: str | None) -> Answer:
        """Come with an authorization request, in a new browser; the page that it leads to."""
        return await self.server.browser().open("/oauth2/authorize", self.server.asking(app, **more))

    async def record(self, client_id: str = HERE) -> Client | None:
        """What is kept of a client."""
        return await self.server.application.clients.find(client_id)

    async def told(self, app: App, **more: str | None) -> str:
        """The error page that a request leads to."""
        answer = await self.begin(app, **more)
        self.refused_page(answer)
        return answer.body.decode()
