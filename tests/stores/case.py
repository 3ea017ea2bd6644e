"""What the tests of the store start from: a real, empty Valkey, a clock that stands, and records of every kind."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from oauthd.protocol import records
from oauthd.stores import kinds
from oauthd.stores.connection import RedisConnection
from oauthd.stores.interface import Kind, Ref, Write
from oauthd.stores.redis import RedisStore
from tests.valkey import fresh_database

NOW = 1_800_000_000  # where the clock stands; the server's own is somewhere else
PATIENCE = 20.0  # seconds for a connection, on a machine that has other things to do
ISSUED = records.Generations(1, 1)


class StoreCase(TestCase):
    """Tests against the server that all tests of this process share, emptied for each."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Connect to an empty database."""
        self.socket = fresh_database()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.connection = await self.connect(path=self.socket)
        self.store = RedisStore(self.connection, self.clock.seconds)

    async def connect(self, **settings: Any) -> RedisConnection:
        """A connection that is up, and closed after the test."""
        connection = RedisConnection(reactor, reply_timeout=PATIENCE, **settings)
        connection.start()
        self.addCleanup(stopped, connection)
        await connection.ready(PATIENCE)
        return connection

    async def command(self, *words: Any) -> Any:
        """One command to the server, past the store."""
        (reply,) = await self.connection.call(words)
        return reply

    async def keys(self) -> list[bytes]:
        """Every key there is."""
        found: list[bytes] = await self.command("KEYS", "*")
        return found


def stopped(connection: RedisConnection) -> Deferred[None]:
    """Stop a connection; fit for addCleanup."""
    return ensureDeferred(connection.stop())


def access(client_id: str = "app", user_id: str = "", lives: int = 1800, **more: Any) -> records.AccessToken:
    """An access token."""
    return records.AccessToken(
        client_id=client_id,
        scope=("read", "write"),
        issued_at=NOW,
        expires_at=NOW + lives,
        jti="V1StGXR8_Z5jdHi6B-myTa",
        generations=ISSUED,
        user_id=user_id,
        **more,
    )


def refresh(client_id: str = "app", user_id: str = "", lives: int = 1800, **more: Any) -> records.RefreshToken:
    """A refresh token."""
    return records.RefreshToken(client_id, user_id, ("read",), NOW, NOW + lives, ISSUED, **more)


def code(lives: int = 60, **more: Any) -> records.Code:
    """An authorization code."""
    return records.Code("app", "https://app.example/cb", "", NOW + lives, **more)


def grant(lives: int = 3600) -> records.Grant:
    """A grant."""
    return records.Grant("app", "u1", "authorization_code", ("read",), ISSUED, NOW, NOW + 9000, NOW + lives)


def client(client_id: str, number: int, created_at: int = NOW) -> records.Client:
    """A client."""
    return records.Client(client_id, number, f"Client {client_id}", "confidential", created_at, created_at)


def tokens(count: int, client_id: str = "app", lives: Callable[[int], int] = lambda n: 1000) -> list[Write[Any]]:
    """Writes of that many access tokens of a client, `t0`, `t1` and so on."""
    return [Write(kinds.access_token(f"t{n}"), access(client_id, lives=lives(n))) for n in range(count)]


_numbers = itertools.count()


def one_of_each() -> list[Write[Any]]:
    """A record of every kind in the table, each field with a value that is not its default."""
    return [Write(_somewhere(kind), example(kind.record)) for kind in kinds.KINDS]


def example(hint: Any) -> Any:
    """A value of a type that records are made of; times lie in the future."""
    if isinstance(hint, type) and issubclass(hint, records.Record):
        hints = get_type_hints(hint)
        return hint(**{name: example(hints[name]) for name in hint.__struct_fields__})
    origin, inner = get_origin(hint), get_args(hint)
    if origin is tuple:
        return tuple(map(example, (inner[0], inner[0]) if inner[1] is ... else inner))
    if origin in (Union, UnionType):
        return example(inner[0])
    if origin is dict:
        return {"\u00c5 b": "c"} if inner[1] is str else {"d": ["e", {"f": 1.5, "g": None}]}
    plain = {str: 'h"\u00e9\U0001f511', int: NOW + 600, float: NOW + 0.25, bytes: b"\0\xff\x80sealed", bool: True}
    return plain[hint]


def _somewhere(kind: Kind[Any]) -> Ref[Any]:
    return kind.at(b"%d" % next(_numbers), "slot" if kind.name in "rgncd" else "")
