"""Redirect URIs: which may be registered, which a request may name, and how a response is put on one.

Registered are (RFC 6749 section 3.1.2, RFC 8252 sections 7.1 and 8.4, RFC 9700 section 2.1): `https` to a named host,
`http` to a loopback host alone, and private-use schemes that look like a reversed domain name. Refused are fragments,
user names, schemes that run or read something (`javascript:`, `data:`, `file:` and their kin), hosts that browsers
read as another address (`http://0x7f.1/`), and every character outside RFC 3986; so a registered URI can stand in
a header field, a page and a Content-Security-Policy as it is.

A request's URI is compared character by character. The port of `http://127.0.0.1` and `http://[::1]` is the sole
exception (RFC 8252 section 7.3); `localhost` has none, but for clients whose document says it without a port: that one
document is for all devices there are, on each of which another port is free. Post-logout redirect URIs follow the same
rules.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from typing import Final
from urllib.parse import quote

from attrs import frozen

from oauthd.protocol.errors import INVALID_REDIRECT_URI, INVALID_REQUEST, OAuthError

LONGEST: Final = 2000

_CHARACTERS = re.compile(r"(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")  # RFC 3986 section 2, without #
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(.*)")
_AUTHORITY = re.compile(r"//([^/?]*)(.*)")
_HOST_PORT = re.compile(r"(\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+)(?::([1-9][0-9]{0,4}))?")
_PORT = re.compile(r":[0-9]+\Z")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_ANY_PORT = re.compile(r"http://(127\.0\.0\.1|\[::1\])(?::([1-9][0-9]{0,4}))?((?:[/?].*)?)")

_LOCALHOST = re.compile(r"http://localhost(:[1-9][0-9]{0,4})?((?:[/?].*)?)")

_WEB = ("https", "http")
_LOOPBACK = frozenset({"127.0.0.1", "[::1]", "localhost"})
_DANGEROUS = frozenset(
    {"about", "blob", "chrome", "data", "file", "filesystem", "ftp", "intent", "jar", "javascript", "mailto"}
    | {"resource", "sms", "tel", "urn", "vbscript", "view-source", "ws", "wss"}
)


@frozen
class RedirectUri:
    """A redirect URI that a response may go to.

    Come by it through `registered`, `choose` or out of a record that one of them filled, never from a request alone.
    """

    value: str

    @property
    def native(self) -> bool:
        """Does it lead to an application on the person's own device, which any other one there could imitate?"""
        scheme, rest = self.value.split(":", 1)
        return scheme not in _WEB or _PORT.sub("", _authority(rest)) in _LOOPBACK

    @property
    def place(self) -> str:
        """What people know it by: scheme and host; with its port, save on their own device, where it changes."""
        scheme, rest = self.value.split(":", 1)
        if scheme not in _WEB:
            return scheme
        authority = _authority(rest).lower()
        return f"{scheme}://{_PORT.sub('', authority) if self.native else authority}"

    def with_parameters(self, pairs: Iterable[tuple[str, str]]) -> str:
        """The URI with response parameters added to its query, which is kept (RFC 6749 section 3.1.2)."""
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
        if not query:
            return self.value
        if "?" not in self.value:
            return f"{self.value}?{query}"
        return f"{self.value}{'' if self.value[-1] in '?&' else '&'}{query}"


def validate_registered(uri: str, *, plain_http: bool = False, schemes: Collection[str] = ()) -> RedirectUri:
    """A URI that a client wants to register.

    :param plain_http: allow `http` to hosts that are not loopback.
    :param schemes: private-use schemes without a dot that the operator allows.
    :raises OAuthError: `invalid_redirect_uri` with the reason.
    """
    if len(uri) > LONGEST:
        raise _refused(f"is longer than {LONGEST} characters")
    if "#" in uri:
        raise _refused("has a fragment")  # RFC 6749 section 3.1.2
    if not _CHARACTERS.fullmatch(uri):
        raise _refused("is empty or holds characters that a URI may not hold")
    split = _SCHEME.fullmatch(uri)
    if split is None:
        raise _refused("is not absolute, or its scheme is not in lower case")
    scheme, rest = split[1], split[2]
    if scheme in _DANGEROUS:
        raise _refused("has a scheme that is never a client")
    if scheme in _WEB:
        _validate_web(scheme, rest, plain_http)
    else:
        _validate_private(scheme, rest, schemes)
    return RedirectUri(uri)


