"""Request objects (RFC 9101, OpenID Connect Core section 6): what one must say, and which request it stands for.

The two texts differ in what counts besides the object. RFC 9101 section 6.3 takes what is in it and nothing else, and
so is it here for everybody: a request is either signed as a whole, or not. A client that follows Core section 6.1 and
repeats `response_type`, `client_id`, `scope` outside is served, whatever those say; `client_id`, by which the keys are
found, must be the same in both places. One that leaves parameters outside alone is not: they are not there.

Refused here: an object of another client or for another server, one that holds `request` or `request_uri` or names the
client as `sub` as client assertions do (RFC 9101 section 10.8), one out of its time.
Strict rules on its time (FAPI 2.0 Message Signing section 5.3.1) hold for clients that must sign. Signatures are
verified, and what was used is remembered, by `oauthd.proofs.request_object`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from oauthd.protocol import jose, profile
from oauthd.protocol.errors import INVALID_REQUEST_OBJECT
from oauthd.protocol.jose.segments import LONGEST, TokenRefused, decode, members
from oauthd.protocol.json_text import text
from oauthd.protocol.messages import Parameters
from oauthd.protocol.records import Client

TYPES: Final = ("JWT", "oauth-authz-req+jwt")  # RFC 9101 section 10.8; the first may be left out
MEDIA_TYPES: Final = ("application/oauth-authz-req+jwt", "application/jwt")  # section 4
BY_SECRET: Final = ("HS256",)
"""The HMAC that every secret is long enough for (RFC 7518 section 3.2)."""
LONGEST_URI: Final = 512  # section 5.2
LONGEST_LIFE: Final = 3600
"""Seconds between `nbf` and `exp`, and between `nbf` and now, for clients that must sign."""

_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_OF_THE_TOKEN = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti", "sub"})


def algorithms(client: Client, strict: bool) -> Sequence[str]:
    """The algorithms that sign a client's request objects: the one that it registered, of those that are on.

    By a secret that both know (OpenID Connect Core section 6.1) where it registered that. A public client has none,
    and no profile allows it.

    :param strict: the client is held to FAPI 2.0.
    """
    held = profile.accepted(client, profile.FAPI2 if strict else "")
    if client.request_algorithm in BY_SECRET and client.confidential and held is None:
        return [client.request_algorithm]
    return [name for name in held or jose.ASYMMETRIC if client.request_algorithm in ("", name)]


def is_unsigned(token: str) -> bool:
    """Is its signature empty, as that of `none` is (RFC 7518 section 3.6)?"""
    return token.endswith(".")


def unsigned(token: str) -> dict[str, Any]:
    """The claims of an object that nobody signed; for clients that registered `none`, and no others.

    :raises TokenRefused: when it is none.
    """
    if len(token) > LONGEST or token.count(".") != 2:
        raise TokenRefused("not a compact JWS of reasonable size")
    head, body, _ = token.split(".")
    header = members(decode(head))
    if header.get("alg") != "none" or not header.keys() <= {"alg", "typ"}:
        raise TokenRefused("its header is not that of an unsigned token")
    return members(decode(body))


def judge(claims: Mapping[str, Any], client_id: str, issuer: str, now: float, leeway: float, strict: bool) -> None:
    """Make sure that it is a request of this client to this server, in its time.

    :param strict: the client must sign.
    :raises OAuthError: `invalid_request_object`.
    """
    if "request" in claims or "request_uri" in claims:
        raise INVALID_REQUEST_OBJECT("a request object holds another")  # RFC 9101 section 4
    if claims.get("client_id") != client_id:
        raise INVALID_REQUEST_OBJECT("client_id is missing in the request object, or another one")  # section 6.3
    if claims.get("iss", client_id) != client_id or (strict and "iss" not in claims):
        raise INVALID_REQUEST_OBJECT("iss is not the client's id")  # section 4
    if claims.get("sub") == client_id:
        raise INVALID_REQUEST_OBJECT("sub is the client, as in a client assertion")  # section 10.8
    audience = claims.get("aud", () if strict else issuer)
    if issuer not in ([audience] if isinstance(audience, str) else audience if isinstance(audience, list) else ()):
        raise INVALID_REQUEST_OBJECT("aud does not name this server")  # section 4
    _judge_times(claims, now, leeway, strict)


def parameters(claims: Mapping[str, Any]) -> Parameters:
    """The request that an object stands for (RFC 9101 section 4).

    :raises OAuthError: `invalid_request_object` for numbers that are too large to be any, and for characters that no
        query could bring.
    """
    pairs = tuple(_pairs(claims))
    if any(_UNFIT.search(part) for pair in pairs for part in pair):
        raise INVALID_REQUEST_OBJECT("a claim of the request object holds a control character, or half of one")
    return Parameters(pairs)


def _pairs(claims: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in claims.items():
        if name in _OF_THE_TOKEN or value is None:
            continue
        if name == "resource" and isinstance(value, list):  # RFC 8707 section 2.1
            yield from ((name, _word(one)) for one in value)
        else:
            yield name, _word(value)


def _word(value: object) -> str:
    """A value as it stands in a query: strings as they are, `claims` and all else that has structure as JSON."""
    try:
        return value if isinstance(value, str) else text(value)
    except ValueError:  # 1e999 is JSON, and no number
        raise INVALID_REQUEST_OBJECT("a claim of the request object holds a number that is none") from None


def _judge_times(claims: Mapping[str, Any], now: float, leeway: float, strict: bool) -> None:
    begins, ends = _time(claims, "nbf"), _time(claims, "exp")
    if ends is not None and ends + leeway <= now:
        raise INVALID_REQUEST_OBJECT("the request object has expired")
    if begins is not None and begins - leeway > now:
        raise INVALID_REQUEST_OBJECT("the request object is not valid yet")
    if not strict:
        return
    if begins is None or ends is None:
        raise INVALID_REQUEST_OBJECT("the request object has no nbf or no exp")
    if (_time(claims, "iat") or 0) - leeway > now:  # FAPI 2.0 Security Profile section 5.3.2.1 item 13
        raise INVALID_REQUEST_OBJECT("the request object was issued in the future")
    if ends - begins > LONGEST_LIFE or now - begins > LONGEST_LIFE + leeway:
        raise INVALID_REQUEST_OBJECT("the request object is valid for more than an hour")


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is not None and (type(value) not in (int, float) or not abs(value) < 2**53):
        raise INVALID_REQUEST_OBJECT(f"{name} is not a time")
    return value
