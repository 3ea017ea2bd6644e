"""Settings of the service itself: where it listens and stores, its keys, its first administrator, its log.

Times are in seconds unless a unit says otherwise.
"""

from __future__ import annotations

from typing import Literal

import attrs

from oauthd.config import checks
from oauthd.config.algorithms import Decryption, Signature, decryptions, signatures
from oauthd.config.setting import DAY, YEAR, setting
from oauthd.config.values import Network


@attrs.frozen
class ServerSettings:
    """Where the server listens, how it is called, and how long it waits for whom."""

    listen: tuple[str, ...] = setting(
        ("tcp:8000:interface=127.0.0.1",),
        help="Where to listen, as Twisted endpoint strings: tcp:, ssl:, unix: or systemd:.",
        flag="listen",
        check=checks.listeners,
    )
    issuer: str | None = setting(
        None,
        help="The issuer identifier: scheme and host, with a port where it is not the scheme's own, without a path and "
        "without a slash at the end. When not set it follows the first loopback listener (http://localhost:8000); a "
        "server without one must have it set. https is required unless the host is loopback.",
        spec="RFC 8414 section 2",
        flag="issuer",
        check=checks.issuer,
    )
    insecure_issuer: bool = setting(
        False,
        help="Accept an http issuer whose host is not loopback. All that is sent can then be read and changed on the "
        "way.",
        flag="insecure-issuer",
    )
    profile: Literal["", "fapi2"] = setting(
        "",
        help='"fapi2": hold every client to the FAPI 2.0 Security Profile: pushed requests, PKCE, authentication by '
        "keys, tokens bound to their sender, none by password. A single client can be held to it, too, or be left out "
        "by its own profile, plain, as the first administrator's client is. `oauthd check` tells how a configuration "
        "stands.",
        spec="FAPI 2.0 Security Profile",
    )
    data: str | None = setting(
        None,
        help="The folder for the master key, the administrator's credentials and the embedded store. When not set: "
        "STATE_DIRECTORY as the service manager gives it, else oauthd in the user's data folder.",
        flag="data",
        check=checks.folder,
    )
    workers: int | Literal["auto"] = setting(
        1,
        help="How many processes serve; auto: one for each core that the server may use.",
        flag="workers",
        check=checks.workers,
    )
    trusted_proxies: tuple[Network, ...] = setting(
        (),
        help="Addresses or networks of the proxies whose forwarded headers count. From anybody else they are ignored.",
        check=checks.proxies,
    )
    trust_unix: bool = setting(
        False,
        help="Take whoever connects through a unix socket for such a proxy, too. The socket's mode says who can.",
    )
    header_timeout: float = setting(
        10.0,
        help="How long a client may take from the first byte of a request to the end of its headers.",
        unit="seconds",
        between=(0.1, 300),
    )
    body_timeout: float = setting(
        20.0, help="How long a client may take to send the body.", unit="seconds", between=(0.1, 300)
    )
    answer_timeout: float = setting(
        10.0, help="How long an answer may take before it is 503.", unit="seconds", between=(0.1, 300)
    )
    idle_timeout: float = setting(
        60.0, help="How long a connection may stay open between requests.", unit="seconds", between=(0.1, 3600)
    )
    drain_timeout: float = setting(
        10.0,
        help="How long requests in flight may take to finish when the server is told to stop.",
        unit="seconds",
        between=(0, 300),
    )
    drain_grace: float = setting(
        1.0,
        help="How long connections that are idle when the server is told to stop stay open, within the time that "
        "requests in flight have: a request that was on its way is still answered.",
        unit="seconds",
        between=(0, 60),
    )
    drain_delay: float = setting(
        0.0,
        help="How long the server goes on as if nothing were when it is told to stop, but for its readiness, which is "
        "503 at once: so that whoever sends requests here can send them elsewhere first.",
        unit="seconds",
        between=(0, 300),
    )
    body_limit: int = setting(
        65536,
        help="The largest request body that is read; a larger one is 413.",
        unit="bytes",
        between=(1024, 16777216),
    )
    max_connections: int = setting(
        1000,
        help="How many connections a worker may have open at once. Keep it below the process's limit of open files.",
        unit="connections",
        between=(1, 1000000),
    )


