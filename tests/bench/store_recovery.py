"""How soon the store says that it is away, and how soon it works again by itself.

    python -m tests.bench.store_recovery

Prints, for a server with and without a password: the time of a call to a server that has just been killed or stopped,
and the time from its return to the first call that succeeds.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor, task
from twisted.internet.task import deferLater

from oauthd.stores.connection import RedisConnection
from oauthd.stores.interface import StoreUnavailable
from tests.stores.servers import OwnValkey

LOADING = ("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")


async def failing(connection: RedisConnection, title: str) -> None:
    """Print how long a call takes to fail, at once and after a while."""
    for when in ("at once", "later"):
        begun = time.monotonic()
        try:
            await connection.call(("GET", "k"))
            print(f"{title}: a call {when} succeeded")
        except StoreUnavailable:
            print(f"{title}: a call {when} fails after {time.monotonic() - begun:.2f} s")
        await deferLater(reactor, 3.0)


async def returning(connection: RedisConnection, title: str, well: Callable[[], bool]) -> None:
    """Print how long after the server is well the first call succeeds."""
    while not well():
        await deferLater(reactor, 0.01)
    begun = time.monotonic()
    while True:
        try:
            await connection.call(("GET", "k"))
            break
        except StoreUnavailable:
            await deferLater(reactor, 0.01)
    print(f"{title}: works again after {time.monotonic() - begun:.2f} s")


async def main(_: Any) -> None:
    """Measure and print."""
    for password in ("", "s3cr3t"):
        server = OwnValkey(password)
        server.start()
        connection = RedisConnection(reactor, path=server.path, password=password or None, db=1, reply_timeout=1.0)
        connection.start()
        await connection.ready(10)
        kind = "with password" if password else "without password"
        await connection.call(*(("SET", f"k{n}", "v" * 100) for n in range(2000)))
        server.say("SAVE")
        server.kill()
        await failing(connection, f"killed, {kind}")
        server.start()
        await returning(connection, f"started, {kind}", lambda: True)
        server.signal(signal.SIGSTOP)
        await failing(connection, f"SIGSTOP, {kind}")
        server.signal(signal.SIGCONT)
        await returning(connection, f"SIGCONT, {kind}", lambda: True)
        server.kill()
        server.start(*LOADING)
        await failing(connection, f"loading, {kind}")
        await returning(connection, f"loaded, {kind}", lambda server=server: b"loading:0" in _info(server))  # type: ignore[misc]
        server.close()
        await connection.stop()


def _info(server: OwnValkey) -> bytes:
    reply = server.say("INFO", "persistence")
    return reply if isinstance(reply, bytes) else b""


if __name__ == "__main__":
    task.react(main, [])
