"""An unfit server is refused with the reason, and what cannot be known is said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from oauthd.stores import naming
from oauthd.stores.durable import Confirming
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.redis import RedisStore
from oauthd.stores.startup import CLUSTER, EVICTION, PERSISTENCE, VERSION, Findings, check_server
from tests.stores.case import NOW, PATIENCE, one_of_each
from tests.stores.servers import OwnValkey
from tests.stores.test_connection import ConnectionCase


class StartupTests(ConnectionCase):
    """`check_server`."""

    async def findings(self, *settings: str, allow: tuple[str, ...] = ()) -> Findings:
        """What is found at a real server with these settings."""
        server = OwnValkey()
        self.addCleanup(server.close)
        server.start(*settings)
        return await check_server(await self.connected(path=server.path), allow)

    async def told(self, facts: dict[str, str], allow: tuple[str, ...] = ()) -> Findings:
        """What is found at a server that tells these facts by INFO, and nothing by CONFIG."""
        text = "".join(f"{name}:{value}\r\n" for name, value in facts.items()).encode()
        info = b"$%d\r\n%b\r\n" % (len(text), text)
        answers = {b"INFO": info, b"CONFIG": b"-ERR unknown command 'CONFIG'\r\n", b"PUBLISH": b":0\r\n"}
        reciter = self.reciter(lambda command: answers.get(command[0]))
        return await check_server(await self.connected(path=reciter.path), allow)

    async def test_fit(self) -> None:
        """A server that neither evicts nor forgets gives no reason for anything, and is described."""
        found = await self.findings("--maxmemory-policy", "noeviction", "--appendonly", "yes")
        self.assertEqual((found.refuse, found.warn), ((), ()))
        self.assertRegex(found.server, r"^(Valkey|Redis) [0-9.]+, noeviction, append-only file \(fsync everysec\)$")

    async def test_eviction(self) -> None:
        """A server that evicts is refused, whichever way it chooses; let pass, it is still said."""
        for policy in ("volatile-ttl", "allkeys-lru"):
            found = await self.findings("--maxmemory-policy", policy, "--appendonly", "yes")
            self.assertEqual([policy in text for text in found.refuse], [True])
            self.assertEqual(found.warn, ())
            allowed = await self.findings("--maxmemory-policy", policy, "--appendonly", "yes", allow=(EVICTION,))
            self.assertEqual(allowed.refuse, ())
            self.assertEqual(allowed.warn, (f"{found.refuse[0]} (accepted by store.accept)",))

    async def test_persistence(self) -> None:
        """A server without append-only file is refused, with snapshots too; let pass, it is still said."""
        for saved, word in (("", "no snapshots"), ("3600 1", "save 3600 1")):
            found = await self.findings("--save", saved)
            self.assertEqual(["appendonly no" in text and word in text for text in found.refuse], [True])
            self.assertEqual(found.warn, ())
            allowed = await self.findings("--save", saved, allow=(PERSISTENCE,))
            self.assertEqual(allowed.refuse, ())
            self.assertEqual(allowed.warn, (f"{found.refuse[0]} (accepted by store.accept)",))

    async def test_slow_persistence(self) -> None:
        """A server that leaves it to the system when to write is let pass with a warning."""
        found = await self.findings("--appendonly", "yes", "--appendfsync", "no")
        self.assertEqual(found.refuse, ())
        self.assertEqual(["appendfsync no" in text for text in found.warn], [True])

    async def test_version_and_cluster(self) -> None:
        """A server older than the oldest is refused, by numbers and not by letters; so is a cluster, always."""
        fit = {"maxmemory_policy": "noeviction", "aof_enabled": "1"}
        for version, old in (("6.0.16", True), ("5.0", True), ("6.2.0", False), ("6.10", False), ("10.0.1", False)):
            found = await self.told({**fit, "redis_version": version})
            self.assertEqual([version in text for text in found.refuse], [True] * old)
        facts = {**fit, "redis_version": "6.0.1", "redis_mode": "cluster"}
        self.assertEqual(len((await self.told(facts)).refuse), 2)
        (refused,) = (await self.told(facts, (VERSION, CLUSTER))).refuse
        self.assertIn("Cluster", refused)

    async def test_config_taken_away(self) -> None:
        """Where CONFIG was taken away INFO is believed, and the gap is said."""
        found = await self.told({"redis_version": "7.2.4", "maxmemory_policy": "allkeys-lfu", "aof_enabled": "0"})
        self.assertEqual(len(found.refuse), 2)
        self.assertIn("allkeys-lfu", found.refuse[0])
        self.assertIn("(appendonly no)", found.refuse[1])
        self.assertIn("CONFIG GET maxmemory-policy, CONFIG GET appendonly", found.warn[0])

    async def test_everything_forbidden(self) -> None:
        """A user who may neither INFO nor CONFIG is let pass, and everything that is unknown is said."""
        server = OwnValkey()
        self.addCleanup(server.close)
        server.start()
        server.say("ACL", "SETUSER", "oauthd", "on", ">pw", "~*", "&oauthd:*", "+@all", "-@dangerous")
        found = await check_server(await self.connected(path=server.path, user="oauthd", password="pw"))
        self.assertEqual(found.refuse, ())
        self.assertEqual(len(found.warn), 3)
        self.assertEqual(found.server, "a server of unknown version, eviction unknown, persistence unknown")

    async def test_no_channels(self) -> None:
        """A user who may not publish is refused, whatever is accepted: nobody would hear of what it changes."""
        server = OwnValkey()
        self.addCleanup(server.close)
        server.start("--appendonly", "yes", "--maxmemory-policy", "noeviction")
        server.say("ACL", "SETUSER", "oauthd", "on", ">pw", "~*", "resetchannels", "+@all")
        found = await check_server(
            await self.connected(path=server.path, user="oauthd", password="pw"), (EVICTION, PERSISTENCE, VERSION)
        )
        self.assertEqual(["&oauthd:*" in text for text in found.refuse], [True])

    async def test_one_channel(self) -> None:
        """A user who may publish on the channel of the own database alone is let pass, and on another's is not."""
        server = OwnValkey()
        self.addCleanup(server.close)
        server.start("--appendonly", "yes", "--maxmemory-policy", "noeviction")
        server.say("ACL", "SETUSER", "oauthd", "on", ">pw", "~*", "&oauthd:3", "+@all")
        connection = await self.connected(path=server.path, user="oauthd", password="pw", db=3)
        self.assertEqual((await check_server(connection, channel=naming.channel(3))).refuse, ())
        self.assertEqual(len((await check_server(connection, channel=naming.channel(4))).refuse), 1)

    async def test_recommended_user(self) -> None:
        """The user that the documentation recommends may ask and do all that is needed, and it is known who answers."""
        page = (Path(__file__).parents[2] / "etc" / "docs" / "outages.md").read_text()
        (line,) = re.findall(r"^ACL SETUSER .*$", page, re.MULTILINE)
        server = OwnValkey()
        self.addCleanup(server.close)
        server.start("--appendonly", "yes")
        server.say(*line.replace("PASSWORD", "pw").split())
        connection = await self.connected(path=server.path, user="oauthd", password="pw", size=1)
        found = await check_server(connection, (), Confirming(connection, 0, 2, True))
        self.assertEqual((found.refuse, found.warn), ((), ()))
        self.assertTrue(connection.server_id)
        store = RedisStore(connection, lambda: NOW, revoking=Confirming(connection, 0, PATIENCE / 2, True))
        await store.put(*one_of_each())
        await store.forget(*(write.ref for write in one_of_each()))
        for subject in ("client:app", "world"):
            await store.begin(subject)
            await store.raise_generation(subject)
        await store.end("client:app", 10)
        await store.scan("clients")
        self.assertEqual(await store.next_number("client"), 1)
        (heard,) = await connection.call(("SUBSCRIBE", naming.channel(3)))
        self.assertEqual(heard, [b"subscribe", naming.channel(3), 1])

    async def test_away(self) -> None:
        """A server that is away is no finding."""
        connection: Any = self.connection(path="/nonexistent/socket", reply_timeout=0.1)
        with self.assertRaises(StoreUnavailable):
            await check_server(connection)
