"""The issuer identifier: its one spelling, what allows http, and the one that follows the listeners."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial import unittest

from oauthd import config
from oauthd.config.issuer import well_formed


class SpellingTests(unittest.SynchronousTestCase):
    """RFC 8414 section 2 and what comparing byte for byte asks for."""

    def test_accepted(self) -> None:
        """Scheme and host, with a port that is not the scheme's own; the host comes back without brackets."""
        for issuer, host in (
            ("https://login.example.org", "login.example.org"),
            ("https://login.example.org:8443", "login.example.org"),
            ("http://localhost:8000", "localhost"),
            ("http://127.0.0.1:1", "127.0.0.1"),
            ("http://[::1]:65535", "::1"),
            ("https://xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("https://service_1", "service_1"),
        ):
            self.assertEqual(well_formed(issuer), host)

    def test_refused(self) -> None:
        """Everything that another party could spell, read or compare differently."""
        for issuer, reason in (
            ("https://Login.example.org", "lower case"),
            ("HTTPS://login.example.org", "lower case"),
            ("https://a.example/", "no slash"),
            ("https://a.example/oauth", "no path"),
            ("https://a.example?", "query"),
            ("https://a.example?x=1", "query"),
            ("https://a.example#", "fragment"),
            ("https://user@a.example", "user name"),
            ("ftp://a.example", "must begin with https://"),
            ("a.example", "must begin with https://"),
            ("https://", "must begin with https://"),
            ("", "must begin with https://"),
            ("https://a.example:443", "leave out :443"),
            ("http://localhost:80", "leave out :80"),
            ("https://a.example:0", "port from 1"),
            ("https://a.example:08", "port from 1"),
            ("https://a.example:65536", "port from 1"),
            ("https://a.example:", "scheme, host and perhaps a port"),
            ("https://:1", "scheme, host and perhaps a port"),
            ("https://a example", "scheme, host and perhaps a port"),
            ("https://a\\b.example", "scheme, host and perhaps a port"),
            ("https://a.example\n", "scheme, host and perhaps a port"),
            ("https://bücher.example", "host name"),
            ("https://a..example", "host name"),
            ("https://a.example.", "host name"),
            ("https://-a.example", "host name"),
            ("https://" + "a." * 127 + "example", "host name"),
            ("https://127.1", "shortest spelling"),
            ("https://10.0.0.256", "shortest spelling"),
            ("https://0x7f000001", "shortest spelling"),
            ("https://[0:0:0:0:0:0:0:1]", "shortest spelling"),
            ("https://[::g]", "scheme, host and perhaps a port"),
        ):
            with self.assertRaisesRegex(ValueError, reason, msg=issuer):
                well_formed(issuer)

    @given(st.text(st.sampled_from("htps:/[]@?#.a1-_ %\\\tAé0"), max_size=40))
    def test_what_is_accepted_needs_no_normalizing(self, tail: str) -> None:
        """An accepted issuer holds nothing but what its parts give when put together again."""
        for issuer in (tail, f"https://{tail}"):
            try:
                host = well_formed(issuer)
            except ValueError:
                continue
            scheme, _, rest = issuer.partition("://")
            self.assertIn(scheme, ("http", "https"))
            self.assertTrue(rest.lstrip("[").startswith(host))
            self.assertRegex(rest.lstrip("[")[len(host) :], r"\A\]?(:[1-9][0-9]{0,4})?\Z")


class IssuerOfTests(unittest.SynchronousTestCase):
    """The issuer of a server."""

    def issuer(self, *listen: str, issuer: str | None = None, insecure: bool = False) -> str:
        """The issuer of a server with these settings."""
        server = config.ServerSettings(listen=listen, issuer=issuer, insecure_issuer=insecure)
        return config.issuer_of(config.Settings(server=server))

    def test_follows_the_first_loopback_listener(self) -> None:
        """The first tcp or ssl listener on a loopback interface with a fixed port names it."""
        self.assertEqual(config.issuer_of(config.Settings()), "http://localhost:8000")
        for listen, issuer in (
            (("tcp:80:interface=127.0.0.1",), "http://localhost"),
            (("tcp:9000:interface=localhost",), "http://localhost:9000"),
            (("ssl:8443:interface=127.0.0.1:privateKey=k.pem",), "https://localhost:8443"),
            (("ssl:443:interface=127.0.0.1:privateKey=k.pem",), "https://localhost"),
            ((r"tcp:8000:interface=\:\:1",), "http://localhost:8000"),
            (("tcp:8000:interface=127.0.0.2",), "http://127.0.0.2:8000"),
            (("unix:/s", "tcp:1", "tcp:2:interface=10.0.0.1", "tcp:3:interface=127.0.0.1"), "http://localhost:3"),
            (("tcp:0:interface=127.0.0.1", "tcp:4:interface=127.0.0.1"), "http://localhost:4"),
        ):
            self.assertEqual(self.issuer(*listen), issuer)

    def test_required_otherwise(self) -> None:
        """Without such a listener there is no issuer to guess."""
        for listen in ("tcp:8000", "tcp:0:interface=127.0.0.1", "unix:/s", "systemd:domain=INET:index=0"):
            with self.assertRaisesRegex(ValueError, "is required here"):
                self.issuer(listen)

    def test_set(self) -> None:
        """One that is set counts, whatever the listeners are."""
        self.assertEqual(self.issuer("tcp:8000", issuer="https://a.example"), "https://a.example")
        self.assertEqual(self.issuer("unix:/s", issuer="http://127.3.2.1:8000"), "http://127.3.2.1:8000")
        self.assertEqual(self.issuer("unix:/s", issuer="http://[::1]"), "http://[::1]")

    def test_http_needs_loopback_or_leave(self) -> None:
        """http is for loopback hosts, and for others only where it was allowed explicitly."""
        for issuer in ("http://a.example", "http://10.0.0.1", "http://localhost.example", "http://[::2]"):
            with self.assertRaisesRegex(ValueError, "must be https"):
                self.issuer("tcp:8000", issuer=issuer)
            self.assertEqual(self.issuer("tcp:8000", issuer=issuer, insecure=True), issuer)
