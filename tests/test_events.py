"""The stream of events: declared names, facts as they were told, every observer in turn."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import oauthd
from oauthd.events import EVENTS, Event, Events


class EventTests(SynchronousTestCase):
    """Telling and hearing."""

    def test_every_observer_hears(self) -> None:
        """Each observer gets each event with its facts, in the order told."""
        first: list[Event] = []
        second: list[Event] = []
        events = Events([first.append, second.append])
        events.tell("token.issued", client_id="app", user_id=None)
        events.tell("founded")
        self.assertEqual(first, [Event("token.issued", {"client_id": "app", "user_id": None}), Event("founded", {})])
        self.assertEqual(first, second)

    def test_nobody_hears(self) -> None:
        """Without observers telling does nothing."""
        Events().tell("founded")

    def test_undeclared(self) -> None:
        """An event that is not declared is a bug and raises."""
        self.assertRaises(LookupError, Events().tell, "made.up")

    def test_told_names_are_declared(self) -> None:
        """Every name that the source tells stands in the table, and every row of it is named in the source."""
        self.assertEqual(_told() - set(EVENTS), set())
        self.assertEqual(set(EVENTS) - _words(), set())

    def test_facts_hold_no_secrets(self) -> None:
        """No fact of the source is named after a secret."""
        secret = {"password", "secret", "client_secret", "token", "access_token", "refresh_token", "code", "cookie"}
        named = {keyword.arg for call in _calls() for keyword in call.keywords}
        self.assertEqual(named & secret, set())


def _nodes() -> Iterator[ast.AST]:
    folder = Path(oauthd.__file__).parent
    for path in folder.rglob("*.py"):
        if path != folder / "events.py":
            yield from ast.walk(ast.parse(path.read_text()))


def _calls() -> list[ast.Call]:
    calls = (node for node in _nodes() if isinstance(node, ast.Call))
    return [call for call in calls if ast.unparse(call.func).endswith("events.tell")]


def _told() -> set[str]:
    """The names that calls spell out, in either branch of a condition; those handed on stand in a variable."""
    names = set()
    for call in _calls():
        first = call.args[0]
        for node in (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,):
            if isinstance(node, ast.Constant):
                names.add(str(node.value))
    return names


def _words() -> set[str]:
    return {str(node.value) for node in _nodes() if isinstance(node, ast.Constant)}
