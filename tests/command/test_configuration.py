"""`oauthd config`: every problem is told, no secret is; no server is needed."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from oauthd.command import main
from oauthd.config import Settings
from oauthd.config.setting import declared

KEY = "c2VjcmV0LW1hc3Rlci1rZXktb2YtMzItYnl0ZXMhISE"
SECRET = "very-secret-value-of-a-test-0123456789"


def run(*arguments: str, **environ: str) -> Result:
    """Run the command with these variables of the environment beside those that it finds."""
    return CliRunner().invoke(main, arguments, env=environ, catch_exceptions=False)


class CheckTests(SynchronousTestCase):
    """`oauthd config check`."""

    def file(self, text: str) -> str:
        """A file with settings."""
        path = Path(self.mktemp())
        path.write_text(text, "utf-8")
        return str(path)

    def test_in_order(self) -> None:
        """Good settings: status 0, and what the issuer will be."""
        result = run("config", "check", "-c", self.file('[server]\nlisten = ["tcp:8123:interface=127.0.0.1"]\n'))
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertIn("http://localhost:8123", result.stdout)

    def test_in_order_as_json(self) -> None:
        """With --json good settings are told as an object."""
        self.assertIn("in order", json.loads(run("--json", "config", "check").stdout)["done"])

    def test_all_problems(self) -> None:
        """Every problem has a line that names its place, and the nearest name where there is one; status 1."""
        path = self.file('[server]\nissuer = "http://login.example.com"\nlissten = []\n[tokens]\naccess_lifetime = 0\n')
        result = run("config", "check", "-c", path, OAUTHD_DEVICE_INTERVAL="often", OAUTHD_DEVICE_LIFETIM="9")
        self.assertEqual((result.exit_code, result.stdout), (1, ""))
        first, *problems = result.stderr.splitlines()
        self.assertEqual(first, "Error: the settings are not in order")
        for place in ("server.issuer", "server.lissten", "tokens.access_lifetime", "OAUTHD_DEVICE_INTERVAL"):
            self.assertEqual(len([line for line in problems if place in line]), 1, place)
        self.assertIn("did you mean listen?", result.stderr)
        self.assertIn("did you mean OAUTHD_DEVICE_LIFETIME?", result.stderr)
        self.assertEqual(len(problems), 5)

    def test_no_file(self) -> None:
        """A file that is not there is a problem, not a trace."""
        result = run("config", "check", "--config", "/nonexistent/oauthd.toml")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("/nonexistent/oauthd.toml: cannot be read", result.stderr)

    def test_own_variables(self) -> None:
        """What the command itself reads from the environment is no misspelt setting."""
        own = {"OAUTHD_URL": "https://login.example.com", "OAUTHD_CLIENT_ID": "a", "OAUTHD_CLIENT_SECRET": "b"}
        self.assertEqual(run("config", "check", **own).exit_code, 0)

    def test_hostile_names(self) -> None:
        """A name in the file cannot steer the terminal."""
        result = run("config", "check", "-c", self.file('"a\\u001b[2Jb" = 1\n["c\\u009b1m"]\n'))
        self.assertEqual(result.exit_code, 1)
        self.assertTrue(result.stderr.replace("\n", "").isprintable())

    def test_secrets_are_not_told(self) -> None:
        """A secret that is refused is not repeated."""
        result = run("config", "check", OAUTHD_KEYS_MASTER_KEYS=SECRET, OAUTHD_ADMINISTRATOR_PASSWORD=SECRET)
        self.assertEqual(result.exit_code, 1)
        self.assertNotIn(SECRET, result.output)


class ShowTests(SynchronousTestCase):
    """`oauthd config show`."""

    ENVIRON = {
        "OAUTHD_STORE_REDIS": f"rediss://user:{SECRET}@redis.example:6380/1",
        "OAUTHD_KEYS_MASTER_KEYS": KEY,
        "OAUTHD_ADMINISTRATOR_USERNAME": "root",
        "OAUTHD_ADMINISTRATOR_PASSWORD": SECRET,
        "OAUTHD_ADMINISTRATOR_CLIENT_ID": "boot",
        "OAUTHD_ADMINISTRATOR_CLIENT_SECRET": SECRET,
        "OAUTHD_CLIENT_SECRET": SECRET,
        "OAUTHD_TOKENS_ACCESS_LIFETIME": "77",
    }

    def test_every_setting(self) -> None:
        """TOML and JSON show every setting with the value in force."""
        shown = tomllib.loads(run("config", "show", **self.ENVIRON).stdout)
        self.assertEqual(json.loads(run("--json", "config", "show", **self.ENVIRON).stdout), shown)
        self.assertEqual(shown["tokens"]["access_lifetime"], 77)
        names = {section: {one.name for one in members} for section, members in declared(Settings).items()}
        self.assertEqual({section: set(members) for section, members in shown.items()}, names)

    def test_secrets_are_masked(self) -> None:
        """Of secrets it is only shown whether they are set."""
        for arguments in (("config", "show"), ("--json", "config", "show")):
            text = run(*arguments, **self.ENVIRON).output
            self.assertNotIn(SECRET, text)
            self.assertNotIn(KEY, text)
        shown = json.loads(text)
        self.assertEqual(set(shown["administrator"]["client_secret"]), {"*"})
        self.assertEqual(json.loads(run("--json", "config", "show").stdout)["administrator"]["client_secret"], "")

    def test_not_in_order(self) -> None:
        """Settings that are not in order are not shown."""
        result = run("config", "show", OAUTHD_DEVICE_INTERVAL="often")
        self.assertEqual((result.exit_code, result.stdout), (1, ""))


class PostureTests(SynchronousTestCase):
    """`oauthd check`."""

    def test_what_does_not_hold(self) -> None:
        """Each point is a row; the status is 1 while something of RFC 9700 does not hold, and the remedy is told."""
        result = run("check", OAUTHD_SERVER_ISSUER="https://op.example")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("clients.pkce_required = true", result.stdout)
        self.assertNotIn("server.issuer =", result.stdout)

    def test_as_json(self) -> None:
        """For programs: a list of objects."""
        result = run("--json", "check", OAUTHD_SERVER_ISSUER="https://op.example", OAUTHD_SERVER_PROFILE="fapi2")
        rows = json.loads(result.stdout)
        self.assertTrue(all(row["holds"] for row in rows if row["what"] == "PKCE with S256"))
        self.assertEqual({row["document"] for row in rows}, {"RFC 9700", "FAPI 2.0"})
