"""Everybody who asks whether a token is alive knows of everything that it stands on."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from oauthd.protocol.records import AccessToken, Revoked
from oauthd.protocol.standing import Standing
from oauthd.stores import kinds, naming
from oauthd.stores.interface import Commit, Write
from oauthd.stores.status_lists import listing
from oauthd.stores.status_sweep import StatusSweep
from oauthd.stores.tokens import Tokens, token_id
from tests.stores.case import access, grant
from tests.stores.servers import reactor
from tests.stores.test_answers import RESOURCES
from tests.stores.test_unwritten import UnwrittenCase

THIRD = "https://third.example"


class LivenessTests(UnwrittenCase):
    """Introspection, exchange, lists and the sweep of the status lists."""

    async def whole(self, number: int) -> AccessToken:
        """A token that stands on all that there is, in every way."""
        for subject in ("client:other", "user:u2", "client:app", "user:u1"):
            await self.store.begin(subject)
        for name in ("own", "actors"):
            await self.store.commit(Commit(writes=(Write(kinds.grant(f"{name}{number}"), grant(9000)),)))
        parents = [kinds.access_token(f"{name} {number}") for name in ("subject", "actor")]
        await self.store.put(*[Write(ref, access()) for ref in parents])
        today = await self.store.generations("app", "u1")
        beside = await self.store.generations("other", "u2")
        (third,) = await self.resources.today((THIRD,)) or (0,)
        return replace(
            access(user_id="u1", grant=f"own{number}", audience=RESOURCES, status=number + 1),
            generations=today,
            jti=f"jti {number}",
            resource_generations=await self.resources.today(RESOURCES),
            under=(("client:other", beside.client), ("user:u2", beside.user), (f"resource:{THIRD}", third)),
            parents=(*map(naming.key, parents), b"v:parent %d" % number, b"g:actors%d" % number),
        )

    async def end(self, member: str | bytes) -> None:
        """End one thing, in the way in which it is ended."""
        if isinstance(member, str):
            await self.one.store.plain.raise_generation(member)
        elif member[:2] == b"v:":
            await self.one.store.plain.bury(Write(kinds.standing_on(member), Revoked(2**40)))
        else:
            await self.one.store.plain.forget(kinds.standing_on(member))

    async def told(self, name: str, record: AccessToken, written: bool) -> dict[str, bool]:
        """Whether it is alive, by whoever is asked."""
        store: Any = self.one.store.plain
        tokens = Tokens(store, self.one.cache, self.clock.seconds, unwritten=self.forms.get)
        deaf = await self.node(hears=False)
        sweep = StatusSweep(store, self.clock.seconds, reactor, "me", 60)
        ref = kinds.access_token(name)
        dead, alive = await sweep._piece(0, [record.status - 1], {})
        found = {
            "here": await self.alive(self.one, name),
            "there": await self.alive(self.other, name),
            "from nothing": await self.alive(deaf, name),
            "itself": await tokens.find_access(name) is not None,
            "exchange": await tokens.look(name) is not None,
        }
        if written:  # else it is in no list of tokens, and its place is told by itself
            listed, _ = await tokens.page("app", "", "access", None, 1000)
            found["listing"] = token_id(ref) in [one.token_id for one in listed]
            found["show"] = await tokens.show(token_id(ref)) is not None
        if written or b"v:" + record.jti.encode() not in await self.keys():
            found["sweep"] = (len(dead), alive) == (0, 1)
        return found

    async def _each(self, written: bool) -> None:
        number = 0
        while True:
            record = await self.whole(number)
            name = f"eyJ whole {number}"
            ref = kinds.access_token(name)
            own = naming.key(ref if written else kinds.revoked(record.jti))
            if written:
                await self.store.put(Write(ref, record), *listing(Write(ref, record)))
            else:
                self.forms[name.encode()] = record
                await self.store.put(*listing(Write(kinds.UNWRITTEN.at(b""), record)))
            standing = Standing.of(record, own)
            members: list[str | bytes] = [*(subject for subject, _ in standing.numbers), *standing.names]
            if number == len(members):
                return
            before = await self.told(name, record, written)
            self.assertEqual(set(before.values()), {True}, before)
            await self.end(members[number])
            await self.other.heard()
            after = await self.told(name, record, written)
            self.assertEqual(set(after.values()), {False}, (members[number], after))
            number += 1

    async def test_written_down(self) -> None:
        """Whatever it stands on is ended, it is dead for everybody."""
        await self._each(True)

    async def test_not_written_down(self) -> None:
        """As is one that is not written down."""
        await self._each(False)
