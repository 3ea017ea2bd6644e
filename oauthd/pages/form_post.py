"""The page that posts an authorization response to its client (OAuth 2.0 Form Post Response Mode section 2).

A form with the parameters in hidden fields, sent by a script as soon as it is there, or by its button where no script
runs. The script is the same for every response, and the only one that the policy lets run: it is named by its hash, so
nothing that a client puts into a parameter could ever be one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import frozen

from oauthd.pages.rendering import Pages, destination, page_headers
from oauthd.protocol.messages import Response
from oauthd.protocol.redirects import RedirectUri

SCRIPT: Final = "document.forms[0].submit()"


@frozen
class FormPost:
    """Makes the page of a response."""

    pages: Pages

    def __call__(self, redirect: RedirectUri, pairs: Iterable[tuple[str, str]]) -> Response:
        """The page that posts the parameters to the redirect URI."""
        body = self.pages.render(
            "form_post",
            action=redirect.value,
            fields=dict(pairs),
            destination=destination(redirect.value),
            script=SCRIPT,
        )
        # Section 2: neither kept nor used again, as all pages here.
        return Response(200, (*page_headers((redirect.value,), SCRIPT), ("Pragma", "no-cache")), body)
