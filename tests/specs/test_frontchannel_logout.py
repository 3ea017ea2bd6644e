"""OpenID Connect Front-Channel Logout 1.0: section by section, what holds of the running server."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from oauthd.pages.frontchannel_logout import SCRIPT
from oauthd.pages.rendering import content_security_policy
from oauthd.protocol.logout import fits
from tests.server import ISSUER, ok
from tests.specs.logging_out import AFTER, TOLD, LogoutCase
from tests.specs.registering import RegisteringCase
from tests.specs.tokens import verified
from tests.wire import Answer

FRAMED = "https://app.example/out"


def frames(answer: Answer) -> list[str]:
    """The addresses in the frames of a page."""
    return [html.unescape(found) for found in re.findall(r'<iframe[^>]* src="([^"]*)"', answer.text)]


def policy(answer: Answer) -> dict[str, str]:
    """The directives of a page's policy."""
    found = answer.header("content-security-policy").split(";")
    return dict(directive.strip().split(" ", 1) for directive in found)


class MetadataTests(RegisteringCase):
    """Sections 2 and 3: what is registered and told."""

    async def test_section_3(self) -> None:
        """Section 3: the metadata say that it is there, with sessions."""
        told = ok(await self.server.get("/.well-known/openid-configuration"))
        self.assertTrue(told["frontchannel_logout_supported"])
        self.assertTrue(told["frontchannel_logout_session_supported"])

    async def registering(self, uri: object, *redirects: str) -> Answer:
        """Register an address."""
        sent = {"redirect_uris": list(redirects or ("https://app.example/cb",)), "frontchannel_logout_uri": uri}
        return await self.register(sent | {"frontchannel_logout_session_required": True})

    async def test_section_2(self) -> None:
        """Section 2: its scheme, host and port are those of a redirect URI; path and query are free."""
        good = ("https://app.example/out", "https://app.example:443/out?a=b", "https://APP.example/", "https://app.example")
        for uri in good:
            answer = await self.registering(uri)
            self.assertEqual(answer.status, 201, (uri, answer.body))
            self.assertEqual(answer.json()["frontchannel_logout_uri"], uri)
            self.assertIs(answer.json()["frontchannel_logout_session_required"], True)
        redirects = ("https://a.example/cb", "https://b.example:8443/cb")
        self.assertEqual((await self.registering("https://b.example:8443/out", *redirects)).status, 201)

    async def test_section_2_wrong(self) -> None:
        """Section 2: another host, port or scheme, a fragment, and what is no address of a page are refused."""
        for uri in ("https://evil.example/out", "https://app.example:8443/out", "http://app.example/out",
                    "https://app.example/out#x", "https://sub.app.example/out", "https://app.example.evil.example/",
                    "https://app.example@evil.example/", "javascript:alert(1)", "data:text/html,x", "//app.example/x",
                    "/out", "", 7, "https://app.example\\@evil.example/", 'https://app.example/"x'):  # fmt: skip
            self.refused(await self.registering(uri), "invalid_client_metadata")

    async def test_a_change_of_redirect_uris(self) -> None:
        """Who takes the redirect URI away that an address fits to must take the address away, too."""
        admin = await self.admin_token()
        await self.server.client("app", redirect_uris=("https://app.example/cb",), frontchannel_logout_uri=FRAMED)
        path, body = "/api/v1/oauth/clients/app", {"redirect_uris": ["https://other.example/cb"]}
        answer = await self.server.http.request("PUT", path, json_body=body, bearer=admin)
        self.assertEqual(answer.status, 409, answer.body)
        self.assertIn("frontchannel_logout_uri", answer.text)
        body |= {"frontchannel_logout_uri": None}  # type: ignore[dict-item]
        answer = await self.server.http.request("PUT", path, json_body=body, bearer=admin)
        self.assertEqual((answer.status, answer.json()["frontchannel_logout_uri"]), (200, None), answer.body)


