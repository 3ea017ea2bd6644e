"""What an `Authorization` header field carries: Basic client credentials, Bearer and DPoP tokens.

Basic as RFC 6749 section 2.3.1 wants it: RFC 7617 around two values that are each form-urlencoded (Appendix B), so
that a colon, a space or a letter beyond ASCII survives. A client that sends its id and secret unencoded is understood
as long as they hold neither `%` nor `+`; every secret that we make is of that kind.

Refused: another scheme, base64 that is not the one canonical spelling, a missing colon, a `%` that starts no octet,
octets that are not UTF-8, control characters. Whose credentials they are, and whether a request carries others
besides (RFC 6749 section 2.3), is for client authentication to say.
"""

from __future__ import annotations

import binascii
import re

from oauthd.protocol.errors import INVALID_CLIENT, INVALID_TOKEN, OAuthError

_CHALLENGED = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?: +(.*))?", re.DOTALL)  # RFC 9110 section 11.4
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 section 2.1, RFC 9449 section 7.1
BEARER = "bearer"
DPOP = "dpop"
_OCTET = re.compile(rb"%([0-9A-Fa-f]{2})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST = 8192


def scheme(header: str) -> str:
    """The authentication scheme of the field, lower-case; "" when it has none."""
    return _split(header)[0]


def credentials(header: str) -> tuple[str, str]:
    """Client id and secret of a Basic `Authorization` field; the secret may be empty, the id may not.

    :raises OAuthError: `invalid_client` for everything that is not exactly that (RFC 6749 section 5.2).
    """
    name, token = _split(header)
    if name != "basic":
        raise INVALID_CLIENT("this authentication scheme is not supported for clients")
    if len(token) > _LONGEST:
        raise _malformed("they are too long")
    try:
        octets = binascii.a2b_base64(token, strict_mode=True)
    except ValueError:  # binascii.Error among them
        raise _malformed("they are not base64") from None
    # Other slack bits would be a second spelling of the same value.
    if binascii.b2a_base64(octets, newline=False).decode("ascii") != token:
        raise _malformed("they are not canonical base64")
    client_id, colon, secret = octets.partition(b":")
    if not colon:
        raise _malformed("there is no colon")
    if not client_id:
        raise _malformed("the client_id is empty")
    return _decoded(client_id), _decoded(secret)


def access_token(header: str) -> tuple[str, str]:
    """Scheme (`BEARER` or `DPOP`) and token of an `Authorization` field with an access token.

    :raises OAuthError: `invalid_token` for another scheme or a malformed token (RFC 6750 section 3.1).
    """
    name, token = _split(header)
    if name not in (BEARER, DPOP):
        raise INVALID_TOKEN("a Bearer or DPoP access token is needed")
    if not _TOKEN.fullmatch(token):
        raise INVALID_TOKEN("the access token is malformed")
    return name, token


def _split(header: str) -> tuple[str, str]:
    match = _CHALLENGED.fullmatch(header)
    return (match[1].lower(), match[2] or "") if match else ("", "")


def _decoded(encoded: bytes) -> str:
    """Undo application/x-www-form-urlencoded for one value (RFC 6749 Appendix B)."""
    try:
        if b"%" in encoded or b"+" in encoded:
            encoded = _OCTET.sub(_octet, encoded.replace(b"+", b" "))
        text = encoded.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("they are not UTF-8") from None
    if _CONTROL.search(text):
        raise _malformed("they hold control characters")
    return text


def _octet(match: re.Match[bytes]) -> bytes:
    if match[1] is None:
        raise _malformed("a % is not followed by two hexadecimal digits; id and secret must be form-urlencoded")
    return bytes.fromhex(match[1].decode("ascii"))


def _malformed(what: str) -> OAuthError:
    return INVALID_CLIENT(f"the Basic credentials are malformed: {what}")
