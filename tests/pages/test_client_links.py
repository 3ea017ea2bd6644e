"""What a client shows of itself: nothing but a picture and two links, whatever it registered."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.pages.client_links import ClientLinks, client_links
from oauthd.pages.rendering import Pages, content_security_policy
from oauthd.protocol.records import Client
from tests.server import ServerCase, ok

LOGO = "https://cdn.example/app/logo.png"


def links(**fields: Any) -> ClientLinks:
    """The links of a client that registered these."""
    return client_links(Client("c", 1, "App", "confidential", 0, 0, **fields), "https://as.example")


class ClientLinksTests(SynchronousTestCase):
    """Which addresses are shown."""

    def test_nothing(self) -> None:
        """No client and a client that registered nothing show nothing."""
        self.assertEqual((client_links(None, "https://as.example"), links()), (ClientLinks(), ClientLinks()))
        self.assertEqual(ClientLinks().images, ())

    def test_all(self) -> None:
        """Logo, policy and terms are shown as registered; the policy of the page names the picture alone."""
        shown = links(logo_uri=f"{LOGO}?v=2", policy_uri="https://app.example/p?q#f", tos_uri="http://app.example/t")
        self.assertEqual(
            shown.context, {"logo": f"{LOGO}?v=2", "policy": "https://app.example/p?q#f", "terms": "http://app.example/t"}
        )
        self.assertEqual(shown.images, (LOGO,))
        self.assertIn(f"img-src 'self' {LOGO}; ", content_security_policy(images=shown.images))

    def test_refused_logos(self) -> None:
        """What a policy cannot spell, is not https, or is at our own host, is no logo."""
        for uri in (
            "http://cdn.example/logo.png",
            "https://cdn.example/a;script-src *",
            "https://cdn.example/a, default-src *",
            "https://cdn.example/a 'unsafe-inline'",
            "https://cdn.example/'self'",
            "https://cdn.example",
            "https://*/x",
            "https://*.example/x",
            "https://user@cdn.example/x",
            "https://cdn.example/a\nX-Evil: 1",
            "https://b\u00fccher.example/x",
            "data:image/png;base64,AA==",
            "javascript:alert(1)",
            "//cdn.example/x",
            "https://as.example/oauth2/logout",
            "https://AS.example:8443/x",
            "https://as.example./x",
        ):
            self.assertEqual(links(logo_uri=uri), ClientLinks(), uri)

    def test_refused_links(self) -> None:
        """What is no address of the web is no link."""
        for uri in ("javascript:alert(1)", "data:text/html,x", "/admin", "https://", "https://a@b.example/", "http:x"):
            self.assertEqual(links(policy_uri=uri, tos_uri=uri), ClientLinks(), uri)

    @settings(deadline=None)
    @given(st.text(alphabet="htps:/.;, '\"*\\@%\x00\r\n\té_0a?#"))
    def test_no_text_breaks_out(self, rest: str) -> None:
        """Whatever stands behind the scheme, the policy keeps its six directives."""
        policy = content_security_policy(images=links(logo_uri=f"https://a/{rest}").images)
        self.assertEqual(policy.count(";"), 5)
        self.assertNotIn(",", policy)
        self.assertTrue(policy.isascii() and policy.isprintable())


class PageTests(ServerCase):
    """The pages of the running server."""

    async def test_login_and_consent(self) -> None:
        """Both pages show the logo without a referrer, and links that know nothing of the page."""
        app = await self.server.client(
            logo_uri=LOGO, policy_uri="https://app.example/policy", tos_uri="https://app.example/terms"
        )
        alice, browser = await self.server.user(), self.server.browser()
        login = await browser.open("/oauth2/authorize", self.server.asking(app))
        consent = await browser.sign_in(login, alice)
        for page in (login, consent):
            self.assertIn(f"img-src 'self' {LOGO};", page.header("content-security-policy"))
            self.assertIn(f'src="{LOGO}" alt="" width="64" height="64" referrerpolicy="no-referrer"', page.text)
            for uri in ("https://app.example/policy", "https://app.example/terms"):
                self.assertIn(f'href="{uri}" target="_blank" rel="noopener noreferrer"', page.text)

    async def test_stored_before_today(self) -> None:
        """An address that registration would refuse is not shown either, should it stand in the store."""
        app = await self.server.client(logo_uri="javascript:alert(1)", policy_uri="javascript:alert(1)")
        page = await self.server.browser().open("/oauth2/authorize", self.server.asking(app))
        self.assertNotIn("javascript:", page.text)
        self.assertIn("img-src 'self';", page.header("content-security-policy"))

    async def test_pages_are_no_pictures(self) -> None:
        """Fetch Metadata section 2.1: nobody is signed out, and no flow begins, by a picture that leads to a page."""
        app, alice, browser = await self.server.client(), await self.server.user(), self.server.browser()
        told = await self.server.authorize(app, alice, browser)
        tokens = ok(await self.server.redeem(app, told["code"]))
        before = await self.server.keys()
        asking = self.server.asking(app)
        places: list[tuple[str, dict[str, str]]] = [
            ("/oauth2/logout", {"id_token_hint": tokens["id_token"]}), ("/oauth2/authorize", asking), ("/login", {}),
            ("/device", {}), ("/logout", {}), ("/consent", {}), ("/", {}),
        ]  # fmt: skip
        for dest in ("image", "script", "style", "object", "embed", "", "Document"):
            for place, query in places:
                answer = await browser.get(place, query, headers=[("Sec-Fetch-Dest", dest)])
                self.refused_page(answer, 403)
        self.assertEqual(sorted(await self.server.keys()), sorted(before))
        self.assertIn("Alice", (await browser.open("/")).text)
        for dest in ("document", "iframe", "empty"):
            answer = await browser.get("/oauth2/authorize", asking, headers=[("Sec-Fetch-Dest", dest)])
            self.assertIn("code", answer.redirected)
        icon = Pages().static_url("favicon.svg")
        self.assertEqual((await browser.get(icon, headers=[("Sec-Fetch-Dest", "image")])).status, 200)
