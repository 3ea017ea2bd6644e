"""What must last is answered when replicas, or the disk, have it; else its outcome is unknown."""

from __future__ import annotations

import signal

from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.threads import deferToThread

from oauthd.stores import kinds, scripts
from oauthd.stores.connection import CommandRefused
from oauthd.stores.durable import Confirming
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.naming import BEAT
from oauthd.stores.redis import RedisStore
from oauthd.stores.startup import check_server
from tests.stores.case import PATIENCE
from tests.stores.replicas import Member, wait_until
from tests.stores.servers import OwnValkey
from tests.stores.test_connection import ConnectionCase

BEATING = scripts.BEAT.on(BEAT, args=(b"oauthd:0", b"beat:1"))


class ReplicaTests(ConnectionCase):
    """A primary and one replica."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Start them, and connect."""
        super().setUp()
        self.primary, self.replica = Member(), Member()
        for member in (self.primary, self.replica):
            self.addCleanup(member.close)
        self.primary.begin()
        self.replica.begin("--replicaof", f"127.0.0.1 {self.primary.port}")
        await deferToThread(self.follows)
        self.redis = await self.connected(path=self.primary.path, size=1, reply_timeout=PATIENCE)

    def follows(self) -> None:
        """Wait until the replica has what the primary has."""
        wait_until(lambda: self.replica.info("replication").get("master_link_status") == "up", "it follows")

    def confirming(self, replicas: int = 1, timeout: float = PATIENCE / 2) -> Confirming:
        """What is tested; patient unless the test waits for the time-out."""
        return Confirming(self.redis, replicas, timeout)

    async def test_confirmed(self) -> None:
        """A write that was answered is on the replica; commands, scripts and several at once get their replies."""
        self.assertEqual(await self.confirming().call(("SET", "k", "v"), ("INCR", "n")), [b"OK", 1])
        self.assertEqual(self.replica.say("GET", "k"), b"v")
        await self.confirming().call(scripts.BEGIN.on(b"gen:x", args=(b"oauthd:0",)))
        self.assertEqual(self.replica.say("GET", "gen:x"), b"1")

    async def test_unconfirmed(self) -> None:
        """Without the replica the outcome is unknown, and a repeat when it is back finds the write confirmed."""
        confirming = self.confirming(timeout=0.1)
        self.replica.signal(signal.SIGSTOP)
        with self.assertRaises(StoreUnavailable) as caught:
            await confirming.call(("SET", "k", "v"))
        self.assertEqual(str(caught.exception), "not confirmed: by 0 of 1 replicas alone")
        self.assertEqual(confirming.counts.unconfirmed, 1)
        self.replica.signal(signal.SIGCONT)
        await self.eventually(lambda: confirming.call(("SET", "k", "v")))
        self.assertEqual(self.replica.say("GET", "k"), b"v")

    async def test_found_ended_already(self) -> None:
        """Whoever repeats an unconfirmed revocation, and finds nothing left, is not told that it will last."""
        store = RedisStore(self.redis, lambda: 0.0, revoking=self.confirming(timeout=0.1))
        await store.confirm()
        self.replica.signal(signal.SIGSTOP)
        token = kinds.access_token("x")
        with self.assertRaises(StoreUnavailable):
            await store.forget(token)
        self.assertEqual(await store.get(token), (None,))
        with self.assertRaises(StoreUnavailable):
            await store.confirm()
        self.replica.signal(signal.SIGCONT)
        await self.eventually(store.confirm)

    async def test_heartbeat(self) -> None:
        """A heartbeat, which changes nothing, is not confirmed by a replica that has not heard it."""
        await self.confirming().call(BEATING)
        self.replica.signal(signal.SIGSTOP)
        with self.assertRaises(StoreUnavailable):
            await self.confirming(timeout=0.1).call(BEATING)
        self.replica.signal(signal.SIGCONT)

    async def test_unknown_script(self) -> None:
        """A script that the server does not know is confirmed as any other: it is not carried out after the wait."""
        self.primary.say("SCRIPT", "FLUSH")
        self.replica.signal(signal.SIGSTOP)
        with self.assertRaises(StoreUnavailable):
            await self.confirming(timeout=0.1).call(scripts.RAISE.on(b"gen:x", args=(b"oauthd:0",)))
        self.replica.signal(signal.SIGCONT)

    async def test_together(self) -> None:
        """What is asked while a confirmation is awaited goes out together: they do not wait one after the other."""
        confirming = self.confirming(timeout=0.1)
        before = self.waits()
        calls = [ensureDeferred(confirming.call(("INCR", "n"))) for _ in range(100)]
        self.assertEqual(await gatherResults(calls), [[n] for n in range(1, 101)])
        self.assertEqual(self.waits() - before, 2)

    def waits(self) -> int:
        """How often the primary was asked for a confirmation."""
        facts = self.primary.info("commandstats").get("cmdstat_wait", "calls=0,").split(",")
        return int(facts[0].removeprefix("calls="))

    async def test_one_of_several_is_wrong(self) -> None:
        """A command that the server refuses fails alone, and one who gave up takes nothing from the others."""
        confirming = self.confirming()
        await confirming.call(("SET", "word", "x"))
        first, wrong, given_up, last = (
            ensureDeferred(confirming.call(("INCR", key))) for key in ("n", "word", "n", "n")
        )
        given_up.cancel()
        given_up.addErrback(lambda _: None)
        with self.assertRaises(CommandRefused):
            await wrong
        self.assertEqual((await first, await last), ([1], [3]))

    async def test_demoted(self) -> None:
        """A primary that becomes a replica while the confirmation is awaited confirms nothing."""
        self.replica.signal(signal.SIGSTOP)
        call = ensureDeferred(self.confirming().call(("SET", "k", "v")))
        await deferToThread(wait_until, lambda: self.primary.info("clients")["blocked_clients"] == "1", "it waits")
        self.primary.say("REPLICAOF", "127.0.0.1", "1")
        with self.assertRaises(StoreUnavailable):
            await call
        self.replica.signal(signal.SIGCONT)

    async def test_too_few_at_start(self) -> None:
        """A server with fewer replicas than must confirm is used, and it is said."""
        for replicas, said in ((1, 0), (2, 1)):
            found = await check_server(self.redis, (), self.confirming(replicas))
            self.assertEqual((found.refuse, len([text for text in found.warn if "replicas" in text])), ((), said))


