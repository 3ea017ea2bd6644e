"""The page that signs a browser out at the clients of a session (OpenID Connect Front-Channel Logout section 3).

Each client that is to be told stands in a frame that nobody sees; when all have come, or their time is over, the
browser goes on to where the logout leads. A script does that; without one the browser goes on by itself a little later,
and a link is there from the beginning. The frames may run scripts and see their own cookies, and cannot touch this
page, nor lead it elsewhere. What browsers keep from frames of other sites (section 4.1) nobody here can see:
back-channel logout needs no browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from oauthd.pages.rendering import Pages, destination, page_headers
from oauthd.protocol.messages import Response, see_other

LONGEST: Final = 5  # seconds that the frames have
HOME: Final = "/logout"
SCRIPT: Final = (
    "(function () {"
    " var gone = false;"
    " function go() { if (!gone) { gone = true; location.replace(document.links[0].href); } }"
    " window.onload = go;"  # which is when all frames have come, well or badly
    f" setTimeout(go, {LONGEST * 1000});"
    " })()"
)
"""Without quotation marks, which the template would escape."""


@frozen
class FrontChannelLogout:
    """Makes the page."""

    pages: Pages

    def __call__(self, frames: Sequence[str], target: str) -> Response:
        """Sign out in these frames, and go on to the target; "" for our own page.

        :param target: an address that was registered for this, or one of ours, which begins with a slash.
        """
        leads = target or HOME
        if not frames:
            return see_other(leads)
        body = self.pages.render(
            "signing_out",
            frames=frames,
            target=leads,
            destination=None if leads.startswith("/") else destination(leads),
            seconds=LONGEST,
            script=SCRIPT,
        )
        return Response(200, page_headers((), SCRIPT, frames=frames), body)
