"""User codes (RFC 8628 section 6.1)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import user_code


class UserCodeTests(SynchronousTestCase):
    """`new`, `shown`, `normalise`."""

    @given(st.integers(0, 2**64 - 20**8))
    def test_shape_and_round_trip(self, number: int) -> None:
        """A code has eight consonants, and what is shown is what may be typed."""
        code = user_code.new(lambda count: number.to_bytes(count, "big"))
        self.assertRegex(code, r"\A[BCDFGHJKLMNPQRSTVWXZ]{8}\Z")
        self.assertRegex(user_code.shown(code), r"\A[A-Z]{4}-[A-Z]{4}\Z")
        self.assertEqual(user_code.normalise(user_code.shown(code)), code)

    def test_every_code_is_reached_by_equally_many_draws(self) -> None:
        """Draws above the last whole multiple of the number of codes are thrown away, and the next one counts."""
        codes = 20**8
        last_fair = 2**64 - 2**64 % codes - 1
        draws = [2**64 - 1, last_fair + 1, last_fair]
        code = user_code.new(lambda count: draws.pop(0).to_bytes(count, "big"))
        self.assertEqual((code, draws), ("Z" * 8, []))
        self.assertEqual(user_code.new(bytes), "B" * 8)
        # equal steps through the draws walk through all of the alphabet
        numbers = iter(range(0, 20**8, 20**7))
        last = [user_code.new(lambda count: next(numbers).to_bytes(count, "big"))[7] for _ in range(20)]
        self.assertEqual("".join(last), user_code.ALPHABET)

    def test_what_people_type(self) -> None:
        """Case, blanks, dashes of all kinds, punctuation and full-width letters make no difference."""
        for typed in (
            "WDJB-MJHT",
            "wdjbmjht",
            " wdjb mjht ",
            "WDJB\u2013MJHT",
            "W.D,J_B/M:J*H#T",
            "\uff37\uff24\uff2a\uff22\uff0d\uff2d\uff2a\uff28\uff34",
            "WDJB\u00a0-\u200bMJHT\n",
        ):
            self.assertEqual(user_code.normalise(typed), "WDJBMJHT", repr(typed))

    def test_slips_are_no_codes(self) -> None:
        """A letter or digit that no code has, one too few or too many: refused, not ignored."""
        for typed in ("WDJB-MJH", "WDJB-MJHTT", "WDJB-MJHA", "WDJB-MJHT0", "0WDJBMJHT", "", "--------", "ЩDJBMJHT"):
            self.assertIsNone(user_code.normalise(typed), typed)

    def test_length_is_limited(self) -> None:
        """A megabyte of dashes is not read."""
        self.assertIsNone(user_code.normalise("-" * 100 + "WDJBMJHT"))

    @given(st.text(max_size=70))
    def test_any_text_is_survived(self, typed: str) -> None:
        """Whatever is typed gives a canonical code or nothing, and the same one when typed again."""
        code = user_code.normalise(typed)
        if code is not None:
            self.assertEqual(user_code.normalise(code.lower()), code)
