"""How clients may authenticate, as settings say it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from oauthd.config import AuthenticationSettings, Settings, SettingsError, load


class AuthenticationTests(SynchronousTestCase):
    """The section [authentication]."""

    def refused(self, name: str, value: str) -> str:
        """Why a value is refused."""
        error = self.assertRaises(SettingsError, load, None, {f"OAUTHD_AUTHENTICATION_{name}": value}, {})
        return str(error)

    def test_defaults(self) -> None:
        """Everything is on, and an assertion lives five minutes."""
        self.assertEqual(Settings().authentication, AuthenticationSettings())
        self.assertEqual((AuthenticationSettings().off, AuthenticationSettings().assertion_lifetime), ((), 300))

    def test_algorithms(self) -> None:
        """Only signature algorithms that there are, each once; none is no algorithm."""
        for value in ("none", "ES256,none", "es256", "ES256,ES256", "RSA-OAEP-256", "", "HS1"):
            self.assertIn("must ", self.refused("ALGORITHMS", value))
        found = load(None, {"OAUTHD_AUTHENTICATION_ALGORITHMS": "PS256,HS256"}, {}).authentication.algorithms
        self.assertEqual(found, ("PS256", "HS256"))

    def test_off(self) -> None:
        """Only methods that there are can be off."""
        self.assertIn("must be ", self.refused("OFF", "password"))
        found = load(None, {"OAUTHD_AUTHENTICATION_OFF": "none,client_secret_post"}, {}).authentication.off
        self.assertEqual(found, ("none", "client_secret_post"))

    def test_lifetime(self) -> None:
        """An assertion lives an hour at most."""
        self.assertIn("must be from 10 to 3600", self.refused("ASSERTION_LIFETIME", "3601"))
