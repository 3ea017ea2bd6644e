"""The page at the root: what this is, and who is signed in."""

from __future__ import annotations

from attrs import frozen

from oauthd.pages.browser import Browser
from oauthd.protocol.messages import Request, Response


@frozen
class Home:
    """Tells a visitor where they are."""

    browser: Browser
    issuer: str

    async def __call__(self, request: Request) -> Response:
        """Show the page."""
        signed_in = await self.browser.signed_in(request)
        person = (signed_in[1].claims.get("name") or signed_in[1].username) if signed_in else None
        return self.browser.show("home", person=person, issuer=self.issuer)
