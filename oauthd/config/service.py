"""Settings of the service itself: its keys, what it fetches, its first administrator, its metrics, its log.

Times are in seconds unless a unit says otherwise.
"""

from __future__ import annotations

from typing import Literal

import attrs

from oauthd.config import checks
from oauthd.config.algorithms import Decryption, Signature, decryptions, signatures
from oauthd.config.setting import DAY, YEAR, setting


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
        "front, and the old one leaves once `oauthd keys reseal` tells of nothing that hangs on it (etc/docs/keys.md). "
        "When not set: master.key in the data folder.",
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
        1000,
        help="How many documents each process keeps: a half of them for clients that registered themselves.",
        unit="documents",
        between=(1, 1_000_000),
    )
    bytes: int = setting(
        16 * 1024 * 1024,
        help="How much memory they may take, likewise.",
        unit="bytes",
        between=(1024 * 1024, 1024**4),
    )
    at_once: int = setting(
        32,
        help="How many are fetched at the same time by each process; for clients that registered themselves no more "
        "than a half of that.",
        unit="documents",
        between=(1, 1024),
    )
    per_host: int = setting(
        4,
        help="How many of these from one host; for clients that registered themselves, from all hosts of one domain.",
        unit="documents",
        between=(1, 1024),
    )


@attrs.frozen
class OutboxSettings:
    """Messages to clients (that somebody has signed out), which the server sends to addresses that they registered.

    They go the way that section fetch describes, and take no longer than its timeout.
    """

    attempts: int = setting(
        8,
        help="How often a message is sent that is not received. What its receiver refuses is not sent again.",
        unit="attempts",
        spec="OpenID Connect Back-Channel Logout section 2.5",
        between=(1, 100),
    )
    first_wait: float = setting(
        5.0,
        help="How long after the first failure a message is sent again. Each wait is four times as long as the one "
        "before, and cut by chance by up to a half.",
        unit="seconds",
        between=(0.1, 3600),
    )
    longest_wait: float = setting(3600.0, help="The longest of these waits.", unit="seconds", between=(1, 1 * DAY))
    lifetime: int = setting(
        1 * DAY, help="How long after it came up a message is given up in any case.", unit="seconds",
        between=(10, 30 * DAY),
    )  # fmt: skip
    keep_dead: int = setting(
        7 * DAY,
        help="How long messages are kept that were given up, for whoever looks at them or has them sent again.",
        unit="seconds",
        between=(1, 1 * YEAR),
    )
    at_once: int = setting(
        16, help="How many messages each process sends at the same time.", unit="messages", between=(1, 1024)
    )
    poll: float = setting(
        1.0,
        help="How often each process looks for messages that others left, and for those that are to be sent again.",
        unit="seconds",
        between=(0.1, 60),
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
