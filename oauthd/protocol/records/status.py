"""Status lists: what their places stand for, and what is told of them."""

from __future__ import annotations

from msgspec import field

from oauthd.protocol.records.record import Record
from oauthd.protocol.records.tokens import Generations


class StatusEntry(Record, frozen=True):
    """What one place of a list stands on: enough to see whether its token was ended, without the token's own record.

    :ivar digest: that of the token, whose record must stand; empty for a token that has none.
    :ivar grant: id of its grant, "" for none.
    :ivar ended: it was ended by itself; for a token without a record.
    :ivar audience: resources that it is for.
    :ivar resource_generations: those of the audience, in its order; () where all are 0.
    :ivar under: further generations, and `parents`: names; as in the token's record.
    """

    expires_at: int = field(name="e")
    client_id: str = field(name="c", default="")
    user_id: str = field(name="u", default="")
    grant: str = field(name="G", default="")
    generations: Generations = field(name="g", default=Generations(0, 0))
    digest: bytes = field(name="d", default=b"")
    ended: bool = field(name="x", default=False)
    audience: tuple[str, ...] = field(name="a", default=())
    resource_generations: tuple[int, ...] = field(name="rg", default=())
    under: tuple[tuple[str, int], ...] = field(name="un", default=())
    parents: tuple[bytes, ...] = field(name="pa", default=())


class StatusList(Record, frozen=True):
    """A list as it is told.

    :ivar expires_at: when it is forgotten where nobody looks after it any more.
    :ivar checked_at: as of when its bits hold.
    :ivar blocks: how many of its blocks of places were given out at most.
    :ivar given_at: when the last of them was, a minute more or less.
    :ivar array: the bits, compressed; empty for none that is set.
    """

    expires_at: int = field(name="e")
    checked_at: int = field(name="t")
    blocks: int = field(name="b")
    given_at: int = field(name="ga")
    array: bytes = field(name="a", default=b"")


class StatusRange(Record, frozen=True):
    """Which lists there are, by number: none outside `first` to `last`.

    :ivar seed: what their places are scattered by; the same for ever, since a place is given out once.
    """

    secret = ("seed",)

    seed: bytes = field(name="s")
    first: int = field(name="f", default=0)
    last: int = field(name="l", default=0)


class Lease(Record, frozen=True):
    """That one process does something for all."""

    holder: str = field(name="h")
    expires_at: int = field(name="e")
