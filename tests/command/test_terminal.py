"""What reaches the terminal: nothing that it obeys, columns that stand, and no crash for letters that it lacks."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.command.terminal import Refused, say, visible, width

STEERING = "\x1b[2J", "\r", "\n", "\x07", "\x08", "\x9b31m", "\x00", "\u202e", "\u2066", "\u2028", "\ufeff", "\ud800"


class VisibleTests(SynchronousTestCase):
    """Names come from strangers."""

    def test_nothing_steers(self) -> None:
        """Escapes, line ends, bells, changes of direction and half characters are replaced."""
        for hostile in STEERING:
            self.assertNotIn(hostile[0], visible(f"a{hostile}b"), repr(hostile))

    def test_words_stay(self) -> None:
        """Letters of all scripts stay as they are."""
        for plain in ("Ada Lovelace", "Zoë Ångström", "漢字", "Привет", "עברית", "a+b@c~d"):
            self.assertEqual(visible(plain), plain)
        self.assertEqual(visible("no\u00a0break"), "no break")

    @given(st.text())
    def test_anything(self, text: str) -> None:
        """Whatever comes in, what goes out is printable and as long."""
        self.assertTrue(visible(text).isprintable())
        self.assertEqual(len(visible(text)), len(text))


class WidthTests(SynchronousTestCase):
    """A terminal's columns are not characters."""

    def test_width(self) -> None:
        """Wide letters take two columns, accents that join a letter none."""
        self.assertEqual([width(text) for text in ("abc", "漢字", "Zoe\u0308", "")], [3, 4, 3, 0])


class SayTests(SynchronousTestCase):
    """Printing."""

    def test_poor_encoding(self) -> None:
        """What the terminal's encoding lacks becomes a question mark."""
        raw = io.BytesIO()
        with redirect_stdout(io.TextIOWrapper(raw, encoding="ascii")):
            say("Zoë 漢")
            sys.stdout.flush()
            self.assertEqual(raw.getvalue(), b"Zo? ?\n")

    def test_refusal(self) -> None:
        """A refusal is a line on standard error; a problem cannot make two of itself."""
        stream = io.StringIO()
        with redirect_stderr(stream):
            Refused("no\nway\x1b[1m", "second").show()
        self.assertEqual(stream.getvalue(), "Error: no\ufffdway\ufffd[1m\nsecond\n")