@attrs.frozen
class MtlsSettings:
    """Client certificates: clients that prove themselves, or bind their tokens, by mutual TLS.

    Either TLS ends here, at a listener of its own, or at a trusted proxy, which writes the certificate into a header.
    """

    listen: tuple[str, ...] = setting(
        (),
        help="Where to listen for clients with certificates, as Twisted endpoint strings, ssl: alone. A certificate is "
        "asked for there and need not be shown; one that the client has made itself will do.",
        spec="RFC 8705 section 5",
        check=checks.tls_listeners,
    )
    base: str | None = setting(
        None,
        help="Scheme and host, with a port where it is not 443, under which clients reach these listeners, or the "
        "proxy that asks for certificates. The metadata name the endpoints there, too (mtls_endpoint_aliases). Not "
        "needed where certificates are asked for under the issuer itself.",
        spec="RFC 8705 section 5",
        check=checks.tls_base,
    )
    ca_file: str | None = setting(
        None,
        help="The path of the authorities (PEM) whose certificates clients of tls_client_auth may have: only those "
        "that issue to nobody else under such names. Without it certificates prove keys and not names.",
        spec="RFC 8705 section 7.4",
        check=checks.folder,
    )
    proxy_header: str | None = setting(
        None,
        help="The header in which trusted proxies write the client's certificate, such as Client-Cert or "
        "X-Ssl-Client-Cert. From anybody else it is ignored. The proxy must remove it from what clients send.",
        spec="RFC 9440 section 2.2",
        check=checks.header,
    )
    proxy_form: Literal["rfc9440", "pem", "base64"] = setting(
        "rfc9440",
        help="How they write it: as RFC 9440 says; as PEM, percent-encoded or with blanks for its line ends (nginx's "
        "$ssl_client_escaped_cert); or as the base64 of the DER.",
        spec="RFC 9440 section 2.1",
    )
    proxy_vouches: bool = setting(
        False,
        help="The proxy passes on only certificates of authorities that clients of tls_client_auth may have. Otherwise "
        "they are checked here against mtls.ca_file, which then holds the intermediate authorities as well.",
        spec="RFC 9440 section 2.4",
    )


@attrs.frozen
class StoreSettings:
    """The Redis-compatible server that holds everything. With none, an embedded Valkey runs in the data folder."""

    redis: str | None = setting(
        None,
        help="redis://[user:password@]host[:port][/db], rediss://... for TLS (?ca_file=/path for own authorities), "
        "unix:///path/of/socket[?db=N], or redis+sentinel://[user:password@]host[:port],host[:port]/SERVICE[/db] for "
        "the primary that these sentinels name (rediss+sentinel:// for TLS, ?sentinel_password= for their own). When "
        "not set, an embedded Valkey is used. On a command line others on this machine can read a password.",
        secret=True,
        flag="redis",
        check=checks.redis,
    )
    connections: int = setting(8, help="How many connections to keep open.", unit="connections", between=(1, 256))
    reply_timeout: float = setting(
        1.0,
        help="How long a reply, or a connection, may take before the request that waits for it is 503.",
        unit="seconds",
        between=(0.05, 10),
    )
    accept: tuple[Literal["eviction", "persistence", "version"], ...] = setting(
        (),
        help="Dangers of the store that are accepted, and said in the log at each start, where the server would refuse "
        "to start: eviction (its maxmemory-policy may drop records), persistence (it keeps no append-only file), "
        "version (it is older than what the server is tested with).",
    )
    revocation_wait: int = setting(
        0,
        help="How many replicas must confirm a revocation before it is answered; 503 when they do not. With 0 a "
        "failover can undo a revocation that was answered, if the process that answered it is gone as well.",
        unit="replicas",
        between=(0, 16),
    )
    revocation_wait_timeout: float = setting(
        0.5,
        help="How long replicas, or the disk, may take to confirm a revocation.",
        unit="seconds",
        between=(0.01, 4),
    )
    revocation_fsync: bool = setting(
        False,
        help="Answer a revocation only when it is on the store's disk (WAITAOF; Valkey, or Redis 7.2 and later). With "
        "appendfsync everysec that can take up to a second, which store.revocation_wait_timeout should allow.",
    )


