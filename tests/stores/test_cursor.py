"""A cursor leads back to its position, and everything else is refused."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.stores import cursor
from oauthd.stores.cursor import Position

_scores = st.floats(allow_nan=False, allow_infinity=False)


class CursorTests(SynchronousTestCase):
    """`written` and `read`."""

    @given(st.text(max_size=8), _scores, st.binary(min_size=1, max_size=200))
    def test_round_trip(self, index: str, score: float, member: bytes) -> None:
        """The position of a cursor is the one it was made of."""
        position = Position(score, member)
        self.assertEqual(cursor.read(index, cursor.written(index, position)), position)

    @given(st.text(max_size=40) | st.text(st.sampled_from("AQgw-_"), max_size=40))
    def test_inventions(self, text: str) -> None:
        """A made-up text is no cursor."""
        with self.assertRaises(ValueError):
            cursor.read("clients", text)

    @given(_scores, st.binary(min_size=1, max_size=40), st.data())
    def test_changes(self, score: float, member: bytes, data: st.DataObject) -> None:
        """A cursor with one character changed, one more or one less is none, whichever it is."""
        good = cursor.written("clients", Position(score, member))
        place = data.draw(st.integers(0, len(good) - 1))
        other = data.draw(st.sampled_from("Aa0-_=+/ \n\0é").filter(lambda sign: sign != good[place]))
        for bad in (good[:place] + other + good[place + 1 :], good[:place] + other + good[place:], good[:-1]):
            with self.assertRaises(ValueError):
                cursor.read("clients", bad)

    def test_one_spelling(self) -> None:
        """The last character of a cursor cannot be exchanged though some of its bits mean nothing."""
        for member in (b"a:1", b"a:12", b"a:123"):
            good = cursor.written("clients", Position(1.0, member))
            for last in set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") - {good[-1]}:
                with self.assertRaises(ValueError):
                    cursor.read("clients", good[:-1] + last)

    def test_other_list(self) -> None:
        """The cursor of one list is refused by another."""
        with self.assertRaises(ValueError):
            cursor.read("users", cursor.written("clients", Position(1.0, b"client:a")))

    def test_impossible_positions(self) -> None:
        """No member, no finite score and endless texts are refused though the checksum is right."""
        for score, member in ((1.0, b""), (float("nan"), b"a:x"), (float("inf"), b"a:x"), (1.0, b"x" * 5000)):
            with self.assertRaises(ValueError):
                cursor.read("clients", cursor.written("clients", Position(score, member)))
        with self.assertRaises(ValueError):
            cursor.read("clients", urlsafe_b64encode(b"\0" * 30).decode())
