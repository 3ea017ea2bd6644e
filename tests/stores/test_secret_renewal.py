"""Client secrets that outlive the master key which they were digested with."""

from __future__ import annotations

import attrs
from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.task import deferLater

from oauthd.protocol.records import World
from oauthd.protocol.seals import Seals
from oauthd.stores.clients import WORLD, Clients
from oauthd.stores.interface import StoreUnavailable, Write
from tests.proofs.test_verified_secret import SecretCase
from tests.stores.case import NOW

OLD, NEW = bytes(32), b"\x07" * 32


class RenewalTests(SecretCase):
    """Two master keys, of which the clients' secrets know the second one alone."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """A process with both, after the store was sealed with the new one."""
        await super().setUp()
        self.both = self.with_keys(NEW, OLD)
        await self.founded(self.both.seals.fingerprint)

    def with_keys(self, *masters: bytes) -> Clients:
        """Clients as a process with these master keys has them."""
        return attrs.evolve(self.one.clients, seals=Seals(masters, self.entropy))

    async def founded(self, master: str) -> None:
        """The store says that this master key is the one in force."""
        await self.store.put(Write(WORLD, World(NOW, master)))

    async def proved(self, clients: Clients, secret: str) -> bool:
        """Is it a secret of the client? What follows from the answer has been done then."""
        known = clients.knows_secret(await clients.find("app"), secret)
        while clients._renewing:
            await deferLater(reactor, 0.002)
        return known

    async def test_renewed(self) -> None:
        """A secret that proves right is known by the new key afterwards; nothing else of its client changes."""
        before = await self.both.find("app")
        self.assertEqual(await self.both.reseal(), (0, 1))
        self.assertFalse(await self.proved(self.with_keys(NEW), self.secret))
        self.assertTrue(await self.proved(self.both, self.secret))
        alone = self.with_keys(NEW)
        self.assertTrue(await self.proved(alone, self.secret))
        self.assertEqual(await self.both.reseal(), (0, 0))
        after = await alone.find("app")
        assert before is not None and after is not None
        self.assertEqual(replace(after, secrets=()), replace(before, secrets=()))
        self.assertEqual(after.secrets[0].created_at, before.secrets[0].created_at)

    async def test_wrong_secrets(self) -> None:
        """What proves nothing changes nothing."""
        before = await self.both.find("app")
        for secret in ("wrong", ""):
            self.assertFalse(await self.proved(self.both, secret))
        self.assertEqual(await self.both.find("app"), before)

    async def test_not_before_it_is_in_force(self) -> None:
        """As long as the store belongs to the old key there may be processes that have no other."""
        old = self.with_keys(OLD)
        await self.founded(old.seals.fingerprint)
        self.assertTrue(await self.proved(self.both, self.secret))
        self.assertTrue(await self.proved(old, self.secret))

    async def test_once(self) -> None:
        """It is written once, and never where there is but one master key."""
        old = self.with_keys(OLD)
        record = await old.find("app")
        await self.founded(old.seals.fingerprint)
        await self.proved(old, self.secret)
        self.assertEqual(await old.find("app"), record)
        await self.founded(self.both.seals.fingerprint)
        await self.proved(self.both, self.secret)
        record = await self.both.find("app")
        await self.proved(self.both, self.secret)
        self.assertEqual(await self.both.find("app"), record)

    async def test_written_before_keys_had_names(self) -> None:
        """A secret that does not say whose digest it is counts as an older key's until it was proved."""
        await self.one.clients.update(
            "app", lambda client: replace(client, secrets=tuple(replace(one, master="") for one in client.secrets))
        )
        self.assertEqual(await self.with_keys(OLD).reseal(), (0, 0))  # there is no other it could be
        self.assertEqual(await self.both.reseal(), (0, 1))
        await self.proved(self.both, self.secret)
        self.assertEqual(await self.both.reseal(), (0, 0))

    async def test_changed_meanwhile(self) -> None:
        """A secret that was rotated out while its renewal was on the way does not come back."""
        record = await self.both.find("app")
        assert record is not None
        _, new = await self.both.rotate_secret("app", 0)
        self.assertTrue(self.both.knows_secret(record, self.secret))  # as memory knows it
        while self.both._renewing:
            await deferLater(reactor, 0.002)
        self.assertFalse(await self.proved(self.both, self.secret))
        self.assertTrue(await self.proved(self.both, new))

    async def test_two_processes(self) -> None:
        """Both that saw it proved write it: one is faster, and the other's work is lost without harm."""
        record = await self.both.find("app")
        crew = [self.with_keys(NEW, OLD) for _ in range(2)]
        self.assertTrue(all(clients.knows_secret(record, self.secret) for clients in crew))
        while any(clients._renewing for clients in crew):
            await deferLater(reactor, 0.002)
        self.assertTrue(await self.proved(self.with_keys(NEW), self.secret))
        self.assertEqual(await self.both.reseal(), (0, 0))

    async def test_the_overlap(self) -> None:
        """Of two live secrets the one that is proved is renewed, with its end; the other goes on to count as old."""
        _, new = await self.with_keys(OLD).rotate_secret("app")
        await self.proved(self.both, self.secret)
        self.assertEqual(await self.both.reseal(), (0, 1))
        await self.proved(self.both, new)
        self.assertEqual(await self.both.reseal(), (0, 0))
        record = await self.both.find("app")
        assert record is not None
        self.assertEqual([one.expires_at for one in record.secrets], [None, NOW + self.both.secret_overlap])

    async def test_the_store_is_away(self) -> None:
        """The answer does not wait for it, and its failure is nobody's."""
        record = await self.both.find("app")

        async def away(*refs: object) -> None:
            raise StoreUnavailable("the test says so")

        store = attrs.evolve(self.both, store=_Away(away))  # type: ignore[arg-type]
        self.assertTrue(store.knows_secret(record, self.secret))
        self.assertEqual((store._renewing, self.flushLoggedErrors()), (set(), []))


@attrs.frozen
class _Away:
    """A store that does not answer."""

    get: object
