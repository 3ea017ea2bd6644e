"""Lists in pages: `limit`, `cursor`, and a cursor that carries a position and nothing else.

Cursors are the store's own: a position in one list. Whoever forges one reaches positions of a list that he may read
anyway; what is none, or is of another list, is 404: there is no such page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from oauthd.admin.declarations import Parameter
from oauthd.protocol.errors import NOT_FOUND, OAuthError
from oauthd.protocol.schemas import Listing, Member, Members, Nullable, Schema, Text, Whole
from oauthd.stores.interface import Page

T = TypeVar("T")

MOST = 200
USUAL = 50
READ = 1000
"""How many records are looked at for one page of a filtered list; then it is handed out as short as it is."""

_CURSOR = Text("[A-Za-z0-9_-]+", "a cursor of this list", 1, 2048)
PARAMETERS = (
    Parameter("limit", Whole(1, MOST), f"How many at most; {USUAL} when left out."),
    Parameter("cursor", _CURSOR, "The `next_cursor` of the page before; left out for the first page."),
)


def page_of(name: str, item: Schema) -> Members:
    """The schema of a page."""
    return Members(
        (
            Member(name, Listing(item), "In the order they were made, or will end for tokens.", required=True),
            Member(
                "next_cursor",
                Nullable(Text()),
                "Continues after this page, which may be shorter than `limit`; null at the end.",
                required=True,
            ),
        )
    )


def no_such_page() -> OAuthError:
    """What a cursor that is none of ours gets."""
    return NOT_FOUND("there is no such page; take the cursor from next_cursor")


async def filtered(
    read: Callable[[str | None, int], Awaitable[Page[T]]], fits: Callable[[T], bool], query: Mapping[str, Any]
) -> tuple[list[T], str | None]:
    """A page of the records that fit, and the cursor after it.

    :raises OAuthError: `not_found` for a cursor that is none of this list.
    """
    cursor: str | None = query.get("cursor")
    limit: int = query.get("limit", USUAL)
    found: list[T] = []
    looked_at = 0
    while len(found) < limit and looked_at < READ:
        wanted = limit - len(found)
        try:
            page = await read(cursor, wanted)
        except ValueError:
            raise no_such_page() from None
        found += [stored.record for stored in page.items if fits(stored.record)]
        looked_at += wanted
        cursor = page.cursor
        if cursor is None:
            break
    return found, cursor
