"""Tokens for a benchmark, written straight through the server's own code; a process of its own.

    python -m tests.bench.seed < ORDER

The order is JSON, the fields of `Seeds`. Access tokens are made by the real minting with the real keys of the store and
put as the token endpoint puts them; refresh tokens get a grant each. The token strings go to the file, a line each.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import frozen
from msgspec.structs import replace
from twisted.internet import reactor, task

from oauthd.config import load
from oauthd.keys import Keys
from oauthd.minting import Minting, Order
from oauthd.nested_jwt import NestedJwts
from oauthd.protocol import opaque
from oauthd.protocol.records import UNBOUND, Binding, Client, Generations, Grant
from oauthd.protocol.seals import Seals
from oauthd.stateless_tokens import StatelessTokens
from oauthd.stores import kinds
from oauthd.stores.connection import RedisConnection
from oauthd.stores.interface import Write
from oauthd.stores.redis import RedisStore
from oauthd.stores.status_lists import StatusLists
from oauthd.stores.users import Users
from oauthd.subjects import Subjects

BATCH = 250
REFRESH_LIFE = 7 * 86400
KEY = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"  # the thumbprint of RFC 9449 section 6.1


@frozen
class Seeds:
    """What is wanted.

    :ivar kind: `opaque`, `jwt`, `bound` (to a key, as JWTs) or `refresh`.
    :ivar socket: Valkey's.
    :ivar issuer: of the server whose tokens they are to be.
    :ivar user_id: whose tokens; "" for the client's own.
    :ivar lifetime: seconds that access tokens live.
    """

    kind: str
    count: int
    socket: str
    data: str
    issuer: str
    file: str
    client_id: str
    user_id: str = ""
    username: str = ""
    scope: str = ""
    lifetime: int = 86400


@frozen
class Sower:
    """Makes tokens and puts them."""

    seeds: Seeds
    store: RedisStore
    minting: Minting
    client: Client
    generations: Generations

    async def sow(self) -> list[str]:
        """All that are wanted."""
        make = self._refresh if self.seeds.kind == "refresh" else self._access
        made: list[str] = []
        while len(made) < self.seeds.count:
            batch = [await make() for _ in range(min(BATCH, self.seeds.count - len(made)))]
            await self.store.put(*(write for _, writes in batch for write in writes))
            made += [token for token, _ in batch]
        return made

    async def _access(self) -> tuple[str, list[Write[Any]]]:
        seeds = self.seeds
        order = Order(
            client=self.client,
            scope=tuple(seeds.scope.split()),
            generations=self.generations,
            user_id=seeds.user_id,
            username=seeds.username,
            auth_time=int(time.time()) if seeds.user_id else 0,
            binding=Binding(jkt=KEY) if seeds.kind == "bound" else UNBOUND,
        )
        token, write = await self.minting.access_token(order)
        return token, [write]

    async def _refresh(self) -> tuple[str, list[Write[Any]]]:
        seeds, now = self.seeds, int(time.time())
        grant_id = opaque.new_grant_id(secrets.token_bytes)
        grant = Grant(
            client_id=seeds.client_id,
            user_id=seeds.user_id,
            username=seeds.username,
            grant_type="authorization_code",
            scope=tuple(seeds.scope.split()),
            generations=self.generations,
            issued_at=now,
            ends_at=now + REFRESH_LIFE,
            expires_at=now + REFRESH_LIFE,
        )
        token, write = self.minting.refresh_token(grant_id, grant, grant.scope, ())
        return token, [Write(kinds.grant(grant_id), grant), write]


async def no_keys(client: Client) -> tuple[()]:
    """The keys of clients that nothing is encrypted to."""
    return ()


async def in_place(call: Callable[..., Any], *words: Any) -> Any:
    """What the server does in a thread."""
    return call(*words)


async def sower(seeds: Seeds, store: RedisStore) -> Sower:
    """Everything that making tokens takes, from the store and the data folder of a server that has been started."""
    environ = {
        "OAUTHD_TOKENS_ACCESS_FORMAT": "opaque" if seeds.kind == "opaque" else "jwt",
        "OAUTHD_TOKENS_ACCESS_LIFETIME": str(seeds.lifetime),
    }
    settings = load(None, environ, {})
    master = bytes.fromhex((Path(seeds.data) / "master.key").read_text("ascii").strip())
    keys = Keys(store=store, seals=Seals((master,), secrets.token_bytes), clock=time.time, in_thread=in_place)
    if await keys.open():
        raise RuntimeError("the store has not been founded")
    (stored,) = await store.get(kinds.client(seeds.client_id))
    if stored is None:
        raise RuntimeError("there is no such client")
    client: Client = replace(stored.record, access_format="")
    generations: Generations = await store.generations(seeds.client_id, seeds.user_id)
    subjects = Subjects(store, keys.seals, secrets.token_bytes)
    users = Users(store, time.time, secrets.token_bytes)
    nested = NestedJwts(keys, no_keys, lambda client: (), in_place)
    statuses = StatusLists(store, time.time, secrets.token_bytes, f"{seeds.issuer}/oauth2/status-lists/")
    stateless = StatelessTokens(keys, keys.seals, seeds.issuer, time.time)
    minting = Minting(
        seeds.issuer, settings, keys, time.time, secrets.token_bytes, nested, users, subjects, statuses, stateless
    )
    return Sower(seeds, store, minting, client, generations)


async def main(_: Any) -> None:
    """Carry out the order."""
    seeds = Seeds(**json.load(sys.stdin))
    connection = RedisConnection(reactor, path=seeds.socket, reply_timeout=10.0)
    connection.start()
    await connection.ready(10)
    made = await (await sower(seeds, RedisStore(connection, time.time))).sow()
    _write(Path(seeds.file), made)
    await connection.stop()


def _write(file: Path, tokens: list[str]) -> None:
    file.write_text("".join(f"{token}\n" for token in tokens))


if __name__ == "__main__":
    task.react(main, [])