class PageTests(LogoutCase):
    """Section 3: the page with the frames."""

    async def framed(self, name: str, uri: str = FRAMED, **fields: Any) -> Any:
        """A client that is told by the browser."""
        return await self.client(name, backchannel_logout_uri="", frontchannel_logout_uri=uri, **fields)

    async def test_frames(self) -> None:
        """The page shows each client's address in a frame, its query kept, with `iss` and the `sid` that it knows."""
        uris = {"one": FRAMED, "two": "https://two.example:8443/o?x=1&y=", "three": "https://three.example"}
        tokens = {}
        for name, uri in uris.items():
            tokens[name] = await self.tokens(await self.framed(name, uri))
        await self.tokens(self.app)
        answer = await self.leave(tokens["two"]["id_token"])
        self.assertEqual(answer.status, 200)
        found = frames(answer)
        self.assertEqual(len(found), 3)
        for (name, uri), shown in zip(uris.items(), found, strict=True):
            self.assertTrue(shown.startswith(uri), shown)
            query = parse_qs(urlsplit(shown).query, keep_blank_values=True)
            sid = (await verified(self.server, tokens[name]["id_token"], "RS256")).claims["sid"]
            own = {"x": ["1"], "y": [""]} if name == "two" else {}
            self.assertEqual(query, {"iss": [ISSUER], "sid": [sid]} | own)

    async def test_policy(self) -> None:
        """The policy lets exactly the origins of the frames be shown, on this page alone, and one script run."""
        await self.tokens(await self.framed("one"))
        tokens = await self.tokens(await self.framed("two", "https://two.example:8443/out"))
        other = await self.browser.open("/logout")
        self.assertNotIn("frame-src", policy(other))
        answer = await self.leave(tokens["id_token"])
        found = policy(answer)
        self.assertEqual(found["frame-src"], "https://app.example:443 https://two.example:8443")
        self.assertEqual((found["default-src"], found["frame-ancestors"]), ("'none'", "'none'"))
        self.assertIn(f"script-src 'sha256-", answer.header("content-security-policy"))  # noqa: F541
        self.assertIn(f"<script>{SCRIPT}</script>", answer.text)
        self.assertEqual(answer.text.count("<script"), 1)
        self.assertEqual(answer.header("cache-control"), "no-store")
        self.assertEqual(answer.text.count('sandbox="allow-scripts allow-same-origin"'), 2)

    async def test_it_leads_on(self) -> None:
        """The page leads to where the client wants it, with the state: by a link, and by itself without script."""
        tokens = await self.tokens(await self.framed("one"))
        answer = await self.leave(tokens["id_token"], state='a&b"><script>x</script>')
        target = f"{AFTER}?state=a%26b%22%3E%3Cscript%3Ex%3C%2Fscript%3E"
        (link,) = re.findall(r'id="continue" href="([^"]*)"', answer.text)
        self.assertEqual(html.unescape(link), target)
        (refresh,) = re.findall(r'<noscript><meta http-equiv="refresh" content="([^"]*)">', answer.text)
        self.assertEqual(html.unescape(refresh), f"5;url={target}")
        self.assertFalse(await self.signed_in())

    async def test_by_the_page(self) -> None:
        """Who signs out on our own page comes to the frames, too, and then to the word that it is done."""
        await self.tokens(await self.framed("one"))
        page = await self.browser.open("/logout")
        answer = await self.browser.submit(page, "yes")
        self.assertEqual((answer.status, len(frames(answer))), (200, 1))
        (link,) = re.findall(r'id="continue" href="([^"]*)"', answer.text)
        self.assertIn("Signed out", (await self.browser.open(link)).text)

    async def test_the_session_is_over(self) -> None:
        """The session has ended when the page is shown, whatever becomes of the frames, and its cookie goes."""
        tokens = await self.tokens(await self.framed("one"))
        answer = await self.leave(tokens["id_token"])
        self.assertTrue(any("session" in name and not value for name, value in answer.cookies.items()))
        self.assertFalse(await self.signed_in())

    async def test_nobody_to_be_shown(self) -> None:
        """Without such clients in the session the browser is sent on at once."""
        await self.framed("stranger")
        tokens = await self.tokens(self.app)
        self.assertEqual((await self.leave(tokens["id_token"])).location, AFTER)

    async def test_a_client_that_is_gone(self) -> None:
        """A client that was deleted since is not shown."""
        tokens = await self.tokens(self.app)
        await self.tokens(await self.framed("one"))
        await self.server.application.clients.delete("one")
        self.assertEqual((await self.leave(tokens["id_token"])).location, AFTER)

    async def test_both(self) -> None:
        """A client with both addresses is told both ways."""
        app = await self.client("both", frontchannel_logout_uri=FRAMED)
        answer = await self.leave((await self.tokens(app))["id_token"])
        self.assertEqual(len(frames(answer)), 1)
        self.assertEqual(len(await self.sent()), 1)


    async def test_many(self) -> None:
        """A page has twenty frames at most, so that proxies take its headers; who is not told at all is counted."""
        for number in range(24):
            uris = {"frontchannel_logout_uri": f"{FRAMED}/a{number}", "backchannel_logout_uri": ""}
            if number in (1, 2):
                uris["backchannel_logout_uri"] = TOLD
            tokens = await self.tokens(await self.client(f"a{number}", **uris))
        answer = await self.leave(tokens["id_token"])
        shown = [re.findall(r"/(a[0-9]+)\?", one)[0] for one in frames(answer)]
        self.assertEqual(shown, [f"a{number}" for number in range(4, 24)])
        self.assertEqual(len(await self.sent()), 2)
        self.assertEqual([told["client_id"] for told in self.server.told("client.untold")], ["a0", "a3"])


class RuleTests(SynchronousTestCase):
    """The pure parts."""

    def test_origins(self) -> None:
        """An address fits to a redirect URI of its scheme, host and port alone."""
        redirects = ("https://a.example/cb", "http://127.0.0.1:8000/cb", "com.example.app:/cb")
        for uri in ("https://a.example:443/x", "https://A.example", "http://127.0.0.1:8000/"):
            self.assertTrue(fits(uri, redirects), uri)
        for uri in ("https://a.example:444/", "http://a.example/", "http://127.0.0.1/", "https://b.example/"):
            self.assertFalse(fits(uri, redirects), uri)

    def test_a_policy_cannot_be_widened(self) -> None:
        """What is no plain web address adds nothing to the policy."""
        for uri in ("https://a.example;script-src *", "javascript:x", "https://* /", "data:x", "https://a b/", "*"):
            self.assertNotIn("frame-src", content_security_policy(frames=(uri,)), uri)
