"""Several tabs of one browser: each goes on with its own flow, and no other browser does."""

from __future__ import annotations

from tests.server import ServerCase, form_of, ok, together

BROWSER = "__Host-oauthd_browser"


class TabsTests(ServerCase):
    """A browser that has no cookie of ours yet, and opens two tabs at the same moment."""

    async def prepare(self) -> None:
        """Begin two flows, neither of which knows of the other's cookie."""
        self.app = await self.server.client(first_party=True)
        self.alice = await self.server.user()
        self.browser = self.server.browser()
        begun = await together(
            self.server.browser().get("/oauth2/authorize", self.server.asking(self.app)) for _ in range(2)
        )
        self.pages = []
        for answer in begun:  # the second one's cookie takes the place of the first one's
            self.browser.cookies |= answer.cookies
        for answer in begun:
            self.pages.append(await self.browser.follow(answer))

    async def test_both_go_on(self) -> None:
        """Each tab signs in and brings a code."""
        for page in self.pages:
            told = (await self.browser.sign_in(page, self.alice)).redirected
            ok(await self.server.redeem(self.app, told["code"]))

    async def test_flow_and_form_belong_together(self) -> None:
        """The form of one flow says nothing in the other."""
        first, second = (form_of(page).fields for page in self.pages)
        mixed = second | {"csrf": first["csrf"], "login": "alice", "password": self.alice.password}
        self.refused_page(await self.browser.post("/login", mixed))

    async def test_one_cookie_for_all_later_flows(self) -> None:
        """A browser that has the cookie gets no further one."""
        answer = await self.browser.get("/oauth2/authorize", self.server.asking(self.app))
        self.assertEqual(answer.cookies, {})
        self.assertEqual(form_of(await self.browser.follow(answer)).action, "/login")

    async def test_the_cookie_of_a_flow_is_good_for_no_other(self) -> None:
        """With nothing but the cookie of the first flow, the second one is another browser's."""
        first, second = (form_of(page).fields["interaction"] for page in self.pages)
        del self.browser.cookies[BROWSER]
        own = [name for name in self.browser.cookies if name.startswith(f"{BROWSER}_")]
        self.assertEqual(len(own), 2)
        for name in own:
            stranger = self.server.browser()
            stranger.cookies = {name: self.browser.cookies[name]}
            answers = [await stranger.get("/login", {"interaction": flow}) for flow in (first, second)]
            self.assertEqual(sorted(answer.status for answer in answers), [200, 400])
