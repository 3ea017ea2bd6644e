"""Tables for people and JSON for programs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from oauthd.command.output import done, show, table
from oauthd.command.server import Server
from oauthd.protocol.grant_types import DEVICE_CODE

PEOPLE = Server(None, None, None, None, as_json=False)
PROGRAMS = Server(None, None, None, None, as_json=True)


def printed(function: Callable[..., None], *arguments: Any) -> str:
    """What a function prints."""
    stream = io.StringIO()
    with redirect_stdout(stream):
        function(*arguments)
    return stream.getvalue()


class TableTests(SynchronousTestCase):
    """Rows."""

    def test_columns_stand(self) -> None:
        """Every column is as wide as its widest cell, also with letters that take two places."""
        rows = [{"name": "漢字", "is_active": True}, {"name": "longer name", "is_active": False}]
        self.assertEqual(
            printed(table, PEOPLE, rows, ("name", "is_active")).splitlines(),
            ["name         is_active", "漢字         yes", "longer name  no"],
        )

    def test_hostile_cell(self) -> None:
        """A name neither makes a row of its own nor steers the terminal."""
        text = printed(table, PEOPLE, [{"name": "x\nadmin  yes\x1b[8m"}], ("name",))
        self.assertEqual(text.splitlines(), ["name", "x\ufffdadmin  yes\ufffd[8m"])

    def test_nothing(self) -> None:
        """Without rows there is the head alone, or an empty JSON list."""
        self.assertEqual(printed(table, PEOPLE, [], ("name", "id")), "name  id\n")
        self.assertEqual(json.loads(printed(table, PROGRAMS, [], ("name",))), [])

    def test_json_has_everything(self) -> None:
        """JSON shows rows as the server sent them, in ASCII, whatever columns people see."""
        rows = [{"name": "x\x1b[8mé", "more": {"a": [1]}}]
        text = printed(table, PROGRAMS, rows, ("name",))
        self.assertEqual(json.loads(text), rows)
        self.assertTrue(text.replace("\n", "").isascii() and text.replace("\n", "").isprintable())


class ShowTests(SynchronousTestCase):
    """One thing."""

    def shown(self, **members: Any) -> str:
        """The value of the only member as people see it."""
        (name,) = members
        return printed(show, PEOPLE, members).removesuffix("\n").removeprefix(name).strip()

    def test_values(self) -> None:
        """Times are dates in UTC, flags are words, lists are words in a row, nothing is a dash."""
        self.assertEqual(self.shown(created_at=1795339945), "2026-11-22 09:32:25Z")
        self.assertEqual(self.shown(exp=1795339945), "2026-11-22 09:32:25Z")
        self.assertEqual(self.shown(id=1795339945), "1795339945")
        self.assertEqual(self.shown(is_active=False), "no")
        self.assertEqual(self.shown(grant_types=["refresh_token", DEVICE_CODE]), "refresh_token device_code")
        nothings: list[Any] = [None, "", [], {}]
        self.assertEqual([self.shown(a=nothing) for nothing in nothings], ["-"] * 4)

    def test_nested_values(self) -> None:
        """What lies within is shown by the same rules, not as JSON."""
        secrets = [{"created_at": 0, "expires_at": None}, {"created_at": 1, "expires_at": 2}]
        self.assertEqual(
            self.shown(secrets=secrets),
            "created_at: 1970-01-01 00:00:00Z, expires_at: -; "
            "created_at: 1970-01-01 00:00:01Z, expires_at: 1970-01-01 00:00:02Z",
        )
        self.assertEqual(self.shown(claims={"name": "Zoë\x1b", "\x1b": 1}), "name: Zoë\ufffd, \ufffd: 1")

    def test_time_beyond_the_calendar(self) -> None:
        """A time that is no date is shown as the number that it is."""
        self.assertEqual(self.shown(updated_at=2**53), str(2**53))

    def test_members_stand_in_columns(self) -> None:
        """Values begin in the same column."""
        self.assertEqual(printed(show, PEOPLE, {"a": "x", "bcd": "y"}), "a    x\nbcd  y\n")

    def test_json(self) -> None:
        """Programs get the thing as it is."""
        thing: dict[str, Any] = {"a": [], "b": None, "exp": 5}
        self.assertEqual(json.loads(printed(show, PROGRAMS, thing)), thing)


class DoneTests(SynchronousTestCase):
    """Something that has no answer."""

    def test_sentence(self) -> None:
        """A sentence for people, an object for programs; the name in it steers nothing."""
        self.assertEqual(printed(done, PEOPLE, "\x1b is deleted"), "\ufffd is deleted\n")
        self.assertEqual(json.loads(printed(done, PROGRAMS, "\x1b is deleted")), {"done": "\x1b is deleted"})
