"""The error page: what went wrong in words for the person, and the code for the application's developer.

A description of the form "this has happened; do that" is for the person and becomes two sentences; any other one is for
the developer, and the person is told something general.
"""

from __future__ import annotations

from attrs import frozen

from oauthd.pages.rendering import Pages, page_headers
from oauthd.protocol.messages import Response

SENTENCES = {
    404: ("There is no such page.", "Check the address."),
    405: ("This page cannot be used that way.", "Go back to the application and start again."),
    429: ("There were too many attempts.", "Wait a little and try again."),
    500: ("Something went wrong on our side.", "Try again in a moment; if it stays, tell those who run this server."),
    503: ("The server cannot answer just now.", "Try again in a moment."),
}
REFUSED = ("This request cannot be carried out.", "Go back to the application and start again.")


@frozen
class ErrorPage:
    """Renders errors of rows that are delivered as pages."""

    pages: Pages

    def __call__(self, status: int, code: str, description: str, leave: str = "") -> Response:
        """The page for an error.

        :param leave: where a person signs out who came for that.
        """
        happened, separated, todo = description.partition("; ")
        told: dict[str, str | None]
        if separated and status not in SENTENCES:
            told = {"message": _sentence(happened), "advice": _sentence(todo), "description": None}
        else:
            message, advice = SENTENCES.get(status, REFUSED)
            told = {"message": message, "advice": advice, "description": description}
        body = self.pages.render("error", error=code, reference=None, leave=leave, **told)
        return Response(status, page_headers(), body)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
