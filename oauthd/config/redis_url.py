"""Where the store is: `redis://`, `rediss://` and `unix://` URLs read into a `RedisAddress`.

    redis://[user[:password]@]host[:port][/db][?db=N]
    rediss://...[?ca_file=/path/of/authorities.pem]
    unix://[user:password@]/path/of/socket[?db=N]

User, password and path are percent-encoded. Refuses unknown query parameters, a user without a password, a database
named twice, and anything that could be read in two ways. No reason given here ever quotes the URL, which may hold a
password. Connecting is left to the stores.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import attrs

_PARAMETERS = {"redis": ("db",), "rediss": ("db", "ca_file"), "unix": ("db",)}
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
_MOST_DATABASES = 65535


@attrs.frozen
class RedisAddress:
    """One Redis-compatible server. Either `host` and `port` or `path` (a unix socket) is set.

    `ca_file` is the path of the authorities (PEM) that its certificate is checked against; None means the system's.
    """

    host: str | None = None
    port: int | None = None
    path: str | None = None
    tls: bool = False
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    db: int = 0
    ca_file: str | None = None

    @property
    def location(self) -> str:
        """The address without credentials, for people to read."""
        if self.path is not None:
            return f"unix://{self.path}?db={self.db}"
        host = f"[{self.host}]" if ":" in (self.host or "") else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.db}"


def redis_address(url: str) -> RedisAddress:
    """Read the URL of a store. Raises ValueError with a reason that does not quote it."""
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        # urlsplit would drop tabs and line ends silently, and with them part of a password.
        raise ValueError("must be a URL of visible ASCII characters; percent-encode all others")
    parts, port = _split(url)
    if parts.scheme not in _PARAMETERS:
        raise ValueError("must begin with redis://, rediss:// or unix://")
    if parts.fragment or url.endswith("#"):
        raise ValueError("must not have a fragment; write # in a password as %23")
    user, password = _credentials(parts)
    query = _query(parts)
    if parts.scheme == "unix":
        path = unquote(parts.path)
        if parts.hostname or port is not None or len(path) < 2:
            raise ValueError("must name an absolute path: unix:///path/of/socket")
        return RedisAddress(path=path, user=user, password=password, db=_database("", query))
    if not _HOST.fullmatch(parts.hostname or ""):
        raise ValueError("must name a host")
    return RedisAddress(
        host=parts.hostname,
        port=6379 if port is None else port,
        tls=parts.scheme == "rediss",
        user=user,
        password=password,
        db=_database(parts.path, query),
        ca_file=query.get("ca_file"),
    )


def _split(url: str) -> tuple[SplitResult, int | None]:
    """The parts of the URL and its port. Errors of urlsplit quote what may be a password and are replaced."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(
            "must have a well-formed host and port; percent-encode the characters / ? # @ : in user and password"
        ) from None
    if port == 0:
        raise ValueError("must have a port from 1 to 65535")
    return parts, port


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    if "@" in (parts.password or "") or "@" in (parts.username or ""):
        raise ValueError("must have one @ between credentials and host; write @ in a password as %40")
    try:
        user = unquote(parts.username or "", errors="strict") or None
        password = unquote(parts.password or "", errors="strict") or None
    except UnicodeDecodeError:
        raise ValueError("must have user and password in UTF-8, percent-encoded") from None
    if user is not None and password is None:
        raise ValueError(
            "must have a password after the user name, or write :password alone for a server without users"
        )
    return user, password


def _query(parts: SplitResult) -> dict[str, str]:
    known = _PARAMETERS[parts.scheme]
    found: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True, max_num_fields=10):
        if name not in known:
            raise ValueError(f"must have no query parameter other than {' and '.join(known)} with {parts.scheme}://")
        if name in found or not value:
            raise ValueError(f"must give {name} once and with a value")
        found[name] = value
    return found


def _database(path: str, query: dict[str, str]) -> int:
    in_path = path.removeprefix("/")
    if in_path and "db" in query:
        raise ValueError("must name the database once, in the path or as db")
    number = in_path or query.get("db", "0")
    if not re.fullmatch(r"[0-9]{1,5}", number) or int(number) > _MOST_DATABASES:
        raise ValueError(f"must name the database by a number from 0 to {_MOST_DATABASES}")
    return int(number)
