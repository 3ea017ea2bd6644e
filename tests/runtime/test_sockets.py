"""Sockets beyond Twisted's ports: groups on one port, other processes' unix sockets, an end without losses."""

from __future__ import annotations

import os
import socket
import stat
from collections import Counter
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase, TestCase

from oauthd.runtime.sockets import SharedUnixPort, UnixPort, adopted, group, withhold


class GroupTests(SynchronousTestCase):
    """Several sockets on one port."""

    def made(self, port: int = 0, interface: str = "127.0.0.1", count: int = 2) -> list[socket.socket]:
        """A group that is closed after the test."""
        found = group(port, interface, 16, count)
        for one in found:
            self.addCleanup(one.close)
        return found

    def test_shared_out(self) -> None:
        """Each socket gets some of the connections to the one port."""
        found = self.made(count=3)
        (port,) = {one.getsockname()[1] for one in found}
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
        waiting: Counter[int] = Counter()
        for number, one in enumerate(found):
            while True:
                try:
                    one.accept()[0].close()
                except BlockingIOError:
                    break
                waiting[number] += 1
        for client in clients:
            client.close()
        self.assertEqual(sum(waiting.values()), 16)
        self.assertGreater(len(waiting), 1)

    def test_ipv6(self) -> None:
        """An address with colons is one of IPv6."""
        (one,) = self.made(interface="::1", count=1)
        self.assertEqual(one.getsockname()[0], "::1")

    def test_taken(self) -> None:
        """A port that somebody listens at is refused, even if he would share it."""
        (first, *_) = self.made()
        with self.assertRaises(OSError) as caught:
            group(first.getsockname()[1], "127.0.0.1", 16, 2)
        self.assertIn("in use", str(caught.exception))

    def test_withheld(self) -> None:
        """No new connection begins at a withheld socket; those that wait at it, and those accepted, go on."""
        (one,) = self.made(count=1)
        place = one.getsockname()
        first, second = socket.create_connection(place), socket.create_connection(place)
        accepted = one.accept()[0]
        withhold(one)
        with self.assertRaises(TimeoutError):
            socket.create_connection(place, timeout=0.2)
        late = one.accept()[0]
        for client, server in ((first, accepted), (second, late)):
            client.sendall(b"question")
            self.assertEqual(server.recv(8), b"question")
            server.sendall(b"answer")
            self.assertEqual(client.recv(6), b"answer")
            client.close()
            server.close()


class UnixTests(TestCase):
    """Unix sockets, whose paths outlive them or do not."""

    def setUp(self) -> None:
        """A short path, and somebody who answers."""
        self.path = f"/tmp/oauthd-test-{os.getpid()}.sock"
        self.addCleanup(Path(self.path).unlink, missing_ok=True)

        class Greets(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(b"hello")
                self.transport.loseConnection()

        self.factory = Factory.forProtocol(Greets)

    def port(self) -> UnixPort:
        """A socket of ours, which nobody reads."""
        port = UnixPort(self.path.encode(), self.factory, 16, 0o600, reactor, True)
        port.startListening()
        port.stopReading()
        return port

    def left(self) -> list[str]:
        """What is in the file system: "" stands for the socket."""
        return [ending for ending in ("", ".lock") if os.path.lexists(self.path + ending)]

    def somebody_else(self) -> None:
        """Somebody else takes the path."""
        Path(self.path).touch()

    async def test_withdrawn(self) -> None:
        """Who has connected before the path is gone still waits; a socket that takes its place stays."""
        port = self.port()
        waiting = socket.socket(socket.AF_UNIX)
        self.addCleanup(waiting.close)
        waiting.connect(self.path)
        port.withdraw()
        port.withdraw()
        self.assertEqual(self.left(), [".lock"])
        port.doRead()
        self.somebody_else()
        await port.stopListening()
        self.assertEqual(self.left(), [""])

    async def test_closed(self) -> None:
        """Without that it goes as any other, path and lock."""
        await self.port().stopListening()
        self.assertEqual(self.left(), [])

    async def test_shared(self) -> None:
        """Who adopts another's socket leaves its path and mode alone, and his end is not the other's."""
        port = self.port()
        other = adopted(reactor, port.fileno(), self.factory)
        self.assertIsInstance(other, SharedUnixPort)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        await other.stopListening()
        self.assertEqual(self.left(), ["", ".lock"])
        with socket.socket(socket.AF_UNIX) as late:
            late.connect(self.path)
        await port.stopListening()
