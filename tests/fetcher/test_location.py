"""Which URLs name a document, and what is made of them."""

from hypothesis import given
from hypothesis import strategies as st
from treq.client import HTTPClient
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI

from oauthd.fetcher.location import LONGEST, Location, location, site
from oauthd.fetcher.refusal import FetchRefused
from tests.fetcher.servers import Recording

PORTS = (443, 8443)
_CHARACTERS = "abcXYZ019._~!$&'()*+,;=:@/-"


def read(url: str) -> Location:
    """Read it as a server that opened one host would."""
    return location(url, PORTS, ("inner.test",))


class GoodTests(SynchronousTestCase):
    """URLs that are read."""

    def test_parts(self) -> None:
        """The host is in lower case, the path is never empty, the port of https is left out."""
        self.assertEqual(read("https://App.Example"), Location("app.example", 443, "https://app.example/"))
        self.assertEqual(
            read("HTTPS://app.example:443/a%2Fb?c=d"), Location("app.example", 443, "https://app.example/a%2Fb?c=d")
        )

    def test_the_fragment_is_kept_apart(self) -> None:
        """What follows # is not asked for."""
        found = read("https://app.example/request.jwt#GkurKxf5T0Y-mnPFCHqWOMiZi4VS138cQO_V7PZHAdM")
        self.assertEqual(found.target, "https://app.example/request.jwt")
        self.assertEqual(found.fragment, "#GkurKxf5T0Y-mnPFCHqWOMiZi4VS138cQO_V7PZHAdM")

    def test_ports(self) -> None:
        """The ports of the settings are called, and of a host that was opened any."""
        self.assertEqual(read("https://app.example:8443/").port, 8443)
        self.assertEqual(read("https://inner.test:4711/").port, 4711)

    def test_an_address(self) -> None:
        """An IPv4 address in its usual spelling is a host."""
        self.assertEqual(read("https://192.0.2.1/").host, "192.0.2.1")

    @given(
        st.text(_CHARACTERS), st.text(_CHARACTERS + "?"), st.sampled_from(["", ":8443"]),
        st.sampled_from(["a.example", "x-1.y_z.test", "192.0.2.7", "xn--bcher-kva.example"]),
    )  # fmt: skip
    def test_what_is_read_is_what_is_asked_for(self, path: str, query: str, port: str, host: str) -> None:
        """The library that sends the request reads host, port, path and query as they were judged."""
        found = read(f"https://{host}{port}/{path}?{query}")  # an empty query is dropped by both
        recording = Recording()
        try:
            HTTPClient(recording).get(found.target, unbuffered=True, allow_redirects=False)
        except UnicodeError:
            self.assertIn("_", host)
            return
        uri = URI.fromBytes(recording.uris[0])
        self.assertEqual((uri.scheme, uri.host.decode(), uri.port), (b"https", found.host, found.port))
        self.assertEqual(recording.uris[0].decode(), found.target)


class BadTests(SynchronousTestCase):
    """URLs that are not read."""

    def refused(self, *urls: str) -> set[str]:
        """Every one is refused; the reasons."""
        return {self.assertRaises(FetchRefused, read, url).description for url in urls}

    def test_other_schemes(self) -> None:
        """A URL of any scheme but https, or of none, is refused."""
        urls = (
            "http://app.example/", "file:///etc/passwd", "ftp://app.example/", "//app.example/", "/a", "", "https:/a",
            "gopher://app.example/", "data:application/json,{}", "https:app.example", "urn:example:a", "javascript:1",
        )  # fmt: skip
        self.assertEqual(self.refused(*urls), {"is not at an https URL"})

    def test_users(self) -> None:
        """A URL has no user name and no password, however they are written."""
        urls = ("https://a@app.example/", "https://a:b@app.example/", "https://@app.example/", "https://app.example@x/")
        self.assertEqual(self.refused(*urls), {"has a URL with a user name or password"})

    def test_ports(self) -> None:
        """Other ports are refused, and what is no port at all."""
        self.assertEqual(self.refused("https://app.example:22/"), {"is at port 22, which this server does not call"})
        self.refused("https://inner.test:65536/", "https://app.example:99999/")
        urls = ("https://app.example:/", "https://app.example:0443/", "https://app.example:0/", "https://app.example:x/",
                "https://app.example:-1/", "https://app.example:8443:443/", "https://app.example:443443/")  # fmt: skip
        self.assertEqual(self.refused(*urls), {"has a malformed URL"})

    def test_odd_addresses(self) -> None:
        """127.0.0.1 in disguise is no host."""
        urls = ("https://127.1/", "https://2130706433/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://1.2.3/",
                "https://0x7f000001/", "https://127.0.0.1./", "https://127.0.0.256/", "https://1.2.3.4.5/",
                "https://app.0x/", "https://\uff11\uff12\uff17.0.0.1/")  # fmt: skip
        self.assertEqual(self.refused(*urls), {"has a malformed URL"})

    def test_ipv6(self) -> None:
        """An IPv6 address in the place of a name is told to be unknown here."""
        urls = ("https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[2001:db8::1]:8443/")
        said = "has an IPv6 address in the place of a host name, which is not supported"
        self.assertEqual(self.refused(*urls), {said})
        self.refused("https://[fe80::1%25eth0]/", "https://[]/", "https://[::1/")

    def test_malformed(self) -> None:
        """What two readers could read in two ways is read by none."""
        urls = ("https://app.example\\@inner.test/", "https://app.example/ a", "https://app.example/\r\nHost: b",
                "https://app.example/%zz", "https://app.example/%", "https://-app.example/", "https://app..example/",
                "https://app.example./", "https://app%2eexample/", "https://b\u00fccher.example/", "https://app.example\t/",
                "https://app.example/\u00fc", "https://app.example/a\x00", "https:///a", "https://app.example/#a#b",
                "https://app.example/<", 'https://app.example/"', "https://app.example/{a}", "https://app.example/a\n",
                f"https://{'a' * 64}.example/", f"https://{'a.' * 126}example/")  # fmt: skip
        self.assertEqual(self.refused(*urls), {"has a malformed URL"})

    def test_too_long(self) -> None:
        """A URL is short enough to be kept."""
        self.refused("https://app.example/" + "a" * LONGEST)


class SiteTests(SynchronousTestCase):
    """`site`"""

    def test_sites(self) -> None:
        """Hosts that one registration gives are of one site, and those of different ones are not."""
        for host, expected in (
            ("app.example", "app.example"),
            ("a.b.app.example", "app.example"),
            ("app.co.uk", "app.co.uk"),
            ("a.b.app.co.uk", "app.co.uk"),
            ("app.com", "app.com"),
            ("a.ab.de", "ab.de"),
            ("a.t.co", "t.co"),
            ("localhost", "localhost"),
            ("co.uk", "co.uk"),
            ("203.0.113.7", "203.0.113"),
        ):
            self.assertEqual(site(host), expected)
