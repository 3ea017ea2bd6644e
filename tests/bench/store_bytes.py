"""What a live token costs in the store, and how long a listing takes.

    python -m tests.bench.store_bytes [tokens to measure] [tokens in the large index]

Prints the server's memory for one live access token: its record and its index entries, its grant apart. Then the time
of pages of a list of a million tokens.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace
from twisted.internet import reactor, task

from oauthd.protocol.records import AccessToken, Generations
from oauthd.stores import kinds
from oauthd.stores.cache import Cache
from oauthd.stores.connection import RedisConnection
from oauthd.stores.interface import Write
from oauthd.stores.redis import RedisStore
from oauthd.stores.tokens import Tokens
from tests.valkey import fresh_database

BATCH = 500
NOW = int(time.time())
IDENTIFIER = "V1StGXR8Z5jdHi6BmyTuaq"  # 128 bits
MACHINE = AccessToken(
    client_id=IDENTIFIER, scope=("read", "write"), issued_at=NOW, expires_at=NOW + 1800, jti=IDENTIFIER,
    generations=Generations(1, 1),
)  # fmt: skip
PERSON = replace(
    MACHINE, scope=("openid", "profile", "email"), generations=Generations(1, 1, 1), user_id=IDENTIFIER,
    username="alice@example.org", grant=IDENTIFIER, auth_time=NOW,
)  # fmt: skip


def machines(count: int) -> Iterator[Write[Any]]:
    """Tokens of one client."""
    for n in range(count):
        record = replace(MACHINE, jti=f"{n:022}", expires_at=NOW + 1800 + n // 100)
        yield Write(kinds.access_token(f"machine {n}"), record)


def people(count: int, each: int) -> Iterator[Write[Any]]:
    """Tokens of one client and many users, `each` for a user."""
    for n in range(count):
        record = replace(PERSON, jti=f"{n:022}", user_id=f"{n // each:022}", grant=f"{n:022}")
        yield Write(kinds.access_token(f"person {n}"), replace(record, expires_at=NOW + 1800 + n // 100))


async def fill(store: RedisStore, writes: Iterator[Write[Any]]) -> float:
    """Put them all; the CPU seconds of this process."""
    begun = time.process_time()
    batch = []
    for write in writes:
        batch.append(write)
        if len(batch) == BATCH:
            await store.put(*batch)
            batch = []
    await store.put(*batch)
    return time.process_time() - begun


async def memory(connection: RedisConnection) -> int:
    """The server's memory in use."""
    (info,) = await connection.call(("INFO", "memory"))
    return int(dict(line.split(b":", 1) for line in info.split(b"\r\n") if b":" in line)[b"used_memory"])


async def measure(
    connection: RedisConnection, store: RedisStore, title: str, count: int, writes: Iterator[Write[Any]]
) -> None:
    """Print the bytes of each of `count` writes."""
    fresh_database()
    before = await memory(connection)
    spent = await fill(store, writes)
    after = await memory(connection)
    print(f"{title:58} {(after - before) / count:6.0f} bytes a token   {spent / count * 1e6:5.0f} us of CPU to put")


async def listing(store: RedisStore, count: int) -> None:
    """Print how long pages of a long list take, as the admin API asks for them: only what is alive."""
    fresh_database()
    await store.begin("world")
    await store.begin(f"client:{IDENTIFIER}")
    await fill(store, machines(count))
    tokens = Tokens(store, Cache(time.monotonic, time.time), time.time)
    begun = time.perf_counter()
    rows, cursor = await tokens.page(IDENTIFIER, "", "", None, 100)
    took = time.perf_counter() - begun
    print(f"first page of {count} live tokens of a client (goal 100 ms): {took * 1e3:.1f} ms, {len(rows)} tokens")
    slowest = 0.0
    for _ in range(50):
        begun = time.perf_counter()
        rows, cursor = await tokens.page(IDENTIFIER, "", "", cursor, 100)
        slowest = max(slowest, time.perf_counter() - begun)
    print(f"slowest of the next 50 pages: {slowest * 1e3:.1f} ms")


async def main(_: Any, count: str = "100000", large: str = "1000000") -> None:
    """Measure and print."""
    connection = RedisConnection(reactor, path=fresh_database(), reply_timeout=60.0)
    connection.start()
    await connection.ready(10)
    store = RedisStore(connection, time.time)
    number = int(count)
    await measure(connection, store, "client_credentials, one list (goal 450)", number, machines(number))
    await measure(connection, store, "a user's, two lists, ten tokens a user (goal 600)", number, people(number, 10))
    await measure(connection, store, "a user's, two lists, one token a user", number, people(number, 1))
    await listing(store, int(large))
    await connection.stop()


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