@attrs.frozen
class CacheSettings:
    """What is kept in memory of the store, and for how long it counts."""

    max_staleness: float = setting(
        2.0,
        help="How old what is answered from memory can be in the worst case. A change is usually heard within "
        "milliseconds; several times in this span every process proves that it has heard of all of them, and asks the "
        "store when it cannot.",
        unit="seconds",
        between=(0.2, 60),
    )
    entries: int = setting(
        200_000,
        help="How many answers and records to keep in each process.",
        unit="entries",
        between=(100, 100_000_000),
    )
    bytes: int = setting(
        256 * 1024 * 1024,
        help="How much memory they may take in each process.",
        unit="bytes",
        between=(1024 * 1024, 1024**4),
    )
    longest: float = setting(
        600.0, help="How long anything is kept without being read again.", unit="seconds", between=(1, 86400)
    )
    lane: bool = setting(
        True,
        help="Answer repeated requests by the fast lane: what is known of a header block and a token is sent without "
        "parsing the request again. The answers are the same.",
    )


@attrs.frozen
class KeySettings:
    """Signing keys, keys that clients encrypt to, and the master key that seals them in the store."""

    algorithms: tuple[Signature, ...] = setting(
        ("RS256", "ES256", "EdDSA", "PS256"),
        help="The algorithms that have signing keys, and that a client may choose for its id_tokens among. OpenID "
        "Connect Discovery demands RS256; the FAPI 2.0 Security Profile allows PS256, ES256 and EdDSA. A key of an "
        "algorithm that is named no more stays published until `oauthd keys drop`.",
        spec="RFC 7518 section 3.1",
        check=signatures,
    )
    encryption: tuple[Decryption, ...] = setting(
        ("RSA-OAEP-256", "ECDH-ES"),
        help="The kinds of keys that clients may encrypt request objects to. ECDH-ES also serves ECDH-ES+A128KW and "
        "ECDH-ES+A256KW.",
        spec="RFC 7518 section 4.1",
        check=decryptions,
    )
    master_keys: tuple[str, ...] = setting(
        (),
        help="Master keys, each 32 bytes in base64url (43 characters). The first seals, all open, so a new one goes in "
        "front, and the old one leaves after `oauthd keys reseal`, once client secrets that are older have been "
        "rotated (docs/keys.md). When not set: master.key in the data folder.",
        secret=True,
        check=checks.master_keys,
    )
    rotation_period: int = setting(
        90 * DAY,
        help="How long a key signs before the next one takes over. With 0 keys change only by command.",
        unit="seconds",
        between=(0, 10 * YEAR),
    )
    announce: int = setting(
        1 * DAY,
        help="How long a new key stands in the published key set before it signs, so that caches have seen it.",
        unit="seconds",
        between=(0, 1 * YEAR),
    )
    retire_after: int = setting(
        0,
        help="How long a key that no longer signs stays in the published key set. It is never shorter than the longest "
        "token it signed can live, whatever is set here.",
        unit="seconds",
        between=(0, 10 * YEAR),
    )


