"""OAuth 2.0 Form Post Response Mode, and the other modes of OAuth 2.0 Multiple Response Types section 2.1."""

from __future__ import annotations

import base64
import hashlib
import re
from urllib.parse import parse_qsl, urlsplit

from tests.server import ISSUER, REDIRECT, App, Person, ServerCase, ok
from tests.wire import Answer

HOSTILE = (
    '"><script>alert(1)</script>',
    "</script><script>alert(1)</script>",
    "'\"><img src=x onerror=alert(1)>",
    "</form><form action=https://evil.example>",
    "\u202e\u2066 {{ 7*7 }} {% raw %}",
    "&lt;script&gt;&#34;",
)


def posted(answer: Answer) -> dict[str, str]:
    """What the page would post."""
    (form,) = answer.forms
    return form.fields


def lasting(page: Answer) -> list[tuple[str, str]]:
    """The fields of the head that do not depend on the second or on the length."""
    return [(name, value) for name, value in page.headers if name not in ("date", "content-length")]


class FormPostTests(ServerCase):
    """The page with the form."""

    async def prepare(self) -> None:
        """A client and a user."""
        self.app, self.alice = await self.server.client(), await self.server.user()

    async def page(self, app: App, person: Person, **parameters: str) -> Answer:
        """The page at the end of a flow."""
        browser = self.server.browser()
        asking = self.server.asking(app, response_mode="form_post", **parameters)
        consent = await browser.sign_in(await browser.open("/oauth2/authorize", asking), person)
        return await browser.submit(consent, "allow")

    async def error(self, **parameters: str | None) -> Answer:
        """The page of an error."""
        asking = self.server.asking(self.app, **{"response_mode": "form_post", "prompt": "none", **parameters})
        return await self.server.get("/oauth2/authorize", asking)

    async def test_section_2_form(self) -> None:
        """Section 2: a form that posts to the redirect URI, with each parameter in a hidden field."""
        page = await self.page(self.app, self.alice)
        self.assertEqual((page.status, page.location), (200, ""))
        (form,) = page.forms
        self.assertEqual(form.action, REDIRECT)
        self.assertIn('<form method="post"', page.text)
        self.assertEqual(form.fields.keys(), {"code", "state", "iss"})
        self.assertEqual((form.fields["state"], form.fields["iss"]), ("st&te", ISSUER))
        self.assertNotIn(form.fields["code"], page.location)
        ok(await self.server.redeem(self.app, form.fields["code"]))

    async def test_section_2_is_not_kept(self) -> None:
        """Section 2: neither the browser nor anybody in between may store or reuse the page."""
        page = await self.page(self.app, self.alice)
        self.assertEqual(page.header("cache-control"), "no-store")
        self.assertEqual(page.header("pragma"), "no-cache")
        self.assertEqual(page.header("referrer-policy"), "no-referrer")

    async def test_the_policy_names_the_one_script(self) -> None:
        """The page's only script is the one whose hash the policy lists; no inline script runs beside it."""
        page = await self.page(self.app, self.alice)
        (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.S)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = page.header("content-security-policy")
        self.assertIn(f"script-src 'sha256-{digest}';", policy)
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)
        self.assertIn("form-action 'self' https:;", policy)
        self.assertIn("frame-ancestors 'none'", policy)

    async def test_other_pages_have_no_script(self) -> None:
        """No policy but that of this page lets any script run."""
        browser = self.server.browser()
        page = await browser.open("/oauth2/authorize", self.server.asking(self.app, response_mode="form_post"))
        self.assertNotIn("script-src", page.header("content-security-policy"))

    async def test_works_without_script(self) -> None:
        """A button without a name of its own sends the same form."""
        page = await self.page(self.app, self.alice)
        (button,) = re.findall(r"<button[^>]*>", page.text)
        self.assertIn('type="submit"', button)
        self.assertNotIn("name=", button)

    async def test_errors_go_the_same_way(self) -> None:
        """An error is posted as a code would be, with state and issuer."""
        page = await self.error()
        self.assertEqual(page.status, 200)
        self.refused_by_redirect(posted(page), "login_required")
        wrong = posted(await self.error(prompt=None, scope="unknown"))
        self.refused_by_redirect(wrong, "invalid_scope")
        wrong = posted(await self.error(prompt=None, response_type="token"))
        self.refused_by_redirect(wrong, "unsupported_response_type")

    async def test_a_refusal_goes_the_same_way(self) -> None:
        """A person who refuses sends the client the same form."""
        browser = self.server.browser()
        asking = self.server.asking(self.app, response_mode="form_post")
        consent = await browser.sign_in(await browser.open("/oauth2/authorize", asking), self.alice)
        self.refused_by_redirect(posted(await browser.submit(consent, "deny")), "access_denied")

    async def test_nothing_in_a_value_becomes_markup(self) -> None:
        """Whatever a state is, the page has the same elements, the same policy, and carries it whole."""
        usual = await self.error(state="plain")
        outline = re.findall(r"<[a-z/]+", usual.text)
        for state in HOSTILE:
            page = await self.error(state=state)
            self.assertEqual(posted(page)["state"], state)
            self.assertEqual(re.findall(r"<[a-z/]+", page.text), outline, state)
            self.assertEqual(lasting(page), lasting(usual))

    async def test_line_ends_in_a_state(self) -> None:
        """A state with line ends and other control characters goes into no header and no page."""
        for state in ("a\r\nSet-Cookie: x=y", "a\x00b"):
            page = await self.error(state=state)
            self.refused_page(page)
            self.assertEqual(page.header("set-cookie"), "")

    async def test_the_redirect_uri_is_no_markup_either(self) -> None:
        """A registered address with quotes and ampersands stays an address."""
        uri = "https://app.example/cb?a='x'&b=1"
        app = await self.server.client("odd", redirect_uris=(uri,))
        asking = self.server.asking(app, response_mode="form_post", prompt="none")
        (form,) = (await self.server.get("/oauth2/authorize", asking)).forms
        self.assertEqual(form.action, uri)

    async def test_a_wrong_redirect_uri_gets_no_form(self) -> None:
        """An address that is not registered is told nothing, by form neither."""
        asking = self.server.asking(self.app, response_mode="form_post", redirect_uri="https://evil.example/cb")
        page = await self.server.get("/oauth2/authorize", asking)
        self.refused_page(page)
        self.assertEqual(page.forms, [])

    async def test_an_application_of_a_scheme_gets_no_form(self) -> None:
        """A form cannot reach a private-use scheme: that is said by query."""
        app = await self.server.client("native", public=True, redirect_uris=("com.example.app:/cb",))
        for mode in ("form_post", "form_post.jwt"):
            answer = await self.server.get("/oauth2/authorize", self.server.asking(app, response_mode=mode))
            self.assertTrue(answer.location.startswith("com.example.app:/cb?"))
        loopback = await self.server.client("desktop", public=True, redirect_uris=("http://127.0.0.1/cb",))
        asking = self.server.asking(loopback, response_mode="form_post", prompt="none")
        self.assertEqual((await self.server.get("/oauth2/authorize", asking)).status, 200)


