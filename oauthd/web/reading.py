"""A Twisted request becomes a frozen `Request`: decoded once, here and nowhere else.

Header values are read as Latin-1, octet for octet, since RFC 9110 section 5.5 gives them no other meaning; names are
lower-case. A name with an underscore is a field of its own and never means the one with a hyphen. A form is read where
POST or PUT sends one, a query always; neither is looked for in the place of the other. A JSON body stays as it is, for
`oauthd.protocol.json_body`.

Refused: a body with a Content-Encoding, and what `oauthd.web.parsing` refuses.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Mapping

from twisted.web.server import Request as WebRequest

from oauthd.protocol.errors import UNSUPPORTED_MEDIA_TYPE
from oauthd.protocol.messages import Connection, Headers, Parameters, Request
from oauthd.web import parsing
from oauthd.web.client_certificates import NOTHING, Shown
from oauthd.web.sources import Sources


def read(web: WebRequest, sources: Sources, arguments: Mapping[str, str]) -> Request:
    """Read a request whose body has arrived.

    :param arguments: the named parts of the route's path, as Klein matched them.
    :raises OAuthError: 400, 404, 413 or 415.
    """
    method = web.method.decode("ascii")
    path, _, query = web.uri.partition(b"?")
    headers = _headers(web)
    body = _body(web)
    content_type = parsing.media_type(headers.one("content-type"))
    if body and (headers.one("content-encoding") or "identity").lower() != "identity":
        raise UNSUPPORTED_MEDIA_TYPE("a body must not be compressed")
    is_form = method in ("POST", "PUT") and content_type == parsing.FORM
    return Request(
        method=method,
        path=parsing.path(path),
        query=parsing.parameters(query),
        form=parsing.parameters(body) if is_form else Parameters(),
        headers=headers,
        body=body,
        content_type=content_type,
        connection=_connection(web, sources, headers),
        arguments=dict(arguments),
    )


def _connection(web: WebRequest, sources: Sources, headers: Headers) -> Connection:
    shown: Shown = getattr(web.channel, "shown", NOTHING)  # a channel that is not ours knows nothing of certificates
    return sources.connection(web.getClientAddress(), web.getHost(), bool(web.isSecure()), headers, shown)


def _headers(web: WebRequest) -> Headers:
    fields = web.requestHeaders.getAllRawHeaders()
    return Headers(
        tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, values in fields for value in values)
    )


def _body(web: WebRequest) -> bytes:
    if web.content is None:
        return b""
    web.content.seek(0)
    body: bytes = web.content.read()
    return body
