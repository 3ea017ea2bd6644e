"""What a client authentication method is (RFC 6749 section 2.3): a file of this folder."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, Protocol

from msgspec import Struct

from oauthd.protocol.messages import Request
from oauthd.protocol.records import Client

HEADER: Final = "header"
SECRET: Final = "secret"  # noqa: S105 - a place
ASSERTION: Final = "assertion"
NAME: Final = "name"
"""Where a request carries what authenticates its client: the Authorization header; the form, as a secret or as an
assertion; or nothing in the request but the client's name (what else there is stands in the connection)."""

FAILED: Final = (
    "client authentication failed: there is no such client, it is registered for another method, or what it presented "
    "is wrong"
)


class Unproven(Exception):
    """The request is not from that client, or not to be believed.

    :ivar told: what its developer is told. Nobody learns by it which clients there are: it says more than `FAILED` only
        of the form of what was presented, and of what it says once the client's own key has signed it.
    :ivar log: what our own log says; no secret.
    """

    def __init__(self, told: str = FAILED, log: str = "") -> None:
        super().__init__(told)
        self.told = told
        self.log = log


class Credentials(Struct, frozen=True):
    """Who the request says it is from, and what it offers as proof; its repr tells the former alone.

    :ivar secret: a secret or an assertion.
    :ivar certificate: DER of the certificate shown by mutual TLS, empty for none.
    :ivar vouched: has an authority that is trusted issued it?
    :ivar path: where the request went.
    """

    client_id: str
    secret: str = ""
    certificate: bytes = b""
    vouched: bool = False
    path: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.client_id!r})"


class Method(Protocol):
    """One way a client proves itself.

    :ivar method: its name in metadata (`token_endpoint_auth_methods_supported`).
    :ivar place: where it stands; a request may use one place, and methods of the same place read it alike.
    :ivar unregistered: it also works for clients that have registered no method.
    :ivar lasts: what has proved once goes on to prove it, as long as the client stays as it is. What does not last is
        looked at each time, and no answer to it teaches anybody anything.
    :ivar algorithms: those that may sign it; () for what is not signed.
    """

    method: str
    place: str
    unregistered: bool
    lasts: bool

    @property
    def algorithms(self) -> tuple[str, ...]:
        """As above."""
        ...

    def presented(self, request: Request) -> Credentials | None:
        """The credentials of this place in the request, None when it has none; refuses malformed ones."""
        ...

    def proves(self, client: Client | None, credentials: Credentials) -> bool | Awaitable[bool]:
        """Do they prove that the request is from this client? An unknown client costs the same.

        What lasts must be told at once.

        :raises Unproven: they do not, and it may be said why.
        """
        ...