@attrs.frozen
class FetchSettings:
    """Documents that clients name by a URL (key sets, request objects, sector identifiers), which the server fetches.

    Only https, only public addresses, no redirects.
    """

    open_hosts: tuple[str, ...] = setting(
        (),
        help="Names of hosts that may have any address and any port, such as those of an inner network. Every client "
        "that may register a URL can then make the server call them.",
        check=checks.hosts,
    )
    ca_file: str | None = setting(
        None,
        help="The path of the authorities (PEM) that certificates of fetch.open_hosts are checked against, in the "
        "place of the system's.",
        check=checks.folder,
    )
    ports: tuple[int, ...] = setting((443, 8443), help="The ports of other hosts that are called.", check=checks.ports)
    timeout: float = setting(
        2.0, help="How long a document may take, from the look-up of its host to its end.", unit="seconds",
        between=(0.1, 30),
    )  # fmt: skip
    limit: int = setting(65536, help="The largest document that is read.", unit="bytes", between=(1024, 1048576))
    shortest: float = setting(
        60.0,
        help="How long a document is used without being fetched again, at least, and when its host says nothing.",
        unit="seconds",
        between=(1, 86400),
    )
    longest: float = setting(
        3600.0,
        help="The same at most, whatever its host says.",
        unit="seconds",
        between=(1, 86400),
    )
    failure: float = setting(
        10.0, help="How long a URL is left alone after a failure.", unit="seconds", between=(0.1, 3600)
    )
    entries: int = setting(
        1000, help="How many documents each process keeps.", unit="documents", between=(1, 1_000_000)
    )
    bytes: int = setting(
        16 * 1024 * 1024, help="How much memory they may take.", unit="bytes", between=(1024 * 1024, 1024**4)
    )
    at_once: int = setting(
        32, help="How many are fetched at the same time by each process.", unit="documents", between=(1, 1024)
    )
    per_host: int = setting(
        4, help="How many of these from one host.", unit="documents", between=(1, 1024)
    )


@attrs.frozen
class AdministratorSettings:
    """The first administrator, made once on an empty store.

    Set all four, or none: then random ones are made and written to admin-credentials.json in the data folder.
    """

    username: str | None = setting(None, help="The administrator's user name.", check=checks.username)
    password: str | None = setting(None, help="The administrator's password.", secret=True)
    client_id: str | None = setting(
        None, help="The id of the admin client for scripts.", spec="RFC 6749 appendix A.1", check=checks.client_id
    )
    client_secret: str | None = setting(
        None,
        help="The secret of the admin client: random, at least 32 characters.",
        secret=True,
        spec="RFC 6749 appendix A.2",
        check=checks.client_secret,
    )


@attrs.frozen
class MetricsSettings:
    """Where the server tells how it fares, at /metrics, in the text format of Prometheus."""

    listen: tuple[str, ...] = setting(
        (),
        help="Where to listen for those who collect metrics, as Twisted endpoint strings; nowhere when empty. Whoever "
        "reaches it learns how much traffic there is and of what kind: keep it to this machine "
        "(tcp:9464:interface=127.0.0.1) or to a network of your own.",
        check=checks.listeners_if_any,
    )


@attrs.frozen
class LogSettings:
    """What is written to the log, and how."""

    level: Literal["debug", "info", "warn", "error", "critical"] = setting(
        "info", help="The least important events that are written.", flag="log-level"
    )
    json: bool = setting(False, help="Write each event as one line of JSON.", flag="log-json")
    access: Literal["ordinary", "all", "off"] = setting(
        "ordinary",
        help="Which requests are written, a line each: those that took the ordinary path, all, or none. Introspection "
        "answered from memory is not ordinary, and a line costs more than such an answer. Metrics count them all.",
    )
    access_every: int = setting(
        1, help="Write only each so many of these lines.", unit="requests", between=(1, 1000000)
    )
    leave_out: tuple[str, ...] = setting(
        ("token.issued",),
        help="Events that are not written, by the names that they have in the log. Metrics count them all the same.",
        check=checks.events,
    )
