"""Redirect URIs: registration, comparison, and responses put on them."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import redirects
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.redirects import RedirectUri, choose, matches

ACCEPTED = (
    "https://client.example/cb",
    "https://client.example",
    "https://client.example/",
    "https://client.example:8443/cb?dummy1=lorem&dummy2=ipsum",
    "https://conformance.test:8443/test/a/oauthd/callback?dummy1=lorem&dummy2=ipsum",
    "https://192.0.2.1/cb",
    "https://[2001:db8::1]:444/cb",
    "https://sub_domain.client.example./cb%20x",
    "https://xn--bcher-kva.example/cb;a=b,c/@you",
    "http://127.0.0.1/cb",
    "http://127.0.0.1:3000/cb",
    "http://[::1]:3000/cb",
    "http://localhost:3000/cb",
    "http://localhost?x=y",
    "edu.kit.data.oidc-agent:/redirect",
    "com.example.app://callback",
    "com.example.app:/cb?x=1",
)
REFUSED = (
    # not absolute, or nothing there
    "",
    "/cb",
    "client.example/cb",
    "//client.example/cb",
    "https:",
    "https:/client.example/cb",
    "https:client.example",
    "https://",
    "https:///cb",
    "https://:443/cb",
    "https://?x",
    ":",
    # fragment
    "https://client.example/cb#",
    "https://client.example/cb#x",
    "com.example.app:/cb#x",
    # user names
    "https://client.example@evil.example/cb",
    "https://a:b@client.example/cb",
    "https://@client.example/cb",
    "http://127.0.0.1:80@evil.example/cb",
    "com.example.app://user@callback",
    # schemes that run or read something, in any case
    "javascript:alert(1)",
    "javascript://client.example/%0aalert(1)",
    "JavaScript:/x",
    "data:text/html,x",
    "data:/text/html,x",
    "file:///etc/passwd",
    "vbscript:/x",
    "about:/blank",
    "blob:https://client.example/x",
    "view-source:https://client.example/",
    "ws://client.example/cb",
    "ftp://client.example/cb",
    "mailto:/x",
    "urn:ietf:wg:oauth:2.0:oob",
    # schemes without a dot, in capitals, or with nothing behind them
    "myapp:/cb",
    "vscode://x/cb",
    "HTTPS://client.example/cb",
    "Com.example.app:/cb",
    "com.example.app:",
    "com.example.app:cb",
    ".com:/cb",
    "1com.example:/cb",
    # plain http to others, and to hosts that only look like this one
    "http://client.example/cb",
    "http://127.0.0.2/cb",
    "http://127.0.0.1.evil.example/cb",
    "http://localhost.evil.example/cb",
    "http://localhost./cb",
    "http://LOCALHOST/cb",
    "http://[::2]/cb",
    "http://[::ffff:127.0.0.1]/cb",
    # hosts that browsers read as something else
    "https://2130706433/cb",
    "https://0x7f000001/cb",
    "https://127.1/cb",
    "https://0177.0.0.1/cb",
    "https://127.0.0.1./cb",
    "https://client.0x1/cb",
    "https://[0:0:0:0:0:0:0:1]/cb",
    "https://[::1%25eth0]/cb",
    "https://[::1/cb",
    "https://::1/cb",
    "https://[client.example]/cb",
    # wildcards, empty labels, encoded hosts
    "https://*.client.example/cb",
    "https://*/cb",
    "https://client..example/cb",
    "https://.client.example/cb",
    "https://client%2eexample/cb",
    "https://client.example%00.evil.example/cb",
    # ports
    "https://client.example:/cb",
    "https://client.example:0/cb",
    "https://client.example:080/cb",
    "https://client.example:65536/cb",
    "https://client.example:x/cb",
    "https://client.example:1:2/cb",
    "http://127.0.0.1:*/cb",
    # characters
    "https://client.example/c b",
    " https://client.example/cb",
    "https://client.example/cb\n",
    "https://client.example/cb\r\nSet-Cookie: x",
    "https://client.example/cb\t",
    "https://client.example\\@evil.example/cb",
    "https://client.example/\\evil",
    "https://client.example/cb\x00",
    "https://client.example/é",
    "https://bücher.example/cb",
    "https://client.example/%",
    "https://client.example/%4",
    "https://client.example/%zz",
    'https://client.example/"',
    "https://client.example/<x>",
    "https://client.example/{x}",
    "https://client.example/\ud800",
    "https://client.example/[x",
    "https://client.example/cb?x=[",
    "com.example.app:/x]",
    "https://client.example/" + "x" * 2000,
)


VALUES = st.text(st.characters(codec="utf-8"))


class RegistrationTests(SynchronousTestCase):
    """`validate_registered`."""

    def test_accepted(self) -> None:
        """What clients register in earnest is accepted, character by character."""
        for uri in ACCEPTED:
            self.assertEqual(redirects.validate_registered(uri), RedirectUri(uri))

    def test_refused(self) -> None:
        """What could send a response elsewhere than a person thinks is refused, and not echoed."""
        for uri in REFUSED:
            error = self.assertRaises(OAuthError, redirects.validate_registered, uri)
            self.assertEqual(error.kind.code, "invalid_redirect_uri", uri)
            self.assertNotIn("evil", repr(error))
            self.assertTrue(error.description.isascii())

    def test_plain_http_by_the_operators_word(self) -> None:
        """http to other hosts can be allowed; nothing else is, by that."""
        self.assertEqual(
            redirects.validate_registered("http://client.example/cb", plain_http=True).value, "http://client.example/cb"
        )
        for uri in REFUSED:
            if not uri.startswith("http://"):
                self.assertRaises(OAuthError, redirects.validate_registered, uri, plain_http=True)

    def test_schemes_by_the_operators_word(self) -> None:
        """A scheme without a dot can be allowed by name, a dangerous one never."""
        names = ("myapp", "javascript", "data", "file")
        self.assertEqual(redirects.validate_registered("myapp:/cb", schemes=names).value, "myapp:/cb")
        for uri in ("javascript:/x", "data:/x", "file:///x", "other:/cb"):
            self.assertRaises(OAuthError, redirects.validate_registered, uri, schemes=names)

    @given(st.text(max_size=30), st.sampled_from(["", "https://", "http://127.0.0.1", "com.example:/", "https://h/"]))
    def test_what_passes_is_safe_in_a_header(self, text: str, start: str) -> None:
        """Whatever is registered can stand in a header field and inside quotes, and names one host to everybody."""
        try:
            uri = redirects.validate_registered(start + text)
        except OAuthError:
            return
        self.assertNotRegex(uri.value, r"[\x00-\x20\x7f-\U0010ffff\"<>\\^`{|}#]")
        if uri.value.startswith("http"):
            self.assertIsNone(urlsplit(uri.value).username)


class ComparisonTests(SynchronousTestCase):
    """`matches` and `choose`."""

    def test_equal_strings(self) -> None:
        """Each registered URI matches itself."""
        for uri in ACCEPTED:
            self.assertTrue(matches(uri, uri))

    def test_nothing_is_normalised(self) -> None:
        """Case, default port, dots, encodings, slashes, queries, parts: each difference counts."""
        for registered, presented in (
            ("https://client.example/cb", "https://CLIENT.example/cb"),
            ("https://client.example/cb", "HTTPS://client.example/cb"),
            ("https://client.example/cb", "https://client.example:443/cb"),
            ("https://client.example/cb", "https://client.example/cb/"),
            ("https://client.example/cb", "https://client.example/cb?"),
            ("https://client.example/cb", "https://client.example/cb?x=y"),
            ("https://client.example/cb", "https://client.example/cb#"),
            ("https://client.example/cb", "https://client.example/./cb"),
            ("https://client.example/cb", "https://client.example/%63b"),
            ("https://client.example/cb", "https://client.example/c"),
            ("https://client.example/cb", "https://client.example/cb\n"),
            ("https://client.example/cb", "https://client.example/CB"),
            ("https://client.example", "https://client.example/"),
            ("https://client.example/cb?x=y", "https://client.example/cb"),
            ("com.example.app:/cb", "com.example.app://cb"),
        ):
            self.assertFalse(matches(registered, presented), presented)
            self.assertFalse(matches(presented, registered), presented)

    def test_port_of_loopback_addresses(self) -> None:
        """RFC 8252 section 7.3: any port of 127.0.0.1 and [::1], also when none was registered."""
        for host in ("127.0.0.1", "[::1]"):
            for registered in (f"http://{host}/cb?x=y", f"http://{host}:3000/cb?x=y"):
                for port in ("", ":1", ":51004", ":65535"):
                    self.assertTrue(matches(registered, f"http://{host}{port}/cb?x=y"))
            self.assertTrue(matches(f"http://{host}", f"http://{host}:1"))

    def test_nothing_but_the_port(self) -> None:
        """With a loopback port everything else still counts, and only a real port is one."""
        registered = "http://127.0.0.1:3000/cb?x=y"
        for presented in (
            "http://127.0.0.1:4000/cb",
            "http://127.0.0.1:4000/cb?x=z",
            "http://127.0.0.1:4000/cb?x=y#",
            "http://127.0.0.1:4000/cb2?x=y",
            "http://127.0.0.1:4000//cb?x=y",
            "https://127.0.0.1:4000/cb?x=y",
            "http://127.0.0.2:4000/cb?x=y",
            "http://127.0.0.1:65536/cb?x=y",
            "http://127.0.0.1:99999/cb?x=y",
            "http://127.0.0.1:0/cb?x=y",
            "http://127.0.0.1:/cb?x=y",
            "http://127.0.0.1:04000/cb?x=y",
            "http://127.0.0.1:-1/cb?x=y",
            "http://127.0.0.1:4000@evil.example/cb?x=y",
            "http://127.0.0.1@evil.example/cb?x=y",
            "http://127.0.0.1.evil.example/cb?x=y",
            "http://127.0.0.1:4000.evil.example/cb?x=y",
            "http://evil.example/http://127.0.0.1:4000/cb?x=y",
            "http://[::1]:4000/cb?x=y",
            "http://localhost:4000/cb?x=y",
            "http://127.0.0.1:٣/cb?x=y",
            "http://127.0.0.1:4000/cb?x=y\n",
        ):
            self.assertFalse(matches(registered, presented), presented)

    def test_localhost_has_no_exception(self) -> None:
        """A name may lead elsewhere: the port of localhost counts, and so does that of https."""
        self.assertFalse(matches("http://localhost:3000/cb", "http://localhost:4000/cb"))
        self.assertFalse(matches("https://127.0.0.1:3000/cb", "https://127.0.0.1:4000/cb"))

    @given(st.sampled_from(ACCEPTED), st.text(max_size=10), st.integers(0, 60), st.integers(0, 10))
    def test_a_match_leads_to_the_registered_place(self, registered: str, text: str, start: int, length: int) -> None:
        """A spliced URI matches only when it is equal, or when it is once the loopback port is cut out."""
        presented = registered[:start] + text + registered[start + length :]
        if matches(registered, presented) and presented != registered:
            left, right = urlsplit(registered), urlsplit(presented)
            self.assertIn(right.hostname, ("127.0.0.1", "::1"))
            self.assertEqual(left._replace(netloc=""), right._replace(netloc=""))
            self.assertEqual(left.hostname, right.hostname)
            self.assertIsNone(right.username)

    def test_choice(self) -> None:
        """The named one among several; the only one when none is named; else an error that no redirect carries."""
        two = ("https://a.example/cb", "http://127.0.0.1/cb")
        self.assertEqual(choose(two, two[0]), RedirectUri(two[0]))
        self.assertEqual(choose(two, "http://127.0.0.1:99/cb"), RedirectUri("http://127.0.0.1:99/cb"))
        self.assertEqual(choose(two[:1], None), RedirectUri(two[0]))
        for registered, presented in ((two, None), ((), None), ((), two[0]), (two, "https://evil.example/cb")):
            error = self.assertRaises(OAuthError, choose, registered, presented)
            self.assertEqual(error.kind.code, "invalid_request")
            self.assertNotIn("evil", repr(error))


class RedirectUriTests(SynchronousTestCase):
    """The value."""

    @given(st.sampled_from(ACCEPTED), st.lists(st.tuples(VALUES, VALUES), max_size=4))
    def test_parameters_arrive(self, uri: str, pairs: list[tuple[str, str]]) -> None:
        """A form decoder finds the old query and then the new pairs, whatever characters they hold."""
        result = RedirectUri(uri).with_parameters(pairs)
        query = urlsplit(result).query
        old = parse_qsl(urlsplit(uri).query, keep_blank_values=True)
        self.assertEqual(parse_qsl(query, keep_blank_values=True), old + pairs)
        self.assertTrue(result.startswith(uri))
        self.assertNotRegex(result, r"[\x00-\x20\x7f-\U0010ffff\"'<>\\#]")

    def test_queries_are_kept(self) -> None:
        """The registered query is kept as it is; a lone question mark or ampersand is used."""
        for uri, expected in (
            ("https://a.example", "https://a.example?code=x&state=a%26b%3D%23%2B%20%C3%A9"),
            ("https://a.example/?", "https://a.example/?code=x&state=a%26b%3D%23%2B%20%C3%A9"),
            ("https://a.example/?q=%2f", "https://a.example/?q=%2f&code=x&state=a%26b%3D%23%2B%20%C3%A9"),
            ("https://a.example/?q&", "https://a.example/?q&code=x&state=a%26b%3D%23%2B%20%C3%A9"),
            ("com.a:/cb", "com.a:/cb?code=x&state=a%26b%3D%23%2B%20%C3%A9"),
        ):
            self.assertEqual(RedirectUri(uri).with_parameters([("code", "x"), ("state", "a&b=#+ é")]), expected)
        self.assertEqual(RedirectUri("https://a.example/?q").with_parameters([]), "https://a.example/?q")

    def test_where_it_leads(self) -> None:
        """Whether any application on the device could be at the other end."""
        for uri, native in (
            ("https://a.example:8443/cb?x=https://b.example", False),
            ("https://a.example?x=/y", False),
            ("http://b.example/cb", False),
            ("http://localhost:3000/cb", True),
            ("https://localhost/cb", True),
            ("http://127.0.0.1", True),
            ("http://[::1]:80/cb", True),
            ("https://[2001:db8::1]/cb", False),
            ("com.example.app://callback/x", True),
        ):
            self.assertIs(RedirectUri(uri).native, native, uri)


class PlaceTests(SynchronousTestCase):
    """What people know a redirect URI by."""

    def test_place(self) -> None:
        """Scheme and host, with the port save on one's own device; of an application its scheme."""
        for uri, place in (
            ("https://app.example/cb?x=1", "https://app.example"),
            ("https://APP.example:8443", "https://app.example:8443"),
            ("http://127.0.0.1:4711/cb", "http://127.0.0.1"),
            ("http://[::1]:4711/cb", "http://[::1]"),
            ("http://localhost/cb", "http://localhost"),
            ("com.example.app:/cb", "com.example.app"),
        ):
            self.assertEqual(RedirectUri(uri).place, place)
