"""Options for the members of a client that registration knows, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from oauthd.admin.client_members import ClientMembers
from oauthd.command.members import EMPTY, ROWS, SHORT, cleared, given, options
from oauthd.command.terminal import Refused
from oauthd.protocol.client_metadata import Offered
from oauthd.protocol.grant_types import CIBA


@click.command()
@options
def told(**members: Any) -> None:
    """Print what was given."""
    click.echo(json.dumps(given(members)))


class OptionTests(SynchronousTestCase):
    """`options`, `given` and `cleared`"""

    def given(self, *arguments: str) -> Any:
        """What a command line gives."""
        done = CliRunner().invoke(told, arguments)
        self.assertEqual(done.exit_code, 0, done.output)
        return json.loads(done.output)

    def test_nothing(self) -> None:
        """What is not given is not sent."""
        self.assertEqual(self.given(), {})

    def test_every_member(self) -> None:
        """There is an option for each member of the table, by its name."""
        options = {option for param in told.params for option in param.opts}
        self.assertLessEqual({f"--{name.replace('_', '-')}" for name in ROWS}, options)

    def test_what_the_admin_api_takes(self) -> None:
        """Each member that a PUT may carry has an option; whatever it is called, it is sent by the member's name."""
        taken = {one.name for one in ClientMembers(Offered(), machine_refresh=False).changes().members}
        self.assertLessEqual(taken, {param.name for param in told.params})

    def test_names_of_one(self) -> None:
        """What repeats is called by one of it; grant types have short names, which mean nothing elsewhere."""
        self.assertIn("ciba", SHORT)
        sent = self.given("--redirect-uri", "a", "--grant", "ciba", "--grant", "refresh_token", "--scope", "ciba")
        self.assertEqual(sent, {"redirect_uris": ["a"], "grant_types": [CIBA, "refresh_token"], "scopes": ["ciba"]})
        self.assertEqual(self.given("--inactive", "--no-introspects"), {"is_active": False, "introspects": False})

    def test_types(self) -> None:
        """Lists repeat, flags say yes or no, numbers are numbers, keys come from a file."""
        keys = Path(self.mktemp())
        keys.write_text('{"keys": []}')
        sent = self.given(
            *("--contacts", "a", "--contacts", "b", "--default-max-age", "0", "--jwks", str(keys)),
            *("--dpop-bound-access-tokens", "--no-require-auth-time", "--logo-uri", "https://app.example/x"),
        )
        expected = {
            "contacts": ["a", "b"], "default_max_age": 0, "jwks": {"keys": []}, "dpop_bound_access_tokens": True,
            "require_auth_time": False, "logo_uri": "https://app.example/x",
        }  # fmt: skip
        self.assertEqual(sent, expected)

    def test_no_keys(self) -> None:
        """A file that is not there, or is no JSON, is a usage error."""
        keys = Path(self.mktemp())
        keys.write_text("x")
        for path in (keys, keys.with_suffix(".nothing")):
            self.assertEqual(CliRunner().invoke(told, ["--jwks", str(path)]).exit_code, 2)

    def test_cleared(self) -> None:
        """A member is cleared to what it is without a value, however its name is written."""
        names = ("logo-uri", "contacts", "require_auth_time", "unused_until")
        expected: dict[str, Any] = {"logo_uri": None, "contacts": [], "require_auth_time": False, "unused_until": None}
        self.assertEqual(cleared(names), expected)
        self.assertRaises(Refused, cleared, ("name",))
        self.assertLessEqual(set(ROWS), set(EMPTY))
