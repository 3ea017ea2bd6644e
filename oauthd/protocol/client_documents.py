"""Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document): clients whose id is where they stand.

Section numbers are those of revision 01, which was read in full. Revision 02 was compared by extracts of all that it
demands. It has the same rules at other numbers (4.1 is its 4, 4.3 and 4.4 are 5.1 and 5.2, 5 is 6, 6 is 8) and two
more: no private key stands in a document (4.1), and nothing that a document names is fetched from special addresses
(8.6), unless an operator has opened the host and listed it.

Here is which ids there may be (section 3, Client Identifier), which hosts an operator lets in, and what of a document
is asked of registration. How it is fetched and remembered is in `oauthd.endpoints.described_clients`.

Stricter than the draft, so that one client has one spelling and its host says whose it is: no query (many a site echoes
its query, and would describe whom its caller likes), no host in capitals or in numbers, no port that goes without
saying, no path but a real one. Refused in a document: another `client_id` than its own address, and whatever needs a
secret that both sides know (section 4.1).

A document is written once for all servers there are. What only limits or adorns is narrowed to what there is here:
grant types, scopes, redirect URIs, links and pictures. What decides how the client proves itself is not.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from attrs import frozen

from oauthd.protocol import auth_methods
from oauthd.protocol.client_metadata import Row, is_name
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.redirects import validate_registered

LONGEST: Final = 255
SCHEME: Final = "https://"
MARK: Final = "~"
GRANT_TYPES: Final = ("authorization_code", "refresh_token")
"""What such a client may use: a person is asked in a browser, and only then anything is kept of the client."""
PUBLIC: Final = "none"
METHOD: Final = "token_endpoint_auth_method"
METHODS: Final = "token_endpoint_auth_methods_supported"

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST, _PORT = rf"(?:{_LABEL}\.)*{_LABEL}", "[1-9][0-9]{0,4}"
_PATH = r"/(?:[A-Za-z0-9._~!$&'()*+,=:@/-]|%[0-9A-Fa-f]{2})+"
URL: Final = f"https://{_HOST}(?::{_PORT})?{_PATH}"
"""The form of such an id, as a pattern of `schemas`."""
_URL = re.compile(f"https://(?P<host>{_HOST})(?::(?P<port>{_PORT}))?(?P<path>{_PATH})")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATTERN = re.compile(rf"(?:\*\.)?(?:{_LABEL}\.)*{_LABEL}")
_SECRETS: Final = ("client_secret", "client_secret_expires_at")
_ADORNING: Final = (
    "client_uri", "logo_uri", "policy_uri", "tos_uri", "contacts", "software_id", "software_version",
    "initiate_login_uri", "application_type",
)  # fmt: skip
_IGNORED: Final = frozenset({"software_statement", "client_id", "authorization_details_types"})
"""Members that a document does not say: somebody's word for it, which is not there; what it is known by; what only
somebody who knows this server can ask for."""


def is_url(client_id: str) -> bool:
    """Is it meant as the address of a document? No id that is made here is (section 6.8)."""
    return client_id.startswith(SCHEME)


def host_of(client_id: str) -> str:
    """The host of such an address; "" where there is none."""
    found = _URL.fullmatch(client_id)
    return found["host"] if found else ""


def site_of(client_id: str) -> str:
    """The host with its port, where that does not go without saying, as people are shown it; "" where there is none."""
    found = _URL.fullmatch(client_id)
    if found is None:
        return ""
    return f"{found['host']}:{found['port']}" if found["port"] else found["host"]


def as_segment(client_id: str) -> str:
    """A client's id as one segment of our paths; an address, whose slashes would be taken for ours, in base64url."""
    if not is_url(client_id):
        return client_id
    return MARK + urlsafe_b64encode(client_id.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def of_segment(segment: str) -> str:
    """The id that a segment stands for; the segment itself where it is none of `as_segment`."""
    encoded = segment.removeprefix(MARK)
    if encoded == segment:
        return segment
    try:
        client_id = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError:
        return segment
    return client_id if as_segment(client_id) == segment else segment


def flaw(client_id: str) -> str:
    """Why it can be no client's id (section 3); "" where it can."""
    if len(client_id) > LONGEST:
        return f"must have at most {LONGEST} characters"
    found = _URL.fullmatch(client_id)
    if found is None or _NUMBER.fullmatch(found["host"].rpartition(".")[2]):
        return "must be https:// in lower case, a host name, perhaps a port, and a path; no query, fragment or user"
    if int(found["port"] or 0) > 65535 or found["port"] == "443":
        return "must have no port where it is 443, or a port that there is"
    for segment in found["path"].split("/")[1:]:
        plain = unquote(segment, errors="replace")
        if plain in (".", "..") or not plain.isprintable() or {"/", "\\", "\ufffd"} & set(plain):
            return "must have a path without dot segments, and without escapes of what would divide it"
    return ""


@frozen
class Hosts:
    """Which hosts may describe clients: those that fit a pattern. `*.example.com` is every host under example.com.

    :ivar listed: None for all.
    """

    listed: Sequence[str] | None
    denied: Sequence[str] = ()

    def let_in(self, client_id: str) -> bool:
        """May there be a client of that address?"""
        host = host_of(client_id)
        if not host or any(fits(pattern, host) for pattern in self.denied):
            return False
        return self.listed is None or any(fits(pattern, host) for pattern in self.listed)


def fits(pattern: str, host: str) -> bool:
    """Does a pattern name that host?"""
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def is_pattern(text: str) -> bool:
    """Is it the name of a host, or `*.` and the name of a domain?"""
    return _PATTERN.fullmatch(text) is not None


def problems(document: Mapping[str, Any], client_id: str) -> dict[str, str]:
    """What is wrong with a document (section 4.1), by its members."""
    found: dict[str, str] = {}
    if document.get("client_id") != client_id:  # RFC 3986 section 6.2.1: character by character
        found["client_id"] = "is not the address that the document is at"
    for name in _SECRETS:
        if name in document:
            found[name] = "cannot be in what everybody reads"
    method = document.get(METHOD)
    if isinstance(method, str) and method != PUBLIC and _by_secret(method):
        found[METHOD] = "needs a secret that both know, which there is not"
    return found


def _by_secret(method: str) -> bool:
    needs = auth_methods.METHODS.get(method)
    return method.startswith("client_secret_") or (needs is not None and needs.secret)


def registration(
    document: Mapping[str, Any],
    client_id: str,
    table: Sequence[Row],
    grant_types: Collection[str],
    scopes: Collection[str],
    own_redirects: bool,
) -> dict[str, Any]:
    """What a document without problems registers.

    :param grant_types: those that there are for such clients; `scopes`: those that it may ask for.
    :param own_redirects: leave no redirect URI but those at its own host, and on people's devices.
    """
    body = {name: value for name, value in document.items() if name not in _IGNORED}
    if isinstance(body.get(METHODS), list):
        body[METHODS] = [name for name in body[METHODS] if not isinstance(name, str) or not _by_secret(name)]
    else:
        body.setdefault(METHOD, PUBLIC)  # RFC 7591 section 2 has a secret here, which section 4.1 forbids
    for row in table:
        if row.name in _ADORNING and row.name in body and not _reads(row, body[row.name]):
            del body[row.name]
    if not isinstance(body.get("client_name"), str) or not is_name(body["client_name"]):
        body["client_name"] = host_of(client_id)
    for name in ("redirect_uris", "post_logout_redirect_uris"):
        if isinstance(body.get(name), list):
            body[name] = [uri for uri in body[name] if _usable(uri, host_of(client_id) if own_redirects else "")]
    if isinstance(body.get("grant_types"), list):
        body["grant_types"] = [name for name in body["grant_types"] if name in grant_types and name in GRANT_TYPES]
    if isinstance(body.get("response_types"), list):
        body["response_types"] = [name for name in body["response_types"] if name == "code"]
    if isinstance(body.get("scope"), str):
        body["scope"] = " ".join(name for name in body["scope"].split(" ") if name in scopes)
    return body


def _reads(row: Row, value: object) -> bool:
    found: dict[str, str] = {}
    row.schema.read(value, row.name, found)
    return not found


def _usable(uri: object, host: str) -> bool:
    if not isinstance(uri, str):
        return True  # for registration to refuse
    try:
        redirect = validate_registered(uri)
    except OAuthError:
        return False
    return not host or redirect.native or urlsplit(uri).hostname == host
