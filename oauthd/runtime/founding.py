"""First start: the first scopes and the first administrator, made once however many nodes share the store.

Everything here may be repeated after a crash: the list of administrators is written last, and as long as it is missing
the founding is not done. A founder holds a record that ends by itself, so a dead one does not block the next.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from attrs import frozen
from msgspec.structs import replace

from oauthd.config import Settings
from oauthd.events import Events
from oauthd.passwords import Passwords
from oauthd.protocol import opaque
from oauthd.protocol.profile import PLAIN
from oauthd.protocol.records import Client, Tally, User
from oauthd.runtime.data import DataFolder
from oauthd.stores import kinds
from oauthd.stores.clients import Clients
from oauthd.stores.interface import Commit, IStore, Write
from oauthd.stores.scopes import FIRST
from oauthd.stores.users import ADMINISTRATOR, Users

TURN = 30  # seconds that one node may take; then another one tries
NAME = "admin"


@frozen
class Founding:
    """Makes what a new store needs.

    :ivar alone: no other node can use this store, so nobody's turn is waited for.
    """

    store: IStore
    clients: Clients
    users: Users
    passwords: Passwords
    events: Events
    settings: Settings
    data: DataFolder
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    alone: bool = False

    async def done(self) -> bool:
        """Found the store if nobody has; False while another node is at it (ask again)."""
        scopes = kinds.SCOPES.at("all")
        await self.store.commit(Commit(absent=(scopes,), writes=(Write(scopes, FIRST),)))
        await self.store.begin("world")
        (administrators,) = await self.store.get(kinds.ADMINISTRATORS.at("all"))
        if administrators is not None:
            return True
        turn = kinds.TALLY.at("founding")
        if self.alone:
            await self.store.forget(turn)  # of a start that was killed
        mine = Write(turn, Tally(1, int(self.clock()) + TURN))
        if not await self.store.commit(Commit(absent=(turn,), writes=(mine,))):
            return False
        await self._administrator()
        await self.store.forget(turn)
        self.events.tell("founded")
        return True

    async def _administrator(self) -> None:
        preset = self.settings.administrator
        username = preset.username or NAME
        password = preset.password or opaque.new_identifier(self.entropy)
        client_id = preset.client_id or NAME
        secret = preset.client_secret or opaque.make(opaque.CLIENT_SECRET, self.entropy)
        if preset.username is None:
            # The file comes first: credentials that nobody was told of would be lost with a crash.
            credentials = {
                "username": username, "password": password, "client_id": client_id, "client_secret": secret
            }  # fmt: skip
            self.data.write(self.data.admin_credentials, json.dumps(credentials, indent=1).encode() + b"\n")
        await self._client(client_id, secret)
        await self._user(username, password)

    async def _client(self, client_id: str, secret: str) -> None:
        if await self.clients.find(client_id) is not None:  # of a founding that was cut off
            await self.clients.delete(client_id)
        client = Client(
            client_id=client_id,
            number=0,
            name="Administration",
            client_type="confidential",
            created_at=0,
            updated_at=0,
            grant_types=("client_credentials", "password", "refresh_token"),
            scopes=tuple(scope.name for scope in FIRST.scopes),
            profile=PLAIN,  # else a server-wide profile would lock the administrator out
        )
        await self.clients.register(client, secret)

    async def _user(self, username: str, password: str) -> None:
        hashed = await self.passwords.hash(password)
        former = await self.users.find_by_name(username)
        if former is None:
            await self.users.create(
                User(user_id="", username=username, created_at=0, updated_at=0, password=hashed, roles=(ADMINISTRATOR,))
            )
            return
        # Of a founding that was cut off before the list of administrators was written.
        roles = tuple({*former.roles, ADMINISTRATOR})
        await self.users.update(
            former.user_id, lambda user: replace(user, password=hashed, roles=roles, is_active=True)
        )
        await self.users.list_administrator(former.user_id)
