"""A `Response` goes out: as one message of bytes, or through a Twisted request.

RFC 9110 sections 6.4 and 8.6: Content-Length on all but 204 and 304, no body in these and in answers to HEAD. Every
answer says `nosniff`, and of the server its name alone. Refused: field values that would forge another field.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus

from twisted.web.server import Request as WebRequest

from oauthd.protocol.messages import Response

AccessLog = Callable[[str, str, int, float], None]
"""Told of each answer: method, path of the route, status, seconds. `-` where there is none."""

_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_BODILESS = (204, 304)


def fields(response: Response) -> list[tuple[bytes, bytes]]:
    """Every header field of a response, those that each one has included.

    :raises ValueError: for a value with a line break, another control character, or beyond Latin-1: never sent, since
        it was made from input somewhere.
    """
    own = [("Server", "oauthd"), ("X-Content-Type-Options", "nosniff")]
    if response.status not in _BODILESS:
        own.append(("Content-Length", str(len(response.body))))
    taken = {name.lower() for name, _ in response.headers}
    named = [*response.headers, *(pair for pair in own if pair[0].lower() not in taken)]
    for name, value in named:
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of the header {name} cannot be sent")
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in named]


def serialized(response: Response) -> bytes:
    """The whole message, for a channel that has no request to answer."""
    status = f"HTTP/1.1 {response.status} {_phrase(response.status)}".encode("ascii")
    head = b"".join(b"%s: %s\r\n" % pair for pair in fields(response))
    return b"%s\r\n%s\r\n%s" % (status, head, response.body)


def deliver(response: Response, web: WebRequest) -> bytes:
    """Set status and header fields on a request; the body that is then to be written is returned.

    :raises ValueError: as `fields` does, before anything was set.
    """
    pairs = fields(response)
    web.setResponseCode(response.status, _phrase(response.status).encode("ascii"))
    web.responseHeaders.removeHeader(b"Server")
    for name, value in pairs:
        web.responseHeaders.addRawHeader(name, value)
    return response.body  # which twisted.web leaves out where there must be none


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
