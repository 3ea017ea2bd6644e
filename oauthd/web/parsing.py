"""Strict reading of what a request line, a header field, a query and a form may say: pure functions on raw bytes.

RFC 9112 section 3 (request target, Host), RFC 9110 section 5.5 (field values), RFC 3986 section 2.1 (percent encoding)
and the application/x-www-form-urlencoded format of the WHATWG URL standard, section 5.
Nothing but `OAuthError` is raised.

Refused here: whatever two readers could read in two ways. In forms and queries `;`, which some servers take for `&`; in
paths `//`, `;`, backslashes, dot segments, encoded slashes and double encoding. Left to others: what the names mean,
and repeated parameters, which stay visible.
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from urllib.parse import unquote_to_bytes

from oauthd.protocol.errors import INVALID_REQUEST, MALFORMED_REQUEST, NOT_FOUND, UNSUPPORTED_MEDIA_TYPE
from oauthd.protocol.messages import Parameters

FORM = "application/x-www-form-urlencoded"
PAIRS = 100

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_TARGET = re.compile(rb"[\x21\x22\x24-\x7e]+")  # visible ASCII without `#`: a target has no fragment
# uri-host [":" port] of RFC 3986 section 3.2; no user part, which RFC 9110 section 4.2.4 takes for a phishing attempt.
_AUTHORITY = rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,=%-]+)(?::[0-9]{0,5})?"
_HOST = re.compile(_AUTHORITY)
_ABSOLUTE = re.compile(rb"https?://" + _AUTHORITY + rb"(/[^?]*)?(\?.*)?", re.IGNORECASE)
_FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # RFC 9110 section 5.6.2
_MEDIA_TYPE = re.compile(f"{_WORD}/{_WORD}")
_PARAMETER = re.compile(f'[ \\t]*;[ \\t]*(?:({_WORD})=(?:"([^"\\\\]*)"|({_WORD})))?')


def parameters(raw: bytes, limit: int = PAIRS) -> Parameters:
    """The pairs of a query or form in the order sent; a name without `=` has an empty value, empty pairs are skipped.

    :param limit: how many pairs are read.
    :raises OAuthError: `invalid_request` on a raw `;`, a bad percent escape, invalid UTF-8, a control character or too
        many pairs.
    """
    if not raw:
        return Parameters()
    if b";" in raw:
        raise INVALID_REQUEST("a semicolon in a query or form must be percent-encoded")
    if raw.count(b"&") >= limit:
        raise INVALID_REQUEST(f"there are more than {limit} parameters")
    if _BAD_ESCAPE.search(raw):
        raise INVALID_REQUEST("a percent sign is not followed by two hexadecimal digits")
    pairs = (pair.partition(b"=") for pair in raw.replace(b"+", b" ").split(b"&") if pair)
    return Parameters(tuple((_text(name), _text(value)) for name, _, value in pairs))


def _unquoted(raw: bytes) -> bytes:
    """What percent escapes stand for, all of which are good.

    Quoted-printable (RFC 2045 section 6.7) is the same by another sign, and the library's reader of that is a hundred
    times as fast: a form of nothing but escapes would cost 6 ms.
    """
    return a2b_qp(raw.replace(b"=", b"=3D").replace(b"%", b"=")) if b"%" in raw else raw


def _text(raw: bytes) -> str:
    try:
        text = _unquoted(raw).decode()
    except UnicodeDecodeError:
        raise INVALID_REQUEST("a parameter is not UTF-8") from None
    # No parameter of any specification has a use for one, and a line break forges a line of somebody's log.
    if _CONTROL.search(text):
        raise INVALID_REQUEST("a parameter holds a control character")
    return text


def path(raw: bytes) -> str:
    """The decoded path of an origin-form target.

    :raises OAuthError: 400 when it cannot be decoded or holds a control character; 404 when it is well-formed but a
        proxy in front could take it for another path (`//`, `;`, backslash, dot segments, `%2f`, `%25`).
    """
    if not raw.startswith(b"/") or _BAD_ESCAPE.search(raw):
        raise MALFORMED_REQUEST("the path is malformed")
    try:
        decoded = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise MALFORMED_REQUEST("the path is not UTF-8") from None
    if _CONTROL.search(decoded):
        raise MALFORMED_REQUEST("the path holds a control character")
    odd = any(character in decoded for character in ";\\%") or b"//" in raw or b"%2f" in raw.lower()
    if odd or not {".", ".."}.isdisjoint(decoded.split("/")):
        raise NOT_FOUND("there is nothing at this path")
    return decoded


def origin_form(method: bytes, target: bytes) -> bytes:
    """The request target as path and query (RFC 9112 section 3.2); `*` stays for OPTIONS.

    Of an absolute-form target the authority is dropped after it was checked, as the Host field is: neither has any
    meaning here, links and issuer come from the settings alone.

    :raises OAuthError: 400 for anything else.
    """
    if _TARGET.fullmatch(target):
        if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
            return target
        if absolute := _ABSOLUTE.fullmatch(target):
            return (absolute[1] or b"/") + (absolute[2] or b"")
    raise MALFORMED_REQUEST("the request target is malformed")


def host(values: list[bytes], version: bytes) -> None:
    """Check the Host fields of a request: exactly one in HTTP/1.1, at most one before (RFC 9112 section 3.2).

    :raises OAuthError: 400.
    """
    if len(values) > 1 or (not values and version != b"HTTP/1.0"):
        raise MALFORMED_REQUEST("there must be exactly one Host header")
    if values and not _HOST.fullmatch(values[0]):
        raise MALFORMED_REQUEST("the Host header is malformed")


def field(line: bytes) -> tuple[bytes, bytes]:
    """Name and value of a header line, the value without surrounding blanks. The name is checked by twisted.web.

    Bytes above 0x7f are allowed (obs-text), since user agents do send them; they are read as Latin-1, one to one.

    :raises OAuthError: 400 for a line without colon, or a control character in the value (RFC 9110 section 5.5).
    """
    name, colon, value = line.partition(b":")
    if not colon or not _FIELD_VALUE.fullmatch(value):
        raise MALFORMED_REQUEST("a header is malformed")
    return name, value.strip(b" \t")


def content_length(value: bytes, limit: int) -> bool:
    """Is the body that a Content-Length announces within `limit` bytes?

    :raises OAuthError: 400 when it is no plain number (RFC 9112 section 6.3).
    """
    if not value.isdigit():
        raise MALFORMED_REQUEST("the Content-Length header is malformed")
    # Digits are counted first: Python raises ValueError for a number of many thousand digits, and so would twisted.web.
    return len(value) <= 18 and int(value) <= limit


def media_type(value: str | None) -> str:
    """The media type of a Content-Type field in lower case without its parameters, "" when there is none.

    :raises OAuthError: `unsupported_media_type` when it is malformed, or is a form in another charset than UTF-8.
    """
    if not value:
        return ""
    found = _MEDIA_TYPE.match(value)
    if found is None:
        raise UNSUPPORTED_MEDIA_TYPE("the Content-Type header is malformed")
    kind, position = found[0].lower(), found.end()
    while position < len(value):
        parameter = _PARAMETER.match(value, position)
        if parameter is None:
            raise UNSUPPORTED_MEDIA_TYPE("the Content-Type header is malformed")
        charset = parameter[1] is not None and parameter[1].lower() == "charset"
        if charset and kind == FORM and (parameter[2] or parameter[3] or "").lower() not in ("utf-8", "utf8"):
            raise UNSUPPORTED_MEDIA_TYPE("a form must be in UTF-8")
        position = parameter.end()
    return kind
