"""Endpoint strings: the syntax of Twisted, narrowed to what oauthd listens at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import endpoints, reactor
from twisted.trial import unittest

from oauthd.config.listeners import Listener, _arguments, is_loopback, listener

GOOD = {
    "tcp:8000": Listener("tcp", 8000, ""),
    "tcp:port=8000": Listener("tcp", 8000, ""),
    "tcp:0:interface=127.0.0.1:backlog=128": Listener("tcp", 0, "127.0.0.1"),
    r"tcp:8000:interface=\:\:1": Listener("tcp", 8000, "::1"),
    "tcp:interface=localhost:port=1": Listener("tcp", 1, "localhost"),
    "unix:/run/oauthd/socket": Listener("unix"),
    "unix:address=/run/a\\:b:mode=660:lockfile=0": Listener("unix"),
}


class ListenerTests(unittest.SynchronousTestCase):
    """What is accepted and what is refused."""

    def test_accepted(self) -> None:
        """Good strings are read, and Twisted accepts them too."""
        for text, expected in GOOD.items():
            self.assertEqual(listener(text), expected)
            endpoints.serverFromString(reactor, text)

    def test_accepted_with_files_or_sockets(self) -> None:
        """TLS and sockets handed over are judged by their syntax alone."""
        self.assertEqual(
            listener("ssl:443:privateKey=/k.pem:certKey=/c.pem:extraCertChain=/i.pem"), Listener("ssl", 443, "")
        )
        self.assertEqual(listener("systemd:domain=INET6:index=0"), Listener("systemd"))
        self.assertEqual(listener("systemd:domain=UNIX:name=web"), Listener("systemd"))

    def test_refused(self) -> None:
        """Other kinds, unknown or doubled arguments and impossible values are refused with a reason."""
        for text, reason in (
            ("", "begins with one of tcp:, ssl:, unix:, systemd:"),
            ("8000", "begins with one of"),
            ("tcp6:8000", "begins with one of"),
            ("TCP:8000", "begins with one of"),
            ("tls:443", "begins with one of"),
            ("tcp:", "has an empty argument"),
            ("tcp:http", "the port must be a number from 0 to 65535, is 'http'"),
            ("tcp:65536", "the port must be"),
            ("tcp:-1", "the port must be"),
            ("tcp:interface=127.0.0.1", "the port must be"),
            ("tcp:8000:127.0.0.1", "needs a name, one of port, interface, backlog"),
            ("tcp:8000:interface=::1", "write a colon that stands for itself"),
            ("tcp:8000:interface=example.org", "interface must be an IP address"),
            ("tcp:8000:backlog=many", "backlog must be a whole number"),
            ("tcp:8000:port=8001", "port is given twice"),
            ("tcp:8000:interfaec=127.0.0.1", "unknown argument 'interfaec'"),
            ("tcp:8000:interface=127.0.0.1\\", "a backslash at the end"),
            ("ssl:443", "privateKey must name the file"),
            ("ssl:443:privateKey=", "privateKey must name the file"),
            ("unix:", "has an empty argument"),
            ("unix:address=", "the path of the socket is missing"),
            ("unix:/s:mode=888", "mode must be octal"),
            ("unix:/s:lockfile=yes", "lockfile must be 0 or 1"),
            ("systemd:domain=INET", "exactly one of index and name"),
            ("systemd:domain=INET:index=0:name=a", "exactly one of index and name"),
            ("systemd:domain=INET:index=first", "index must be a whole number"),
            ("systemd:domain=AF_INET:index=0", "domain must be one of INET, INET6, UNIX"),
            ("systemd:index=0", "domain must be one of"),
        ):
            with self.assertRaises(ValueError, msg=text) as caught:
                listener(text)
            self.assertIn(reason, str(caught.exception))

    @given(st.text(st.sampled_from(":=\\a/0 "), max_size=20))
    def test_escapes_are_read_as_twisted_reads_them(self, rest: str) -> None:
        """A path that is accepted is the path at which Twisted would listen."""
        try:
            arguments = _arguments(rest, ("address", "a"))
        except ValueError:
            return
        positional, named = endpoints._parse(rest)
        self.assertEqual(arguments, {**dict(zip(["address"], positional, strict=False)), **named})


class LoopbackTests(unittest.SynchronousTestCase):
    """What only this machine can reach."""

    def test_loopback(self) -> None:
        """localhost, 127.0.0.0/8 and ::1, and nothing that only resembles them."""
        for host in ("localhost", "127.0.0.1", "127.255.255.254", "::1"):
            self.assertTrue(is_loopback(host), host)
        for host in ("", "0.0.0.0", "::", "10.0.0.1", "localhost.example", "127.0.0.1.example", "128.0.0.1"):
            self.assertFalse(is_loopback(host), host)

    def test_listeners(self) -> None:
        """A listener on all interfaces is not loopback, nor is a socket that something else may relay to."""
        self.assertTrue(listener("tcp:1:interface=127.0.0.1").loopback)
        for text in ("tcp:1", "tcp:1:interface=0.0.0.0", "unix:/s", "systemd:domain=INET:index=0"):
            self.assertFalse(listener(text).loopback, text)
