"""The URL of a document: strict reading of the few forms that two readers cannot read in two ways.

RFC 3986 section 3, and of the WHATWG URL standard the rule that a host whose last label is a number is an IPv4 address.
Refuses every scheme but https, a user or password, other ports than those set, hosts that are neither a plain ASCII
name nor an IPv4 address in its usual spelling, blanks, backslashes, bad percent escapes and what is too long. Whether
the host may be called is found out when its addresses are known.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import IPv4Address

from attrs import frozen

from oauthd.fetcher.refusal import FetchRefused

LONGEST = 2048
HTTPS = 443

_SEGMENTS = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
_MORE = _SEGMENTS.replace("@/", "@/?")
_URL = re.compile(
    r"(?i:https)://(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(?P<port>[1-9][0-9]{0,4}))?"
    rf"(?P<path>/{_SEGMENTS})?(?:\?(?P<query>{_MORE}))?(?P<fragment>#{_MORE})?"
)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_GENERIC = frozenset(("ac", "co", "com", "edu", "go", "gob", "gov", "gouv", "ne", "net", "nom", "or", "org"))
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@frozen
class Location:
    """Where a document is.

    :ivar host: in lower case.
    :ivar target: the URL that is asked for: host in lower case, with a path, without the fragment.
    :ivar fragment: with its `#`, or empty; never sent, and part of what tells documents apart (OpenID Connect Core
        section 6.2 puts a digest of the content there).
    """

    host: str
    port: int
    target: str
    fragment: str = ""


def location(url: str, ports: Collection[int], opened: Collection[str] = ()) -> Location:
    """Read a URL.

    :param ports: the ports that may be called.
    :param opened: hosts of which any port may be.
    :raises FetchRefused: with the reason.
    """
    if len(url) > LONGEST:
        raise FetchRefused(f"has a URL of more than {LONGEST} characters")
    found = _URL.fullmatch(url)
    if found is None:
        raise FetchRefused(_what_is_wrong(url))
    host = _host(found["host"].lower())
    port = int(found["port"] or HTTPS)
    if port > 65535 or (port not in ports and host not in opened):
        raise FetchRefused(f"is at port {port}, which this server does not call")
    authority = host if port == HTTPS else f"{host}:{port}"
    query = f"?{found['query']}" if found["query"] else ""
    target = f"https://{authority}{found['path'] or '/'}{query}"
    return Location(host, port, target, found["fragment"] or "")


def site(host: str) -> str:
    """What of a host somebody has to register or rent before he can have any number of hosts in it.

    The last two labels; three where the second says as little as the last (`co.uk`); of an IPv4 address its /24. There
    are lists of public suffixes that know better, and grow old: what is wrong here makes a bound on a site narrower for
    a provider who gives hosts to many, or wider for a country with customs of its own.
    """
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return ".".join(labels[:3])
    deep = len(labels[-1]) == 2 and len(labels) > 2 and labels[-2] in _GENERIC
    return ".".join(labels[-3 if deep else -2 :])


def _what_is_wrong(url: str) -> str:
    scheme, colon, rest = url.partition("://")
    if not colon or scheme.lower() != "https":
        return "is not at an https URL"
    if "@" in re.split(r"[/?#\\]", rest, maxsplit=1)[0]:
        return "has a URL with a user name or password"
    return "has a malformed URL"


def _host(text: str) -> str:
    if text.startswith("["):
        raise FetchRefused("has an IPv6 address in the place of a host name, which is not supported")
    labels = text.split(".")
    # 127.1, 0x7f.1 and 2130706433 are 127.0.0.1 to some readers and names to others.
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(text))
        except ValueError:
            raise FetchRefused("has a malformed URL") from None
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise FetchRefused("has a malformed URL")
    return text
