"""The table of errors is what the server says, no less and no more."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import oauthd
from oauthd.protocol import errors
from oauthd.protocol.errors import ErrorKind

ROWS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, ErrorKind)}


class TableTests(SynchronousTestCase):
    """The rows."""

    def test_each_is_used(self) -> None:
        """Every row is named somewhere in the source beside the table."""
        files = set(Path(oauthd.__file__).parent.rglob("*.py")) - {Path(errors.__file__)}
        words = {word for path in files for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}
        self.assertEqual(ROWS.keys() - words, set())

    def test_fit_for_the_wire(self) -> None:
        """Every row has a code of small letters, a status of an error, and the section that it comes from."""
        for name, kind in ROWS.items():
            self.assertRegex(kind.code, r"\A[a-z_]+\Z", name)
            self.assertIn(kind.status, range(400, 600), name)
            self.assertRegex(kind.section, r"section \d", name)
