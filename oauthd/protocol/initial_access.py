"""An initial access token as it is remembered (RFC 7591 section 3): a record like those of `records`."""

from __future__ import annotations

from msgspec import field

from oauthd.protocol.records import Record


class InitialAccess(Record, frozen=True):
    """An initial access token (RFC 7591 section 3): who holds it may register clients.

    :ivar uses: how many it may still register.
    :ivar by: the client or user who issued it.
    :ivar scopes: what its clients may ask for; None for what the settings say, as with the other two.
    """

    token_id: str = field(name="i")
    uses: int = field(name="u")
    created_at: int = field(name="c")
    expires_at: int = field(name="e")
    note: str = field(name="n", default="")
    by: str = field(name="b", default="")
    scopes: tuple[str, ...] | None = field(name="s", default=None)
    grant_types: tuple[str, ...] | None = field(name="g", default=None)
    auth_methods: tuple[str, ...] | None = field(name="a", default=None)
