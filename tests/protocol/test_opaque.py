"""Strings of our own making are recognised whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import opaque

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def counting() -> Callable[[int], bytes]:
    """Entropy whose every draw is another, starting anew with each test."""
    drawn = 0

    def entropy(octets: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return drawn.to_bytes(octets, "big")

    return entropy


def fixed(octets: bytes) -> Callable[[int], bytes]:
    """Entropy that hypothesis chose."""
    return lambda count: octets[:count].ljust(count, b"\x00")


def sample(prefix: str) -> str:
    """One string of a kind."""
    entropy = counting()
    return opaque.make(prefix, entropy, opaque.new_grant_id(entropy) if prefix in opaque.ROUTED else "")


class OpaqueTests(SynchronousTestCase):
    """`make` and `parse`."""

    @given(st.sampled_from(opaque.PREFIXES), st.binary(max_size=32), st.binary(max_size=10))
    def test_round_trip(self, prefix: str, body: bytes, route: bytes) -> None:
        """What was made is parsed, and its grant id comes back."""
        grant_id = opaque.new_grant_id(fixed(route)) if prefix in opaque.ROUTED else ""
        self.assertEqual(opaque.parse(prefix, opaque.make(prefix, fixed(body), grant_id)), grant_id)

    def test_every_letter_is_as_likely(self) -> None:
        """Each letter and digit stands for four octets at every place; the eight octets left over are passed over."""
        for place in (0, 17, 42):
            counts: dict[str, int] = {}
            for octet in range(248):
                value = opaque.make(opaque.ACCESS_TOKEN, fixed(bytes(place) + bytes((octet,))))
                letter = value[len(opaque.ACCESS_TOKEN) + place]
                counts[letter] = counts.get(letter, 0) + 1
            self.assertEqual(counts, dict.fromkeys(DIGITS, 4))
        passed_over = opaque.make(opaque.ACCESS_TOKEN, fixed(bytes(range(248, 256)) + bytes(range(43))))
        self.assertEqual(passed_over, opaque.make(opaque.ACCESS_TOKEN, fixed(bytes(range(43)))))

    def test_short_of_octets(self) -> None:
        """When too many octets were passed over, more are drawn."""
        draws = iter((b"\xff" * 51, bytes(51)))
        made = opaque.make(opaque.ACCESS_TOKEN, lambda count: next(draws))
        self.assertIsNotNone(opaque.parse(opaque.ACCESS_TOKEN, made))

    def test_checksum_is_what_scanners_compute(self) -> None:
        """The last six characters are the CRC-32 of what precedes them, in base 62 with leading zeros."""
        token = sample(opaque.REFRESH_TOKEN)
        checksum = 0
        for digit in token[-6:]:
            checksum = checksum * 62 + DIGITS.index(digit)
        self.assertEqual(checksum, crc32(token[:-6].encode()))

    def test_scanner_pattern_finds_it_in_text(self) -> None:
        """A scanner's pattern finds the whole string inside a line of a file."""
        for prefix in opaque.PREFIXES:
            token = sample(prefix)
            found = re.search(opaque.pattern(prefix), f'secret = "{token}"; # keep')
            self.assertEqual(found and found[0], token)

    def test_double_click_selects_it(self) -> None:
        """The whole string is one word."""
        for prefix in opaque.PREFIXES:
            self.assertRegex(sample(prefix), r"\A\w+\Z")

    def test_every_truncation_and_extension_is_refused(self) -> None:
        """No part of a string, and no string with something added, passes for it."""
        for prefix in opaque.PREFIXES:
            token = sample(prefix)
            for end in range(len(token)):
                self.assertIsNone(opaque.parse(prefix, token[:end]))
            for other in (token + "0", "0" + token, token + "\n", " " + token, token + "\x00", token * 2):
                self.assertIsNone(opaque.parse(prefix, other))

    def test_every_single_typing_error_is_refused(self) -> None:
        """A wrong character anywhere, or two neighbours swapped, is noticed without a store."""
        token = sample(opaque.CODE)
        for place in range(len(token)):
            for digit in DIGITS:
                if digit != token[place]:
                    self.assertIsNone(opaque.parse(opaque.CODE, token[:place] + digit + token[place + 1 :]))
            swapped = token[:place] + token[place : place + 2][::-1] + token[place + 2 :]
            if swapped != token:
                self.assertIsNone(opaque.parse(opaque.CODE, swapped))

    def test_one_kind_is_no_other(self) -> None:
        """A code is no refresh token, also when the prefix is exchanged."""
        for prefix in opaque.PREFIXES:
            token = sample(prefix)
            for other in opaque.PREFIXES:
                if other != prefix:
                    self.assertIsNone(opaque.parse(other, token))
                    self.assertIsNone(opaque.parse(other, other + token[4:]))

    @given(st.sampled_from(opaque.PREFIXES), st.text())
    def test_any_text_is_survived(self, prefix: str, text: str) -> None:
        """Whatever is presented, lone surrogates and foreign digits included, is refused in silence."""
        self.assertIsNone(opaque.parse(prefix, prefix + text))
        self.assertIsNone(opaque.parse(prefix, text))

    def test_foreign_digits_are_refused(self) -> None:
        """Digits of other scripts do not count as digits."""
        token = sample(opaque.ACCESS_TOKEN)
        self.assertIsNone(opaque.parse(opaque.ACCESS_TOKEN, token[:10] + "٣" + token[11:]))

    def test_grant_id_belongs_to_routed_kinds_alone(self) -> None:
        """A grant id that is missing, out of place or malformed is a bug of ours, and told at once."""
        entropy = counting()
        grant_id = opaque.new_grant_id(entropy)
        for prefix, given_id in (
            (opaque.CODE, ""),
            (opaque.ACCESS_TOKEN, grant_id),
            (opaque.CODE, grant_id[:-1]),
            (opaque.CODE, grant_id[:-1] + "}"),
            (opaque.CODE, grant_id[:-1] + "é"),
            ("xxx_", ""),
        ):
            self.assertRaises(ValueError, opaque.make, prefix, entropy, given_id)

    def test_names_have_fixed_lengths(self) -> None:
        """Grant ids have 14 letters and digits, identifiers 22."""
        self.assertRegex(opaque.new_grant_id(counting()), r"\A[0-9A-Za-z]{14}\Z")
        self.assertRegex(opaque.new_identifier(counting()), r"\A[0-9A-Za-z]{22}\Z")
