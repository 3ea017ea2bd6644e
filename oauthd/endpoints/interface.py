"""What an endpoint is: an object that answers a `Request`. It does not know that Klein exists."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from oauthd.protocol.messages import Request, Response

Endpoint = Callable[[Request], Awaitable[Response]]
