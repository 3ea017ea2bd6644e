"""Cross-origin access (Fetch standard, "CORS protocol") for the rows of the route table that allow it.

Any origin, never with credentials: cookies mean nothing on these rows, and a token is sent by the script itself. Rows
without `cors` get no such header at all (RFC 9700 section 2.6).
"""

from __future__ import annotations

from collections.abc import Iterable

Fields = tuple[tuple[str, str], ...]

ANY_ORIGIN: Fields = (
    ("Access-Control-Allow-Origin", "*"),
    # What a script needs of an error, and could not see otherwise.
    ("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, DPoP-Nonce"),
)


def preflight(methods: Iterable[str]) -> Fields:
    """The fields of the answer to OPTIONS; `methods` are those of the row."""
    return (
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", ", ".join(methods)),
        ("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP"),
        ("Access-Control-Max-Age", "7200"),  # seconds; the most that Chromium keeps
    )
