"""What a client authentication method is (RFC 6749 section 2.3): a file of this folder."""

from __future__ import annotations

from typing import Protocol

from attrs import field, frozen

from oauthd.protocol.messages import Request
from oauthd.protocol.records import Client


@frozen
class Credentials:
    """Who the request says it is from, and what it offers as proof."""

    client_id: str
    secret: str = field(default="", repr=False)


class Method(Protocol):
    """One way a client proves itself.

    :ivar method: its name in metadata (`token_endpoint_auth_methods_supported`).
    """

    method: str

    def presented(self, request: Request) -> Credentials | None:
        """The credentials of this method in the request, None when it has none; refuses malformed ones."""
        ...

    def proves(self, client: Client | None, credentials: Credentials) -> bool:
        """Do they prove that the request is from this client? An unknown client costs the same."""
        ...
