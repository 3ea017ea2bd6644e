"""The posture report says of each point whether it holds, and what it names as the remedy mends it."""

from __future__ import annotations

import tomllib

from twisted.trial.unittest import SynchronousTestCase

from oauthd.config import load, posture
from oauthd.config.declarations import Settings
from oauthd.protocol import profile
from oauthd.protocol.records import Client

HTTPS = {"OAUTHD_SERVER_ISSUER": "https://op.example", "OAUTHD_SERVER_LISTEN": "tcp:8000:interface=127.0.0.1"}
STRICT = HTTPS | {"OAUTHD_SERVER_PROFILE": "fapi2"}


def settings(**environ: str) -> Settings:
    """Settings of these variables."""
    return load(None, environ, {})


def missing(found: list[posture.Finding]) -> set[str]:
    """What does not hold."""
    return {one.point.asked for one in found if not one.holds}


class PostureTests(SynchronousTestCase):
    """`report`."""

    def test_defaults(self) -> None:
        """The defaults of a server on https hold all that costs no client anything, and say what they do not hold."""
        asked = missing(posture.report(settings(**HTTPS), [posture.RFC9700]))
        self.assertIn("access tokens are bound to their sender", asked)
        self.assertNotIn("what travels is encrypted: the issuer is https", asked)

    def test_the_profile(self) -> None:
        """The profile alone holds FAPI 2.0 Security Profile, but for the default algorithm of OpenID Connect."""
        left = missing(posture.report(settings(**STRICT), [posture.FAPI]))
        self.assertEqual(len(left), 2, left)
        whole = STRICT | {
            "OAUTHD_TOKENS_ID_TOKEN_ALGORITHM": "PS256",
            "OAUTHD_AUTHORIZATION_SIGNED_REQUIRED": "true",
        }
        self.assertEqual(missing(posture.report(settings(**whole), [posture.FAPI])), set())

    def test_every_point_that_can_fail_says_what_mends_it(self) -> None:
        """A point that some settings do not hold names a remedy, and settings that exist."""
        weak = settings(
            OAUTHD_TOKENS_ACCESS_LIFETIME="86400",
            OAUTHD_TOKENS_CODE_LIFETIME="600",
            OAUTHD_CLIENTS_PKCE_PUBLIC="false",
        )
        for one in posture.report(weak):
            self.assertEqual(bool(one.point.mends), not one.holds, one.point.asked)

    def test_remedies_are_settings(self) -> None:
        """What stands as a remedy before its comment can be put into the file as it is, and is accepted."""
        for point in posture.POINTS:
            remedy = point.mends.partition(" (")[0]
            if " = " not in remedy or " and " in remedy or "…" in remedy:
                continue
            key, _, value = remedy.partition(" = ")
            section, _, name = key.partition(".")
            plain = tomllib.loads(f"x = {value}")["x"]
            word = str(plain).lower() if isinstance(plain, bool) else str(plain)
            found = settings(**HTTPS, **{f"OAUTHD_{section.upper()}_{name.upper()}": word})
            self.assertTrue(point.holds(found), point.asked)


class PlainTests(SynchronousTestCase):
    """`profile.is_strict`."""

    def test_the_administrators_own(self) -> None:
        """The profile of the server holds every client but a plain one; a client can be held by its own, too."""
        held = {
            (own, server): profile.is_strict(Client("c", 1, "C", "confidential", 0, 0, profile=own), server)
            for own in ("", "plain", "fapi1", "fapi2")
            for server in ("", "fapi2")
        }
        self.assertEqual(
            {key for key, strict in held.items() if strict},
            {("", "fapi2"), ("fapi1", "fapi2"), ("fapi2", ""), ("fapi2", "fapi2")},
        )
