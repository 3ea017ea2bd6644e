"""RFC 9207, OAuth 2.0 Authorization Server Issuer Identification: what holds of every authorization response."""

from __future__ import annotations

from tests.server import ISSUER, ServerCase, ok


class IssuerTests(ServerCase):
    """Section 2: `iss` in every authorization response."""

    async def test_section_2_success(self) -> None:
        """Section 2: a response with a code names the issuer, once."""
        app, alice = await self.server.client(), await self.server.user()
        self.assertEqual((await self.server.authorize(app, alice))["iss"], ISSUER)

    async def test_section_2_errors(self) -> None:
        """Section 2: so does each error, from whichever step it comes."""
        app, alice = await self.server.client(), await self.server.user()
        for wrong in ({"scope": "unknown"}, {"response_type": "token"}, {"prompt": "none"}, {"request": "x"}):
            answer = await self.server.get("/oauth2/authorize", self.server.asking(app, **wrong))
            self.assertEqual(answer.redirected["iss"], ISSUER)
            self.assertIn("error", answer.redirected)
        browser = self.server.browser()
        page = await browser.sign_in(await browser.open("/oauth2/authorize", self.server.asking(app)), alice)
        self.assertEqual((await browser.submit(page, "deny")).redirected["iss"], ISSUER)

    async def test_section_2_redirect_uri_with_iss(self) -> None:
        """A redirect URI that has an `iss` of its own does not hide ours: it is added, and both are seen."""
        app = await self.server.client(redirect_uris=("https://app.example/cb?tenant=1",))
        answer = await self.server.get("/oauth2/authorize", self.server.asking(app, prompt="none"))
        self.assertEqual(answer.location.count("iss="), 1)

    async def test_section_2_4_metadata(self) -> None:
        """Sections 2.4 and 3: it is the issuer of the metadata, byte for byte, and announced there."""
        document = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertEqual(document["issuer"], ISSUER)
        self.assertIs(document["authorization_response_iss_parameter_supported"], True)

    async def test_a_sent_iss_is_not_echoed(self) -> None:
        """An `iss` in the request is an unknown parameter and changes nothing."""
        app, alice = await self.server.client(), await self.server.user()
        self.assertEqual((await self.server.authorize(app, alice, iss="https://evil.example"))["iss"], ISSUER)
