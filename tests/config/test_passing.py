"""Settings on their way to another process."""

from __future__ import annotations

import json

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from oauthd.config import KeySettings, ServerSettings, Settings, StoreSettings, load
from oauthd.config.passing import passed, received


class PassingTests(SynchronousTestCase):
    """What arrives is what was sent."""

    def test_defaults(self) -> None:
        """The settings of a server that has none set."""
        self.assertEqual(received(json.loads(json.dumps(passed(Settings())))), Settings())

    def test_every_kind(self) -> None:
        """Lists, networks, words, nothing at all, and secrets as they are."""
        environ = {
            "OAUTHD_SERVER_LISTEN": "unix:/run/web.sock, tcp:8000:interface=127.0.0.1",
            "OAUTHD_SERVER_WORKERS": "auto",
            "OAUTHD_SERVER_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "OAUTHD_SERVER_DRAIN_DELAY": "2.5",
            "OAUTHD_STORE_REDIS": "redis://:hidden-word@127.0.0.1:6379/1",
            "OAUTHD_LOG_JSON": "true",
        }
        settings = evolve(load(None, environ, {}), keys=KeySettings(master_keys=("A" * 43,)))
        self.assertEqual(received(json.loads(json.dumps(passed(settings)))), settings)
        self.assertIn("hidden-word", json.dumps(passed(settings)))

    def test_something_else(self) -> None:
        """What is no setting's value is refused, without a word of what it was."""
        plain = passed(Settings(ServerSettings(), StoreSettings(redis="redis://:hidden-word@127.0.0.1")))
        plain["store"]["redis"] = ["hidden-word"]
        with self.assertRaises(ValueError) as caught:
            received(plain)
        self.assertNotIn("hidden-word", str(caught.exception))
