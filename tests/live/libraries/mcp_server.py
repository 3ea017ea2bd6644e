"""An MCP server with the `mcp` SDK: one tool, for whoever has a token that the token server says is alive and for it.

Arguments: the issuer, its own URL, the id and the secret of its client at the token server.
"""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import httpx2
from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings

SCOPE = "notes.read"


class Introspection(TokenVerifier):
    """Asks the token server (RFC 7662)."""

    def __init__(self, issuer: str, resource: str, client_id: str, secret: str) -> None:
        self.endpoint, self.resource = f"{issuer}/oauth2/introspect", resource
        self.http = httpx2.AsyncClient(auth=(client_id, secret))

    async def verify_token(self, token: str) -> AccessToken | None:
        """What is said of a token; None for one that is not alive."""
        answer = await self.http.post(self.endpoint, data={"token": token})
        answer.raise_for_status()
        told = answer.json()
        if not told["active"]:
            return None
        audience = told.get("aud", [])
        named = self.resource in ([audience] if isinstance(audience, str) else audience)
        return AccessToken(
            token=token,
            client_id=told["client_id"],
            scopes=told.get("scope", "").split(),
            expires_at=told["exp"],
            resource=self.resource if named else None,
            subject=told.get("sub"),
        )


def main(issuer: str, resource: str, client_id: str, secret: str) -> None:
    """Serve."""
    server = MCPServer(
        "Notes",
        token_verifier=Introspection(issuer, resource, client_id, secret),
        # As texts: AnyHttpUrl would add a slash, and issuers are compared as they are (RFC 8414 section 3.3).
        auth=AuthSettings.model_validate(
            {
                "issuer_url": issuer,
                "resource_server_url": resource,
                "required_scopes": [SCOPE],
                "validate_token_resource": True,
            }
        ),
    )

    @server.tool()
    def who() -> str:
        """Who asks, and with which client."""
        token = get_access_token()
        return f"{token.subject} {token.client_id}" if token else ""

    server.run("streamable-http", host="127.0.0.1", port=urlsplit(resource).port or 0)


main(*sys.argv[1:])
