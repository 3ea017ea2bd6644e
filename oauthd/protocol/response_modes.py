"""How an authorization response reaches its client: the response modes.

`query` and `fragment` (OAuth 2.0 Multiple Response Types section 2.1), `form_post` (OAuth 2.0 Form Post Response Mode),
and their signed forms, in which one parameter, `response`, holds a JWT (JARM section 2.3). `jwt` is the signed form of
the default of the response type (JARM section 2.3.4), which for a code is `query`.

Refused: a mode that is none of these; forms to applications with a scheme of their own, which get no body. The page
with the form, signatures and keys are left to others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from attrs import frozen

from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.messages import Parameters
from oauthd.protocol.records import Client
from oauthd.protocol.redirects import RedirectUri

Pairs = Iterable[tuple[str, str]]

LIFETIME: Final = 600
"""Seconds that a signed response is good for: the longest that JARM section 2.1 recommends. Its code ends sooner."""
RESPONSE: Final = "response"
"""The parameter that holds a signed response (JARM section 2.3)."""


@frozen
class ResponseMode:
    """One way for a response to go.

    :ivar place: `query`, `fragment` or `form_post`.
    :ivar signed: as a JWT (JARM).
    """

    place: str
    signed: bool = False

    @property
    def by_form(self) -> bool:
        """Is it the body of a POST, sent by a page?"""
        return self.place == "form_post"

    def location(self, redirect: RedirectUri, pairs: Pairs) -> str:
        """Where the browser is to go with the parameters; not for a form."""
        if self.place == "query":
            return redirect.with_parameters(pairs)
        # No redirect URI has a fragment of its own (RFC 6749 section 3.1.2).
        encoded = (f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
        return f"{redirect.value}#{'&'.join(encoded)}"


QUERY: Final = ResponseMode("query")
MODES: Final[Mapping[str, ResponseMode]] = {
    "query": QUERY,
    "fragment": ResponseMode("fragment"),
    "form_post": ResponseMode("form_post"),
    "jwt": ResponseMode("query", signed=True),
    "query.jwt": ResponseMode("query", signed=True),
    "fragment.jwt": ResponseMode("fragment", signed=True),
    "form_post.jwt": ResponseMode("form_post", signed=True),
}


def chosen(parameters: Parameters, redirect: RedirectUri | None = None) -> ResponseMode:
    """The mode that a request asks for; `query` where it asks for none.

    :raises OAuthError: `invalid_request`.
    """
    name = parameters.one("response_mode")
    mode = QUERY if name is None else MODES.get(name)
    if mode is None:
        raise INVALID_REQUEST("the response_mode is not supported")
    if mode.by_form and redirect is not None and not redirect.value.startswith(("https:", "http:")):
        raise INVALID_REQUEST("the response_mode form_post needs a redirect_uri of the web")
    return mode


def wants_signed(client: Client) -> bool:
    """Are all its responses signed? JARM section 3: those of a client that registered how; and no others can be had."""
    modes = [MODES[name] for name in client.response_modes if name in MODES]
    return bool(client.response_algorithm or client.response_encryption or (modes and all(one.signed for one in modes)))


def is_for(client: Client, parameters: Parameters) -> bool:
    """May the client ask for the mode that it asks for (FAPI 2.0 Message Signing section 5.3.3)?"""
    return not client.response_modes or (parameters.one("response_mode") or "query") in client.response_modes


def taken(parameters: Parameters, redirect: RedirectUri, signed: bool) -> ResponseMode:
    """The mode that the response takes: the one asked for, where that can be; an error must go somehow.

    :param signed: the client wants no others, whatever it asks for, or whatever of its request can be read.
    """
    names = {value for name, value in parameters if name == "response_mode"}
    mode = MODES.get(names.pop(), QUERY) if len(names) == 1 else QUERY
    web = redirect.value.startswith(("https:", "http:"))
    return ResponseMode("query" if mode.by_form and not web else mode.place, mode.signed or signed)


def claims(issuer: str, client_id: str, now: int, pairs: Pairs) -> dict[str, Any]:
    """What a signed response says: the parameters, who says so to whom, and until when (JARM section 2.1)."""
    return {**dict(pairs), "iss": issuer, "aud": client_id, "exp": now + LIFETIME}
