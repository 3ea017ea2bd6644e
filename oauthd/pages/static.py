"""Static files of the pages, by names that carry the hash of their content: kept by browsers for ever."""

from __future__ import annotations

from attrs import frozen

from oauthd.pages.rendering import Pages
from oauthd.protocol.errors import NOT_FOUND
from oauthd.protocol.messages import Request, Response


@frozen
class Static:
    """Answers with a packaged file."""

    pages: Pages

    async def __call__(self, request: Request) -> Response:
        """The file of that name."""
        found = self.pages.static(request.arguments["name"])
        if found is None:
            raise NOT_FOUND("there is no such file")
        headers = (("Content-Type", found[0]), ("Cache-Control", "public, max-age=31536000, immutable"))
        return Response(200, headers, found[1])
