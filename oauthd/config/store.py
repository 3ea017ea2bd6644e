"""Settings of what is stored, and of what is kept of it in memory.

Times are in seconds unless a unit says otherwise.
"""

from __future__ import annotations

from typing import Literal

import attrs

from oauthd.config import checks
from oauthd.config.setting import setting


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