def matches(registered: str, presented: str, any_port: bool = False) -> bool:
    """Is the URI of a request the registered one?

    :param any_port: a port that `http://localhost` is registered without may be any, too.
    """
    if registered == presented:
        return True
    if any_port:
        named, asked = _LOCALHOST.fullmatch(registered), _LOCALHOST.fullmatch(presented)
        if named and asked and not named[1]:
            return named[2] == asked[2] and int((asked[1] or ":80")[1:]) < 65536
    left, right = _ANY_PORT.fullmatch(registered), _ANY_PORT.fullmatch(presented)
    return (
        left is not None
        and right is not None
        and (left[1], left[3]) == (right[1], right[3])
        and int(right[2] or 80) < 65536
    )


def choose(registered: Collection[str], presented: str | None, any_port: bool = False) -> RedirectUri:
    """The URI that a request's response goes to: the one it names, or the only one there is.

    :param any_port: as `matches`.
    :raises OAuthError: `invalid_request`, to be shown to the person, never redirected (RFC 6749 section 4.1.2.1).
    """
    if presented is None:
        if len(registered) != 1:  # RFC 6749 section 3.1.2.3
            raise INVALID_REQUEST("redirect_uri is missing, and the client has not registered exactly one")
        return RedirectUri(next(iter(registered)))
    if not any(matches(uri, presented, any_port) for uri in registered):
        raise INVALID_REQUEST("redirect_uri is not registered for this client")
    return RedirectUri(presented)


def _authority(rest: str) -> str:
    """The authority of a web URI, from what follows its scheme."""
    return re.split("[/?]", rest.removeprefix("//"), maxsplit=1)[0]


def _validate_web(scheme: str, rest: str, plain_http: bool) -> None:
    split = _AUTHORITY.fullmatch(rest)
    if split is None or not split[1]:
        raise _refused("has no host")
    if "@" in split[1]:
        raise _refused("has a user name")
    place = _HOST_PORT.fullmatch(split[1])
    if place is None or int(place[2] or 1) > 65535:
        raise _refused("has a malformed host or port")
    if "[" in split[2] or "]" in split[2]:
        raise _refused("has brackets outside its host")  # RFC 3986 section 3.2.2
    if not _one_reading(place[1]):
        raise _refused("has a host that is no name and no address in its usual form")
    if scheme == "http" and not plain_http and place[1] not in _LOOPBACK:
        raise _refused("must be https; http is for 127.0.0.1, [::1] and localhost")


def _one_reading(host: str) -> bool:
    """Do a browser and a person read the same host? Browsers take 2130706433, 0x7f.1 and 127.1 for 127.0.0.1."""
    try:
        if host.startswith("["):
            return f"[{ipaddress.IPv6Address(host[1:-1])}]" == host
        labels = host.removesuffix(".").split(".")
        if _NUMBER.fullmatch(labels[-1]):
            return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False
    return all(labels)


def _validate_private(scheme: str, rest: str, schemes: Collection[str]) -> None:
    if "." not in scheme and scheme not in schemes:
        raise _refused("has a private-use scheme without a dot")  # RFC 8252 section 8.4
    if not rest.startswith("/"):
        raise _refused("has nothing after its scheme that starts with a slash")
    split = _AUTHORITY.fullmatch(rest)
    if split is not None and "@" in split[1]:
        raise _refused("has a user name")
    if "[" in rest or "]" in rest:
        raise _refused("has brackets outside its host")


def _refused(why: str) -> OAuthError:
    return INVALID_REDIRECT_URI(f"a redirect URI {why}")
