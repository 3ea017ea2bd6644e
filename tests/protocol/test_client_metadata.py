"""What a client may be registered with: the published forms and the rules behind them say the same."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import client_metadata as metadata
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.redirects import validate_registered
from oauthd.protocol.scopes import is_token


class RedirectUriTests(SynchronousTestCase):
    """`REDIRECT_URI` and `redirects.validate_registered`"""

    @given(st.from_regex(re.compile(metadata.REDIRECT_URI, re.ASCII), fullmatch=True))
    def test_form_is_accepted(self, uri: str) -> None:
        """Whatever has the published form may be registered."""
        if len(uri) <= metadata.LONGEST_URI:
            self.assertEqual(validate_registered(uri).value, uri)

    def test_what_is_in_use(self) -> None:
        """Redirect URIs as applications have them have the form."""
        for uri in (
            "https://app.example/cb",
            "https://app.example",
            "https://app.example:8443/cb?a=b&c=%20",
            "https://APP.example/",
            "https://10.0.0.1/cb",
            "https://[2001:db8::1]/cb",
            "https://[2001:db8:1:2:3:4:5:6]:8443/cb",
            "http://localhost:3000/cb",
            "http://127.0.0.1/cb",
            "http://[::1]:1/",
            "com.example.app:/cb",
            "com.example.app://cb/x",
            "com.example.app:/",
        ):
            self.assertTrue(re.fullmatch(metadata.REDIRECT_URI, uri), uri)
            validate_registered(uri)

    def test_what_is_refused(self) -> None:
        """What may not be registered has not the form either."""
        for uri in (
            "",
            "/cb",
            "http://app.example/cb",
            "https://app.example/#f",
            "https://a@app.example/",
            "https://0x7f.1/",
            "https://127.1/",
            "https://256.0.0.1/",
            "https://app.example:65536/",
            "https://app.example:0/",
            "https://[::01]/",
            "https://app.example/a b",
            "https://app.example/%zz",
            "https:app.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "myapp://cb",
            "com.example.app:cb",
            "com.example.app://a@b/",
            "https://app.example/\n",
        ):
            self.assertFalse(re.fullmatch(metadata.REDIRECT_URI, uri), uri)
            self.assertRaises(OAuthError, validate_registered, uri)


class FormTests(SynchronousTestCase):
    """The other forms."""

    @given(st.from_regex(re.compile(metadata.SCOPE, re.ASCII), fullmatch=True))
    def test_scopes(self, name: str) -> None:
        """A name of the form is a scope token (RFC 6749 section 3.3)."""
        self.assertTrue(is_token(name))

    def test_names(self) -> None:
        """A name is one line that can be read as it is written."""
        for name in ("a", "Your App Name", "Ünïcode 中文", "x" * 200, "Fotos \U0001f4f7"):
            self.assertTrue(metadata.is_name(name), name)
        for name in ("", " a", "a ", "a\nb", "a\x00", "a\u2028b", "a\u202eb", "\ufeff", "x" * 201, "\u00a0a"):
            self.assertFalse(metadata.is_name(name), name)

    def test_client_ids(self) -> None:
        """A chosen id is the same in a path, a form and a header."""
        for name in ("a", "A.b_c~d-1", "0" * 128):
            self.assertTrue(re.fullmatch(metadata.CLIENT_ID, name), name)
        for name in ("", ".", "..", "-a", "a/b", "a:b", "a b", "a%b", "é", "a\n", "0" * 129):
            self.assertFalse(re.fullmatch(metadata.CLIENT_ID, name), name)

    def test_resources(self) -> None:
        """A resource is an absolute URI without fragment (RFC 8707 section 2)."""
        for uri in ("https://api.example/", "urn:example:api", "https://api.example/a?b=c"):
            self.assertTrue(re.fullmatch(metadata.RESOURCE, uri), uri)
        for uri in ("", "api", "//api.example", "https://api.example/#f", "https:", "a b:c", "https://api.example/ "):
            self.assertFalse(re.fullmatch(metadata.RESOURCE, uri), uri)


class UriListTests(SynchronousTestCase):
    """Redirect URIs in one string."""

    def test_split(self) -> None:
        """Blanks, commas and line breaks separate; each URI counts once."""
        self.assertEqual(metadata.split_uris(" https://a,https://b\n\thttps://c  https://a,, "), (
            "https://a", "https://b", "https://c"
        ))  # fmt: skip
        self.assertEqual(metadata.split_uris(" ,\n"), ())

    def test_too_many(self) -> None:
        """There is an end to how many a client has."""
        many = [f"https://a.example/{n}" for n in range(metadata.MOST_URIS + 1)]
        self.assertEqual(len(metadata.redirect_uris(many[1:])), metadata.MOST_URIS)
        self.assertRaises(OAuthError, metadata.redirect_uris, many)


class NameTests(SynchronousTestCase):
    """`is_name`"""

    def test_names(self) -> None:
        """What people can see is a name, in every writing; what they cannot is none, and is no part of one."""
        for name in ("A", "Ärzte", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u2764\ufe0f", "a" * 200):
            self.assertTrue(metadata.is_name(name), ascii(name))
        for name in ("", "\u200b", "A\u200b", "A\u2060B", "\ufe0f", "\u3164", "A\U000e0041", "\U000e0041", "a" * 201):
            self.assertFalse(metadata.is_name(name), ascii(name))
