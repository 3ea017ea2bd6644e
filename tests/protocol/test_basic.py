"""`Authorization`: Basic client credentials (RFC 6749 section 2.3.1, RFC 7617) and Bearer tokens (RFC 6750)."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import basic
from oauthd.protocol.errors import OAuthError

TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)


def header(text: str | bytes) -> str:
    """A Basic field around what is encoded."""
    octets = text.encode() if isinstance(text, str) else text
    return "Basic " + base64.b64encode(octets).decode()


class BasicTests(SynchronousTestCase):
    """`credentials`."""

    def refused(self, field: str) -> None:
        """It is refused as invalid_client, and nothing of it is echoed."""
        error = self.assertRaises(OAuthError, basic.credentials, field)
        self.assertEqual(error.kind.code, "invalid_client")
        self.assertNotIn("s3cret", repr(error))

    def test_rfc6749_example(self) -> None:
        """The example of RFC 6749 section 2.3.1."""
        field = "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3"
        self.assertEqual(basic.credentials(field), ("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"))

    @given(TEXT.filter(bool), TEXT)
    def test_what_clients_encode_comes_back(self, client_id: str, secret: str) -> None:
        """Ids and secrets of any letters survive, whether a space is sent as plus or as %20."""
        for encode in (quote_plus, lambda text: quote(text, safe="")):
            self.assertEqual(basic.credentials(header(f"{encode(client_id)}:{encode(secret)}")), (client_id, secret))

    def test_every_character_may_be_encoded(self) -> None:
        """A client may encode even letters, with digits of either case."""
        encoded = "".join(f"%{ord(letter):02x}" for letter in "id-1") + ":" + "%73%2D%5F%2d"
        self.assertEqual(basic.credentials(header(encoded)), ("id-1", "s-_-"))

    def test_split_is_before_decoding(self) -> None:
        """The first plain colon splits; an encoded one belongs to the id, a further plain one to the secret."""
        self.assertEqual(basic.credentials(header("a%3Ab:c:d")), ("a:b", "c:d"))

    def test_decoded_once(self) -> None:
        """An encoded percent sign stays one."""
        self.assertEqual(basic.credentials(header("id:%2541")), ("id", "%41"))

    def test_scheme_ignores_case(self) -> None:
        """RFC 9110 section 11.1: the scheme may be in any case, and several blanks may follow it."""
        for name in ("basic", "BASIC", "bAsIc"):
            self.assertEqual(basic.credentials(header("a:b").replace("Basic", name)), ("a", "b"))
        self.assertEqual(basic.credentials(header("a:b").replace(" ", "   ")), ("a", "b"))

    def test_empty_secret_is_the_callers_to_judge(self) -> None:
        """A public client may send its id with an empty password."""
        self.assertEqual(basic.credentials(header("a:")), ("a", ""))

    def test_other_schemes(self) -> None:
        """Bearer, Digest, nothing, and something that is no scheme."""
        for field in ("Bearer abc", "Digest username=x", "", " ", "Basic", "Basic ", "Basi c", "Basicabc", "é a"):
            self.refused(field)

    def test_base64_has_one_spelling(self) -> None:
        """No missing padding, slack bits, url alphabet, blanks or line ends."""
        field = header("id:s3cret>>>????")  # ends in ==
        self.assertTrue(field.endswith("=="))
        for other in (
            field[:-1],
            field[:-2],
            field + "=",
            field[:-3] + chr(ord(field[-3]) + 1) + "==",
            field.replace("/", "_"),
            field[:12] + "\n" + field[12:],
            field[:12] + " " + field[12:],
            field + " ",
            field[:-1] + "é",
            field + "A",
        ):
            if other != field:
                self.refused(other)

    def test_bad_encodings(self) -> None:
        """A % without two digits, octets that are no UTF-8, overlong forms, surrogates, control characters."""
        for text in (b"id:50%", b"id:%4", b"id:%zz", b"i%d:x", b"id:%u0041", b"id:% 41"):
            self.refused(header(text))
        for text in (b"id:\xff", b"id:%ff", b"id:%c0%af", b"id:%ed%a0%80", b"id:%f5%80%80%80"):
            self.refused(header(text))
        for text in (b"id:%00", b"id%0a:x", b"id:\x7f", b"\r\n:x"):
            self.refused(header(text))

    def test_parts_missing(self) -> None:
        """No colon, or no id."""
        for text in ("s3cret", ":s3cret", ""):
            self.refused(header(text))

    def test_length_is_limited(self) -> None:
        """A field of any size is refused before it is decoded."""
        self.refused(header("a:" + "b" * 10000))

    @given(st.text())
    def test_any_text_is_survived(self, text: str) -> None:
        """Whatever is sent, the answer is credentials or an error of the protocol."""
        for field in (text, "Basic " + text, header(text.encode("utf-8", "surrogatepass"))):
            try:
                client_id, _ = basic.credentials(field)
            except OAuthError as error:
                self.assertEqual(error.kind.code, "invalid_client")
            else:
                self.assertTrue(client_id)


class BearerTests(SynchronousTestCase):
    """`bearer` and `scheme`."""

    def test_token(self) -> None:
        """Every character of the grammar, padding at the end, any case of the scheme."""
        for token in ("a", "a.b-c_d~e+f/g==", "oat_0123"):
            self.assertEqual(basic.access_token(f"Bearer {token}"), ("bearer", token))
            self.assertEqual(basic.access_token(f"bEARER  {token}"), ("bearer", token))
            self.assertEqual(basic.access_token(f"dPoP {token}"), ("dpop", token))

    def test_malformed(self) -> None:
        """Nothing, blanks, two tokens, padding inside, other letters: invalid_token (RFC 6750 section 3.1)."""
        for field in (
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a=b",
            "Bearer =",
            "Bearer é",
            "Bearer a,b",
            "Bearer a\n",
        ):
            error = self.assertRaises(OAuthError, basic.access_token, field)
            self.assertEqual((error.kind.code, error.kind.status), ("invalid_token", 401))

    def test_other_scheme(self) -> None:
        """A Basic field, or one of no scheme, has no access token."""
        for field in ("Basic YTpi", "Bearerabc", ""):
            self.assertRaises(OAuthError, basic.access_token, field)

    def test_scheme(self) -> None:
        """The scheme is told in lower case, "" for a field that has none."""
        fields = ("Basic x", "BEARER", "DPoP a b", "", " x", "a/b c")
        self.assertEqual([basic.scheme(field) for field in fields], ["basic", "bearer", "dpop", "", "", ""])
