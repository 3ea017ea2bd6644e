"""An MCP client with the `mcp` SDK: it finds the token server by itself, has a person sign in, and calls a tool.

Arguments: the URL of the MCP server, the redirect URI, and the address of its own document; "" where it is to register.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl


def ask(question: dict[str, Any]) -> dict[str, Any]:
    """Say a line, and read one."""
    print(json.dumps(question), flush=True)
    answer: dict[str, Any] = json.loads(sys.stdin.readline())
    return answer


class Memory(TokenStorage):
    """Keeps what was given."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """The tokens."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """New ones."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """The client."""
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """A new one."""
        self.client = client_info


class Person:
    """Is sent to sign in, and comes back."""

    visited: dict[str, str]
    arrived: dict[str, str]

    async def go(self, url: str) -> None:
        """To the authorization endpoint."""
        self.visited = dict(parse_qsl(urlsplit(url).query))
        arrived = await asyncio.to_thread(ask, {"visit": url})
        self.arrived = dict(parse_qsl(urlsplit(arrived["arrived"]).query))

    async def back(self) -> AuthorizationCodeResult:
        """At the redirect URI."""
        return AuthorizationCodeResult(
            code=self.arrived["code"], state=self.arrived["state"], iss=self.arrived["iss"]
        )


async def main(url: str, redirect_uri: str, document: str) -> None:
    """Go through everything."""
    memory, person = Memory(), Person()
    provider = OAuthClientProvider(
        url,
        OAuthClientMetadata(client_name="Notebook", redirect_uris=[AnyUrl(redirect_uri)]),
        memory,
        person.go,
        person.back,
        document or None,
    )
    said = []
    async with (
        httpx2.AsyncClient(auth=provider, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        said.append((await client.call_tool("who", {})).content[0].text)  # type: ignore[union-attr]
        first = memory.tokens
        provider.context.token_expiry_time = 1.0  # so it has run out, for all that the client knows
        said.append((await client.call_tool("who", {})).content[0].text)  # type: ignore[union-attr]
        second = memory.tokens
    assert first is not None and second is not None and memory.client is not None
    done = {
        "said": said,
        "visited": person.visited,
        "client_id": memory.client.client_id,
        "tokens": [first.access_token, second.access_token],
        "refresh": [first.refresh_token, second.refresh_token],
        "scope": first.scope,
    }
    ask({"done": done})


asyncio.run(main(*sys.argv[1:]))
