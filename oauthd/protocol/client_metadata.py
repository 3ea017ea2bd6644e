"""What a client may be registered with (RFC 7591 section 2): forms that are both checked and published.

The forms are regular expressions in the part of the language that Python and ECMA-262 share, without anchors, so that
a JSON Schema can publish exactly what a reader checks. `REDIRECT_URI` describes what `redirects` accepts and refuses
nothing that is in use (of IPv6 hosts those with embedded IPv4 addresses).

Refused: resources with a fragment (RFC 8707 section 2). Which grant types and scopes there are, and who may register
what, is left to others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from oauthd.protocol.errors import INVALID_CLIENT_METADATA
from oauthd.protocol.redirects import LONGEST, validate_registered

CLIENT_TYPES: Final = ("confidential", "public")  # RFC 6749 section 2.1
CONFIDENTIAL_ONLY: Final = frozenset({"client_credentials"})  # RFC 6749 section 4.4
DEFAULT_GRANT_TYPES: Final = ("authorization_code", "refresh_token")
LONGEST_NAME: Final = 200
LONGEST_URI: Final = LONGEST
MOST_URIS: Final = 50

_PRINTED = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\uffff"
_BLANKS = r"\x20\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
LINE: Final = f"[^{_PRINTED}]*"
"""Text of one line, that cannot turn the direction of what stands around it."""
NAME: Final = f"[^{_PRINTED}{_BLANKS}](?:{LINE}[^{_PRINTED}{_BLANKS}])?"
"""The same, not empty and without blanks at its ends."""

CLIENT_ID: Final = "[A-Za-z0-9][A-Za-z0-9._~-]{0,127}"
"""A client id that an administrator chooses: the same in a path, a form and a header (RFC 6749 appendix A.1)."""
CLIENT_SECRET: Final = r"[\x21-\x7e]{32,256}"  # noqa: S105 - its form (RFC 6749 appendix A.2)
SCOPE: Final = r"[\x21\x23-\x5b\x5d-\x7e]{1,128}"  # RFC 6749 section 3.3

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_PORT = r"(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
_GROUP = "[1-9a-f][0-9a-f]{0,3}"
_IPV6 = "|".join(
    [
        f"{_GROUP}(?::{_GROUP}){{7}}",
        "::1",
        *(f"{_GROUP}(?::{_GROUP}){{{left}}}::(?:{_GROUP}(?::{_GROUP}){{0,{4 - left}}})?" for left in range(5)),
    ]
)
_HOST = (
    rf"(?:(?:[A-Za-z0-9_-]+\.)*[A-Za-z_-][A-Za-z0-9_-]*|{_OCTET}(?:\.{_OCTET}){{3}}|\[(?:{_IPV6})\])"
)  # a name whose last label is no number, or an address in its usual form
_REST = r"(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
_PLAIN = r"(?:[A-Za-z0-9._~:!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"

REDIRECT_URI: Final = (
    rf"https://{_HOST}{_PORT}(?:[/?]{_REST})?"
    rf"|http://(?:127\.0\.0\.1|\[::1\]|localhost){_PORT}(?:[/?]{_REST})?"
    rf"|[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:/(?:(?:{_PLAIN}|[?@]){_REST})?"
    rf"|[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+://{_PLAIN}*(?:[/?]{_REST})?"
)
RESOURCE: Final = r"[a-z][a-z0-9+.-]*:(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+"
WEB_URI: Final = rf"https?://{_HOST}{_PORT}(?:[/?]{_REST})?"
"""The address of a page or a picture."""

_SEPARATORS = re.compile(r"[\s,]+")


def split_uris(text: str) -> tuple[str, ...]:
    """The URIs of a string in which blanks, commas or line breaks separate them; each once."""
    return tuple(dict.fromkeys(part for part in _SEPARATORS.split(text) if part))


def redirect_uris(uris: Iterable[str]) -> tuple[str, ...]:
    """The URIs, each of which may be registered.

    :raises OAuthError: `invalid_redirect_uri`; `invalid_client_metadata` for too many.
    """
    checked = tuple(validate_registered(uri).value for uri in dict.fromkeys(uris))
    if len(checked) > MOST_URIS:
        raise INVALID_CLIENT_METADATA(f"there are more than {MOST_URIS} redirect URIs")
    return checked


def is_name(name: str) -> bool:
    """May a client be called so?"""
    return len(name) <= LONGEST_NAME and re.fullmatch(NAME, name) is not None
