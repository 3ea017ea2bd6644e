"""Scopes: syntax, and who gets which."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import scopes
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.records import Client, Scope, Scopes

KNOWN = Scopes(
    (
        Scope(1, "openid"),
        Scope(2, "email"),
        Scope(3, "read_write"),
        Scope(4, "account", reserved=True),
        Scope(5, "admin", reserved=True, administrators_only=True),
        Scope(6, "audit", administrators_only=True),
    ),
    6,
)
TOKENS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'), min_size=1)


def client(named: tuple[str, ...] | None = None, default: tuple[str, ...] = ()) -> Client:
    """A client with a list of scopes and defaults."""
    return Client("c", 1, "C", "confidential", 0, 0, scopes=named, default_scopes=default)


class ScopeTests(SynchronousTestCase):
    """`parse`, `granted`, `granted_to_client`, `narrowed`."""

    def invalid(self, call: object, *arguments: object) -> None:
        """The call is refused as invalid_scope."""
        error = self.assertRaises(OAuthError, call, *arguments)
        self.assertEqual(error.kind.code, "invalid_scope")

    @given(st.lists(TOKENS))
    def test_tokens_of_the_grammar(self, tokens: list[str]) -> None:
        """Every token of RFC 6749 section 3.3 is read, in order, each once."""
        self.assertEqual(scopes.parse(" ".join(tokens)), tuple(dict.fromkeys(tokens)))
        self.assertTrue(all(map(scopes.is_token, tokens)))

    @given(st.text())
    def test_any_text_is_survived(self, text: str) -> None:
        """Whatever is sent is read as tokens of the grammar, or refused as invalid_scope."""
        try:
            found = scopes.parse(text)
        except OAuthError as error:
            self.assertEqual(error.kind.code, "invalid_scope")
        else:
            self.assertTrue(all(map(scopes.is_token, found)))
            self.assertEqual(scopes.parse(scopes.joined(found)), found)

    def test_blanks(self) -> None:
        """Runs of spaces are one; an absent or empty scope is none; other white space is malformed."""
        self.assertEqual(scopes.parse("  openid   email "), ("openid", "email"))
        self.assertEqual((scopes.parse(None), scopes.parse(""), scopes.parse(" ")), ((), (), ()))
        for text in ("openid\temail", "openid\n", "openid\u00a0email", 'a"b', "a\\b", "é", "a\x7f", "\x00"):
            self.invalid(scopes.parse, text)
        self.assertFalse(scopes.is_token(""))

    def test_any_scope_but_reserved_ones(self) -> None:
        """A client without a list gets every known scope that is not reserved, in the order asked."""
        self.assertEqual(scopes.granted("read_write openid", client(), KNOWN, False), ("read_write", "openid"))
        for administrator in (False, True):
            for requested in ("account", "admin", "openid admin", "unknown", "openid unknown", "OpenID"):
                self.invalid(scopes.granted, requested, client(), KNOWN, administrator)

    def test_a_list_is_the_limit(self) -> None:
        """A client with a list gets what it names, reserved scopes too, and nothing else; an empty list gives none."""
        named = client(("openid", "account"))
        self.assertEqual(scopes.granted("account openid", named, KNOWN, False), ("account", "openid"))
        self.invalid(scopes.granted, "email", named, KNOWN, False)
        self.invalid(scopes.granted, "openid", client(()), KNOWN, False)

    def test_a_named_scope_must_exist(self) -> None:
        """A scope that was deleted is unknown, though clients still name it."""
        self.invalid(scopes.granted, "gone", client(("gone",)), KNOWN, True)

    def test_administrators_only(self) -> None:
        """Only administrators get the scope; for anybody else it is refused, not dropped."""
        named = client(("openid", "admin"))
        self.assertEqual(scopes.granted("openid admin", named, KNOWN, True), ("openid", "admin"))
        self.invalid(scopes.granted, "openid admin", named, KNOWN, False)
        self.assertEqual(scopes.granted("audit", client(), KNOWN, True), ("audit",))
        self.invalid(scopes.granted, "audit", client(), KNOWN, False)

    def test_client_for_itself(self) -> None:
        """A client without a user gets an administrators' scope only when its own list names it."""
        self.assertEqual(scopes.granted_to_client("admin", client(("admin",)), KNOWN), ("admin",))
        self.assertEqual(scopes.granted_to_client("read_write", client(), KNOWN), ("read_write",))
        for named in (None, (), ("openid",)):
            self.invalid(scopes.granted_to_client, "admin", client(named), KNOWN)
            self.invalid(scopes.granted_to_client, "audit", client(named), KNOWN)

    def test_defaults(self) -> None:
        """A request without scope gets the client's default, else none; what is not allowed today is left out of it."""
        self.assertEqual(scopes.granted(None, client(), KNOWN, True), ())
        preset = client(("openid", "admin", "gone"), ("openid", "admin", "gone", "email", "openid"))
        for requested in (None, "", "  "):
            self.assertEqual(scopes.granted(requested, preset, KNOWN, False), ("openid",))
            self.assertEqual(scopes.granted(requested, preset, KNOWN, True), ("openid", "admin"))
            self.assertEqual(scopes.granted_to_client(requested, preset, KNOWN), ("openid", "admin"))

    @given(
        st.lists(st.sampled_from(["openid", "email", "account", "admin", "audit", "gone", "x y"])),
        st.none() | st.lists(st.sampled_from(["openid", "email", "account", "admin", "audit", "gone"])),
        st.lists(st.sampled_from(["openid", "email", "account", "admin", "audit", "gone"])),
        st.booleans(),
    )
    def test_never_more_than_allowed(
        self, asked: list[str], named: list[str] | None, default: list[str], administrator: bool
    ) -> None:
        """Whatever comes out is known, allowed to the client, and no administrators' scope for others."""
        holder = client(None if named is None else tuple(named), tuple(default))
        try:
            found = scopes.granted(" ".join(asked), holder, KNOWN, administrator)
        except OAuthError:
            return
        for name in found:
            scope = next(scope for scope in KNOWN.scopes if scope.name == name)
            self.assertTrue(name in named if named is not None else not scope.reserved)
            self.assertTrue(administrator or not scope.administrators_only)

    def test_narrowing(self) -> None:
        """A refresh keeps all of it, or less; never more, also not what the client might get anew."""
        held = ("openid", "email")
        self.assertEqual(scopes.narrowed(None, held), held)
        self.assertEqual(scopes.narrowed("email", held), ("email",))
        self.assertEqual(scopes.narrowed("email openid email", held), ("email", "openid"))
        self.invalid(scopes.narrowed, "email read_write", held)
        self.invalid(scopes.narrowed, "openid", ())

    def test_the_error_names_the_scope(self) -> None:
        """The developer learns which scope it was, if it is of sensible length."""
        error = self.assertRaises(OAuthError, scopes.granted, "openid nope", client(), KNOWN, False)
        self.assertIn("nope", error.description)
        error = self.assertRaises(OAuthError, scopes.granted, "n" * 5000, client(), KNOWN, False)
        self.assertLess(len(error.description), 200)
