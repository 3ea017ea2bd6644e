"""RFC 6797, Strict-Transport-Security, as FAPI 2.0 Security Profile section 5.2.3 demands something of the kind."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Literal

from twisted.trial.unittest import SynchronousTestCase

from oauthd.config import ServerSettings, Settings, https_only
from tests.server import ServerCase
from tests.wire import Answer

FIELD = "strict-transport-security"
PROXY = "192.0.2.1"
PROXIES = (ip_network(PROXY),)
PUBLIC = "https://op.example"


class WayCase(ServerCase):
    """A case with a proxy that says which way a request came."""

    async def got(self, path: str, proto: str) -> Answer:
        """The answer at a path, by this way."""
        headers = [("X-Forwarded-Proto", proto)]
        return await self.server.http.request("GET", path, source=PROXY, headers=headers)


class AnswerTests(WayCase):
    """What is said, and where."""

    sections = {"server": ServerSettings(issuer=PUBLIC, https_only=3600, trusted_proxies=PROXIES)}

    async def test_section_7_1(self) -> None:
        """Section 7.1: pages, errors among them, and redirects say it once, where they go over TLS."""
        for path in ("/login", "/device", "/oauth2/authorize", "/oauth2/logout"):
            answer = await self.got(path, "https")
            self.assertEqual([value for name, value in answer.headers if name.lower() == FIELD], ["max-age=3600"], path)

    async def test_section_7_2(self) -> None:
        """Section 7.2: what goes in clear does not say it."""
        for path in ("/login", "/oauth2/authorize"):
            self.assertEqual((await self.got(path, "http")).header(FIELD), "")

    async def test_not_to_programs(self) -> None:
        """What browsers do not show has no need of it."""
        self.assertEqual((await self.got("/oauth2/jwks", "https")).header(FIELD), "")


class PlainTests(WayCase):
    """Without the setting."""

    sections = {"server": ServerSettings(issuer=PUBLIC, trusted_proxies=PROXIES)}

    async def test_nothing_is_said(self) -> None:
        """It binds a whole host, so nobody gets it unasked."""
        self.assertEqual((await self.got("/login", "https")).header(FIELD), "")


class LengthTests(SynchronousTestCase):
    """For how long."""

    def seconds(self, issuer: str, profile: Literal["", "fapi2"] = "", told: int = 0) -> int:
        """What follows from these settings."""
        return https_only(Settings(server=ServerSettings(issuer=issuer, profile=profile, https_only=told)))

    def test_profile(self) -> None:
        """Under FAPI 2.0 it is a year, but for loopback; a setting comes first; over http there is nothing to say."""
        year = 365 * 86400
        self.assertEqual(self.seconds(PUBLIC), 0)
        self.assertEqual(self.seconds(PUBLIC, "fapi2"), year)
        self.assertEqual(self.seconds(PUBLIC, "fapi2", 60), 60)
        self.assertEqual(self.seconds("https://localhost:8443", "fapi2"), 0)
        self.assertEqual(self.seconds("https://localhost:8443", told=60), 60)
        self.assertEqual(self.seconds("http://localhost:8000", told=60), 0)
