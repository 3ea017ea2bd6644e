"""Schemas read what they publish: a JSON Schema validator that is not ours agrees with the reader on every value."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from oauthd.admin import claims
from oauthd.admin.client_members import CLIENT_ID
from oauthd.admin.users import USER_ID, USERNAME, PasswordRule
from oauthd.protocol.lockout import canonical_name
from oauthd.protocol.schemas import (
    ABSENT,
    Choice,
    Flag,
    Listing,
    Member,
    Members,
    Nullable,
    Problems,
    Schema,
    Text,
    Variants,
    Whole,
)

_WORDS = Text("[a-z]+|[0-9]{2}", shortest=1, longest=4)
_SMALL = Members((Member("a", _WORDS, required=True), Member("b", Nullable(Flag()), default=None)))
SCHEMAS: tuple[Schema, ...] = (
    Text(),
    _WORDS,
    Choice(("a", "b")),
    Flag(),
    Flag(only=True),
    Whole(-3, 12),
    Nullable(Whole(0, 1)),
    Nullable(Choice(("a",))),
    Listing(_WORDS, 3, distinct=True),
    Listing(Nullable(Flag())),
    _SMALL,
    Members((Member("a", _WORDS), Member("c", _SMALL)), least=1),
    Variants("a", "x", {"x": Members((Member("b", Flag()),)), "y": Members((Member("c", Flag(), required=True),))}),
    claims.CLAIMS,
    claims.PROFILE,
    CLIENT_ID,
    USER_ID,
    USERNAME,
    PasswordRule(8, 1024).schema,
)
_texts = st.one_of(st.sampled_from(["a", "b", "x", "y", "ab", "12", "email", "name"]), st.text(max_size=6))
_names = st.one_of(
    st.sampled_from(["a", "b", "c", *(member.name for member in claims.CLAIMS.members)]), st.text(max_size=3)
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([0, 1, 1.0, 12.0, 0.5, 13, -3]) | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=8,
)


def problems(schema: Schema, value: Any) -> Problems:
    """What the reader finds wrong."""
    found: Problems = {}
    schema.read(value, "", found)
    return found


class AgreementTests(SynchronousTestCase):
    """Reader and document."""

    def agree(self, schema: Schema, value: Any) -> None:
        """Both accept the value, or neither does."""
        document = schema.document()
        accepted = Draft202012Validator(document).is_valid(value)
        self.assertEqual(not problems(schema, value), accepted, (document, value))

    @given(st.sampled_from(SCHEMAS), _values)
    def test_any_value(self, schema: Schema, value: Any) -> None:
        """Reader and document agree about any JSON value."""
        self.agree(schema, value)

    @given(st.data())
    def test_texts_of_the_form(self, data: st.DataObject) -> None:
        """Texts of the published form, and texts that are one character away from it."""
        every = (*SCHEMAS, *(member.schema for member in claims.CLAIMS.members))
        schema = data.draw(st.sampled_from([one for one in every if isinstance(one, Text)]))
        text = data.draw(st.from_regex(re.compile(schema.pattern or ".*"), fullmatch=True))
        self.agree(schema, text)
        at = data.draw(st.integers(0, len(text)))
        other = text[:at] + data.draw(st.characters()) + text[at:]
        assume(not other.endswith("\n"))  # where the validator's `$`, which is Python's, is not that of ECMA-262
        self.agree(schema, other)

    def test_documents(self) -> None:
        """Every document is a JSON Schema."""
        for schema in SCHEMAS:
            Draft202012Validator.check_schema(schema.document())


class ReadTests(SynchronousTestCase):
    """What reading gives."""

    def test_defaults(self) -> None:
        """Members that are left out have their default, or are missing."""
        defaulted = (Member("a", Listing(Flag()), default=[]), Member("c", Flag(), default=True))
        schema = Members((*defaulted, Member("b", Flag())))
        self.assertEqual(schema.read({}, "", {}), {"a": (), "c": True})
        self.assertEqual(schema.given_only().read({}, "", {}), {})
        self.assertIs(schema.given_only().members[0].default, ABSENT)

    def test_paths(self) -> None:
        """What is wrong is named by its path."""
        schema = Members((Member("a", Listing(_SMALL)), Member("d", Flag(), required=True)))
        found = problems(schema, {"a": [{"a": "x"}, {"a": 1, "z": 2}, 3]})
        self.assertEqual(sorted(found), ["a.1.a", "a.1.z", "a.2", "d"])

    def test_numbers(self) -> None:
        """A whole number is an int however JSON wrote it."""
        read = Whole(0, 10).read(7.0, "", {})
        self.assertEqual((read, type(read)), (7, int))


class FormTests(SynchronousTestCase):
    """The forms of names."""

    @given(st.from_regex(re.compile(USERNAME.pattern), fullmatch=True))
    def test_usernames_can_be_seen(self, name: str) -> None:
        """Something is left of every name when names are compared, and it has no blanks at its ends."""
        self.assertTrue(canonical_name(name))
        self.assertEqual(name, name.strip())

    def test_usernames(self) -> None:
        """Names of all peoples are names."""
        for name in ("alice", "O'Brien-Smith", "Jürgen Müller", "李小龙", "محمد", "अमित", "a", "a@example.com", "🔑"):
            self.assertEqual(problems(USERNAME, name), {}, name)
        for name in ("", " a", "a ", "\u200b", "a\u202eb", "\ufeffa", "a\u2029", "\x7f", "\u00ad"):
            self.assertNotEqual(problems(USERNAME, name), {}, name)