class DiskTests(ConnectionCase):
    """One server, and its disk."""

    async def confirming(self, *settings: str, limit: float = PATIENCE / 2) -> Confirming:
        """On a server with these settings."""
        server = OwnValkey()
        self.addCleanup(server.close)
        server.start(*settings)
        return Confirming(await self.connected(path=server.path, size=1), 0, limit, True)

    async def test_written(self) -> None:
        """With an append-only file a write is confirmed, however often the file is written."""
        for when in ("always", "everysec"):
            confirming = await self.confirming("--appendonly", "yes", "--appendfsync", when)
            self.assertEqual(await confirming.call(("SET", "k", "v")), [b"OK"])
            self.assertEqual((await check_server(confirming.connection, (), confirming)).refuse, ())

    async def test_no_file(self) -> None:
        """Without one nothing is confirmed, and the start is refused, whatever is accepted."""
        confirming = await self.confirming()
        with self.assertRaises(StoreUnavailable) as caught:
            await confirming.call(("SET", "k", "v"))
        self.assertEqual(str(caught.exception), "not confirmed: not yet on the disk of the store")
        found = await check_server(confirming.connection, ("persistence",), confirming)
        self.assertEqual(["WAITAOF" in text for text in found.refuse], [True])

    async def test_not_everything(self) -> None:
        """What need not be on the disk does not wait for it, together with others that must."""
        confirming = await self.confirming()
        must, need_not = (ensureDeferred(confirming.call(("INCR", "n"), fsync=fsync)) for fsync in (True, False))
        self.assertEqual(await need_not, [2])
        with self.assertRaises(StoreUnavailable):
            await must

    async def test_impatient(self) -> None:
        """A file that may be written each second, and is waited for less long than that, is said."""
        for limit, said in ((0.5, 1), (1.5, 0)):
            confirming = await self.confirming("--appendonly", "yes", limit=limit)
            found = await check_server(confirming.connection, (), confirming)
            self.assertEqual(found.refuse, ())
            self.assertEqual(len([text for text in found.warn if "store.revocation_wait_timeout" in text]), said)

    async def test_no_such_command(self) -> None:
        """A server that does not know WAIT or WAITAOF is refused where they are needed."""
        info = b"redis_version:6.2.0\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n"
        answers = {b"INFO": b"$%d\r\n%b\r\n" % (len(info), info), b"PUBLISH": b":0\r\n"}
        reciter = self.reciter(lambda command: answers.get(command[0], None if command[0] in (b"PING", b"ROLE") else
                                                           b"-ERR unknown command\r\n"))  # fmt: skip
        connection = await self.connected(path=reciter.path)
        found = await check_server(connection, (), Confirming(connection, 1, 2, True))
        self.assertEqual([word in text for word, text in zip(("WAIT,", "WAITAOF"), found.refuse, strict=True)],
                         [True, True])  # fmt: skip

    async def test_nothing_to_confirm(self) -> None:
        """Where neither is asked for, calls go straight through."""
        reciter = self.reciter(lambda command: b"+OK\r\n" if command[0] == b"SET" else None)
        confirming = Confirming(await self.connected(path=reciter.path, size=1))
        self.assertEqual(await confirming.call(("SET", "k", "v")), [b"OK"])
        self.assertEqual([command[0] for command in reciter.heard], [b"PING", b"ROLE", b"INFO", b"INFO", b"SET"])
