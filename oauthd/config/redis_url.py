"""Where the store is: `redis://`, `rediss://` and `unix://` URLs read into a `RedisAddress`.

    redis://[user[:password]@]host[:port][/db][?db=N]
    rediss://...[?ca_file=/path/of/authorities.pem]
    unix://[user:password@]/path/of/socket[?db=N]
    redis+sentinel://[user[:password]@]host[:port][,host[:port]...]/SERVICE[/db][?sentinel_user=U&sentinel_password=P]
    rediss+sentinel://...[?ca_file=/path/of/authorities.pem]

With sentinels the hosts are theirs, the service is what they call the primary, and user and password are the
primary's; `rediss+sentinel` speaks TLS with all of them.

User, password and path are percent-encoded. Refuses unknown query parameters, a user without a password, a database
named twice, and anything that could be read in two ways. No reason given here ever quotes the URL, which may hold a
password. Connecting is left to the stores.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import attrs

_SENTINEL = ("sentinel_user", "sentinel_password")
_PARAMETERS = {
    "redis": ("db",),
    "rediss": ("db", "ca_file"),
    "unix": ("db",),
    "redis+sentinel": ("db", *_SENTINEL),
    "rediss+sentinel": ("db", "ca_file", *_SENTINEL),
}
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
_SERVICE = re.compile(r"[A-Za-z0-9._-]+")  # what a sentinel accepts as a name
_MOST_DATABASES = 65535
_PORT, _SENTINEL_PORT = 6379, 26379


@attrs.frozen
class RedisAddress:
    """One Redis-compatible server: `host` and `port`, `path` (a unix socket), or `sentinels` and `service` are set.

    `ca_file` is the path of the authorities (PEM) that its certificate is checked against; None means the system's.
    The fields have the names of `oauthd.stores.address.Primary`'s parameters.
    """

    host: str | None = None
    port: int | None = None
    path: str | None = None
    tls: bool = False
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    db: int = 0
    ca_file: str | None = None
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel_user: str | None = None
    sentinel_password: str | None = attrs.field(default=None, repr=False)

    @property
    def location(self) -> str:
        """The address without credentials, for people to read."""
        if self.path is not None:
            return f"unix://{self.path}?db={self.db}"
        scheme = "rediss" if self.tls else "redis"
        if self.sentinels:
            hosts = ",".join(_written(host, port) for host, port in self.sentinels)
            return f"{scheme}+sentinel://{hosts}/{self.service}/{self.db}"
        return f"{scheme}://{_written(self.host or '', self.port or 0)}/{self.db}"


def redis_address(url: str) -> RedisAddress:
    """Read the URL of a store. Raises ValueError with a reason that does not quote it."""
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        # urlsplit would drop tabs and line ends silently, and with them part of a password.
        raise ValueError("must be a URL of visible ASCII characters; percent-encode all others")
    url, hosts = _first_host(url)
    parts, port = _split(url)
    if parts.scheme not in _PARAMETERS:
        raise ValueError("must begin with redis://, rediss://, unix://, redis+sentinel:// or rediss+sentinel://")
    if parts.fragment or url.endswith("#"):
        raise ValueError("must not have a fragment; write # in a password as %23")
    user, password = _credentials(parts)
    query = _query(parts)
    if parts.scheme == "unix":
        path = unquote(parts.path)
        if parts.hostname or port is not None or len(path) < 2:
            raise ValueError("must name an absolute path: unix:///path/of/socket")
        return RedisAddress(path=path, user=user, password=password, db=_database("", query))
    address = RedisAddress(
        tls=parts.scheme.startswith("rediss"), user=user, password=password, ca_file=query.get("ca_file")
    )
    if parts.scheme.endswith("+sentinel"):
        return _by_sentinels(address, parts, hosts, query)
    where = _host_and_port(parts, port, _PORT)
    return attrs.evolve(address, host=where[0], port=where[1], db=_database(parts.path, query))


def _by_sentinels(
    address: RedisAddress, parts: SplitResult, hosts: list[str], query: dict[str, str]
) -> RedisAddress:
    sentinels = tuple(_host_and_port(*_split(f"redis://{host}"), _SENTINEL_PORT) for host in hosts)
    if len(set(sentinels)) < len(sentinels):
        raise ValueError("must name each sentinel once")
    service, _, database = parts.path.removeprefix("/").partition("/")
    if not _SERVICE.fullmatch(service):
        raise ValueError("must name the service after the sentinels: redis+sentinel://host,host/SERVICE")
    user, password = query.get("sentinel_user"), query.get("sentinel_password")
    if user is not None and password is None:
        raise ValueError("must have sentinel_password where it has sentinel_user")
    return attrs.evolve(
        address,
        sentinels=sentinels,
        service=service,
        db=_database(database, query),
        sentinel_user=user,
        sentinel_password=password,
    )


def _first_host(url: str) -> tuple[str, list[str]]:
    """For a URL of sentinels: itself with the first host alone, and all hosts."""
    found = re.match(r"(rediss?\+sentinel://(?:[^/?#]*@)?)([^/?#@]*)", url)
    if found is None:
        return url, []
    hosts = found[2].split(",")
    return f"{found[1]}{hosts[0]}{url[found.end():]}", hosts


def _host_and_port(parts: SplitResult, port: int | None, usual: int) -> tuple[str, int]:
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        raise ValueError("must name a host")
    return host, usual if port is None else port


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