class ModeTests(ServerCase):
    """The other modes."""

    async def test_fragment(self) -> None:
        """Multiple Response Types section 2.1: `fragment` puts the parameters there, and the query stays as it was."""
        app = await self.server.client(redirect_uris=("https://app.example/cb?tenant=1",))
        alice, browser = await self.server.user(), self.server.browser()
        asking = self.server.asking(app, response_mode="fragment")
        split = urlsplit((await browser.finish(await browser.get("/oauth2/authorize", asking), alice)).location)
        self.assertEqual(split.query, "tenant=1")
        told = dict(parse_qsl(split.fragment, strict_parsing=True))
        self.assertEqual((told.keys(), told["state"]), ({"code", "state", "iss"}, "st&te"))

    async def test_errors_by_fragment(self) -> None:
        """An error goes where the code would have gone."""
        app = await self.server.client()
        asking = self.server.asking(app, response_mode="fragment", prompt="none")
        split = urlsplit((await self.server.get("/oauth2/authorize", asking)).location)
        self.refused_by_redirect(dict(parse_qsl(split.fragment)), "login_required")
        self.assertEqual(split.query, "")

    async def test_a_repeated_mode(self) -> None:
        """Two modes are one too many, and the client is told by query."""
        app = await self.server.client()
        pairs = [*self.server.asking(app).items(), ("response_mode", "form_post"), ("response_mode", "fragment")]
        self.refused_by_redirect((await self.server.get("/oauth2/authorize", pairs)).redirected, "invalid_request")

    async def test_metadata(self) -> None:
        """RFC 8414 section 2: the modes are announced, and each of them is accepted."""
        app = await self.server.client()
        document = ok(await self.server.get("/.well-known/openid-configuration"))
        self.assertEqual(len(document["response_modes_supported"]), 7)
        for mode in document["response_modes_supported"]:
            answer = await self.server.get("/oauth2/authorize", self.server.asking(app, response_mode=mode))
            self.assertTrue(answer.location.startswith("/login"), mode)
