"""What something stands on: it holds while all of that does."""

from __future__ import annotations

from typing import get_type_hints

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.records import AccessToken, Generations, StatusEntry
from oauthd.protocol.standing import MOST_NAMES, NOWHERE, SUBJECTS, Standing, needs_beginning
from oauthd.stores.codec import codec
from tests.stores.case import access

_SUBJECTS = st.sampled_from(["world", "client:a", "client:b", "user:u", "resource:https://a", "resource:https://b"])
_NAMES = st.sampled_from([b"a:1", b"a:2", b"g:g", b"v:j", b"v:k"])
_STANDINGS = st.builds(
    lambda numbers, there, gone: Standing(tuple(numbers.items()), tuple(there), tuple(gone)),
    st.dictionaries(_SUBJECTS, st.none() | st.integers(1, 3)),
    st.sets(_NAMES),
    st.sets(_NAMES),
)
_TODAY = st.fixed_dictionaries({name: st.none() | st.integers(1, 3) for name in (
    "world", "client:a", "client:b", "user:u", "resource:https://a", "resource:https://b")})  # fmt: skip

WHOLE = replace(
    access("app", "u1"),
    grant="g1",
    audience=("https://a", "https://b"),
    resource_generations=(0, 4),
    generations=Generations(1, 2, 3),
    under=(("client:other", 5),),
    parents=(b"a:parent", b"v:jti", b"g:g2"),
)


class StandingTests(SynchronousTestCase):
    """Of records, and of several together."""

    def test_of_a_token(self) -> None:
        """All that a record says it stands on is there, and its own name."""
        standing = Standing.of(WHOLE, b"a:own")
        numbers = {
            "world": 1, "client:app": 2, "user:u1": 3, "resource:https://a": 0, "resource:https://b": 4,
            "client:other": 5,
        }  # fmt: skip
        self.assertEqual(dict(standing.numbers), numbers)
        self.assertEqual((set(standing.there), standing.gone), ({b"g:g1", b"a:parent", b"g:g2", b"a:own"}, (b"v:jti",)))
        self.assertEqual(Standing.of(WHOLE, b"v:own").gone, (b"v:jti", b"v:own"))

    def test_of_a_place_in_a_list(self) -> None:
        """What a status list knows of a token is all that the token stands on."""
        names = get_type_hints(StatusEntry).keys() & get_type_hints(AccessToken).keys() - {"secret"}
        entry = StatusEntry(**{name: getattr(WHOLE, name) for name in names})
        self.assertEqual(Standing.of(entry), Standing.of(WHOLE))

    def test_of_an_earlier_version(self) -> None:
        """What says in the earlier form what it was exchanged for stands on that: on a digest, or on a `jti`."""
        written, jti = bytes(range(32)), b"V1StGXR8Z5jdHi6BmyTa22"
        for parent, there, gone in ((written, (b"a:" + written,), ()), (jti, (), (b"v:" + jti,))):
            record = codec(AccessToken).decode(codec(AccessToken).encode(replace(access(), parent=parent)))
            for name in (b"", b"a:own"):
                standing = Standing.of(record, name)
                self.assertEqual((set(standing.there), standing.gone), ({*there, *filter(None, [name])}, gone))

    def test_of_a_machine(self) -> None:
        """Where there is no user there is none to stand on, whoever the token names."""
        record = replace(WHOLE, generations=Generations(1, 2, 0))
        self.assertNotIn("user:u1", dict(Standing.of(record).numbers))

    def test_whoever_had_not_begun(self) -> None:
        """What was issued under generations of nobody never lived."""
        for issued in (Generations(None, 1), Generations(1, None), Generations(1, 1, None)):
            self.assertFalse(Standing.of(replace(WHOLE, generations=issued)).began)
        self.assertTrue(Standing.of(WHOLE).began)

    def test_subjects(self) -> None:
        """A resource stands at 0 without a beginning; nobody else does."""
        self.assertEqual([sort for sort, needed in SUBJECTS.items() if not needed], ["resource"])
        self.assertFalse(needs_beginning("resource:x"))
        self.assertTrue(Standing((("resource:x", 0),)).holds({"resource:x": None}, ()))
        self.assertFalse(Standing((("user:x", 1),)).holds({"user:x": None}, ()))

    def test_bounded(self) -> None:
        """What stands on too much is not written down with each token."""
        self.assertTrue(Standing((), tuple(b"a:%d" % n for n in range(MOST_NAMES))).bounded)
        self.assertFalse(Standing((), tuple(b"a:%d" % n for n in range(MOST_NAMES)), (b"v:x",)).bounded)

    @given(_STANDINGS, _STANDINGS, _TODAY, st.sets(_NAMES))
    def test_joined(
        self, one: Standing, other: Standing, today: dict[str, int | None], found: set[bytes]
    ) -> None:
        """What stands on both holds while both do, and no longer."""
        both = one.holds(today, found) and other.holds(today, found)
        self.assertEqual(one.joined(other).holds(today, found), both)
        self.assertEqual(one.joined(NOWHERE), one)

    @given(_STANDINGS, st.data())
    def test_each_alone(self, standing: Standing, data: st.DataObject) -> None:
        """Where all else holds, the end of any one thing ends it."""
        today = dict(standing.numbers)
        found = set(standing.there)
        if not standing.began or found & set(standing.gone) or not (standing.numbers or standing.names):
            return
        self.assertTrue(standing.holds(today, found))
        members: list[str | bytes] = [*today, *standing.names]
        which = data.draw(st.sampled_from(members))
        if isinstance(which, str):
            today[which] = (today[which] or 0) + 1
        elif which in found:
            found.discard(which)
        else:
            found.add(which)
        self.assertFalse(standing.holds(today, found))
