"""Checks of single settings: each raises ValueError with a reason, and those of secrets never quote the value."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Iterable

from oauthd.config.issuer import well_formed
from oauthd.config.listeners import listener
from oauthd.config.redis_url import redis_address
from oauthd.config.values import Network
from oauthd.events import EVENTS
from oauthd.protocol.authorization_details import DetailsTypes
from oauthd.protocol.client_metadata import CLIENT_ID
from oauthd.protocol.token_policy import declared_claims, declared_resources

MASTER_KEY_BYTES = 32
_MEANT = frozenset(
    (
        "authorization", "connection", "content-encoding", "content-length", "content-type", "cookie", "dpop", "expect",
        "forwarded", "host", "origin", "transfer-encoding", "x-forwarded-for", "x-forwarded-proto",
    )
)  # fmt: skip
_VISIBLE = re.compile(r"[\x20-\x7e]+")


def _all_different(values: Iterable[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise ValueError("must not name the same one twice")
        seen.add(value)


def different(value: tuple[str, ...]) -> None:
    """None twice."""
    _all_different(value)


def listeners(value: tuple[str, ...]) -> None:
    """At least one listener, each well formed and none twice."""
    if not value:
        raise ValueError("must name at least one listener")
    listeners_if_any(value)


def listeners_if_any(value: tuple[str, ...]) -> None:
    """Listeners, well formed and none twice; there may be none."""
    for text in value:
        listener(text)
    _all_different(value)


def details_types(value: tuple[str, ...]) -> None:
    """Declarations of types of authorization details, none twice."""
    DetailsTypes.of(value)


def claims(value: tuple[str, ...]) -> None:
    """Declarations of claims, none twice."""
    declared_claims(value)


def resources(value: tuple[str, ...]) -> None:
    """Declarations of what holds of tokens for resources, none twice."""
    declared_resources(value)


def tls_listeners(value: tuple[str, ...]) -> None:
    """Listeners at which TLS ends here; there may be none."""
    listeners_if_any(value)
    for text in value:
        if listener(text).kind != "ssl":
            raise ValueError(f"must be ssl: listeners, unlike {text!r}")


def tls_base(value: str) -> None:
    """An https URL of scheme, host and perhaps a port."""
    well_formed(value)
    if not value.startswith("https:"):
        raise ValueError("must begin with https://")


def header(value: str) -> None:
    """The name of a header field that means nothing else here."""
    # RFC 9110 section 5.6.2; an underscore is a hyphen to some servers
    if not re.fullmatch(r"[A-Za-z0-9-]+", value) or value.lower() in _MEANT:
        raise ValueError("must be the name of a header of letters, digits and hyphens that has no other meaning")


def events(value: tuple[str, ...]) -> None:
    """Names of events, none twice."""
    for name in value:
        if name not in EVENTS:
            nearest = difflib.get_close_matches(name, EVENTS, n=1)
            raise ValueError(f"there is no event {name!r}" + (f"; did you mean {nearest[0]}?" if nearest else ""))
    _all_different(value)


def issuer(value: str) -> None:
    """The spelling of the issuer; whether this server may have it is a rule over several settings."""
    well_formed(value)


def folder(value: str) -> None:
    """A path that the system can look up."""
    if "\0" in value:
        raise ValueError("must not contain the character NUL")


def workers(value: int | str) -> None:
    """A number of processes that one machine can have."""
    if isinstance(value, int) and not 1 <= value <= 256:
        raise ValueError(f"must be from 1 to 256, is {value}")


def proxies(value: tuple[Network, ...]) -> None:
    """Networks that can be trusted: not the whole address space, from which every client could name its own address."""
    for network in value:
        if network.prefixlen == 0:
            raise ValueError(f"must not trust every address, as {network} does")
    _all_different(value)


def hosts(value: tuple[str, ...]) -> None:
    """Host names or IPv4 addresses, as they stand in a URL, without a port."""
    for name in value:
        try:
            good = ":" not in name and well_formed(f"https://{name}") == name
        except ValueError:
            good = False
        if not good:
            raise ValueError(f"must be host names or IPv4 addresses in lower case, without a port, unlike {name!r}")
    _all_different(value)


def ports(value: tuple[int, ...]) -> None:
    """Ports, none twice."""
    if not all(0 < port < 65536 for port in value):
        raise ValueError("must be from 1 to 65535")
    _all_different(value)


def redis(value: str) -> None:
    """A store's URL."""
    redis_address(value)


def master_key(text: str) -> bytes:
    """The 32 bytes of one master key in base64url, with or without padding. Raises ValueError otherwise."""
    body = text.rstrip("=")
    try:
        if len(text) not in (len(body), 44):
            raise ValueError
        key = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        key = b""
    # The second spelling of the last character's slack bits is refused: it is a typing error more often than a key.
    if len(key) != MASTER_KEY_BYTES or base64.urlsafe_b64encode(key).decode().rstrip("=") != body:
        raise ValueError(f"must be {MASTER_KEY_BYTES} bytes each, in base64url")
    return key


def master_keys(value: tuple[str, ...]) -> None:
    """Well-formed master keys, none twice."""
    _all_different([master_key(text) for text in value])


def username(value: str) -> None:
    """A name without blanks at its ends and without control characters."""
    if value != value.strip() or not value.isprintable() or len(value) > 255:
        raise ValueError("must be 1 to 255 printable characters without blanks at its ends")


def client_id(value: str) -> None:
    """As the admin API takes it, so that it can stand in a path and survives every way of sending it."""
    if not re.fullmatch(CLIENT_ID, value):
        raise ValueError("must be 1 to 128 letters, digits and . _ ~ -, a letter or digit first")


def client_secret(value: str) -> None:
    """Visible ASCII and long enough: the store keeps a fast hash of it, which holds only what cannot be guessed."""
    # RFC 6749 appendix A.2, RFC 6819 section 5.1.4.2.2
    if not _VISIBLE.fullmatch(value) or not 32 <= len(value) <= 1024:
        raise ValueError("must be 32 to 1024 visible ASCII characters, made at random")
