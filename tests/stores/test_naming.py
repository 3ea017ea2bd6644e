"""No two things share a name in the server, and names that must stay together have one hash tag."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.stores import kinds, naming
from oauthd.stores.interface import Kind, Ref

_odd = st.text(st.sampled_from("{}%7BD:a\x00é"), max_size=8)
_refs = st.builds(Ref, st.sampled_from(kinds.KINDS), st.binary(max_size=8) | _odd.map(str.encode), _odd)


def _tag(key: bytes) -> bytes:
    """The part of a key that Redis Cluster hashes."""
    found = re.search(rb"\{([^}]+)\}", key)
    return found[1] if found else key


class NamingTests(SynchronousTestCase):
    """Keys and members."""

    @given(_refs)
    def test_members_are_read_back(self, ref: Ref[Any]) -> None:
        """A member of an index leads back to the reference it was made of."""
        self.assertEqual(naming.Members(kinds.KINDS).ref(naming.member(ref)), ref)

    @given(_refs, st.binary(max_size=8), st.sampled_from(kinds.KINDS))
    def test_one_slot_one_tag(self, ref: Ref[Any], ident: bytes, kind: Kind[Any]) -> None:
        """Records of one slot have one hash tag."""
        if ref.slot:
            self.assertEqual(_tag(naming.key(ref)), _tag(naming.key(Ref(kind, ident, ref.slot))))

    @given(st.text(min_size=1, max_size=8))
    def test_generations_stand_with_their_subject(self, ident: str) -> None:
        """The generation of a client or user has the hash tag of its record."""
        self.assertEqual(_tag(naming.generation(f"client:{ident}")), _tag(naming.key(kinds.client(ident))))
        self.assertEqual(_tag(naming.generation(f"user:{ident}")), _tag(naming.key(kinds.user(ident))))

    @given(st.lists(_refs, min_size=2, max_size=2, unique_by=lambda ref: (ref.kind.name, ref.slot, ref.ident)))
    def test_keys_differ(self, refs: list[Ref[Any]]) -> None:
        """Two references of the same shape have two keys, whatever their slots and identifiers hold."""
        one, other = refs
        if bool(one.slot) == bool(other.slot):
            self.assertNotEqual(naming.key(one), naming.key(other))

    def test_printed_examples(self) -> None:
        """The names are those of the module's table."""
        self.assertEqual(naming.key(kinds.ACCESS_TOKEN.at(b"\1\2")), b"a:\1\2")
        self.assertEqual(naming.key(kinds.REFRESH_TOKEN.at(b"\1\2", "g")), b"r:{g}:\1\2")
        self.assertEqual(naming.member(kinds.REFRESH_TOKEN.at(b"\1\2", "g")), b"r{g}\1\2")
        self.assertEqual(naming.key(kinds.client("app")), b"client:{app}:")
        self.assertEqual(naming.index("tc:app"), b"x:tc:app")
        self.assertEqual(naming.generation("client:app"), b"gen:client:{app}")
        self.assertEqual(naming.generation("world"), b"gen:world")

    def test_strangers(self) -> None:
        """A member of an unknown kind, or of none, is no reference."""
        members = naming.Members([kinds.CODE])
        for written in (b"a:x", b"", b"c", b"c{}x", b"c{a", b":x", b"C:x"):
            self.assertIsNone(members.ref(written), written)

    def test_subjects(self) -> None:
        """Only the world, clients and users have generations."""
        for subject in ("", "client", "client:", "user:", "grant:1", "worlds", "world:1"):
            with self.assertRaises(ValueError):
                naming.generation(subject)
