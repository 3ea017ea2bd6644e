"""What clients are to be told, until they have been."""

from __future__ import annotations

from msgspec import field

from oauthd.protocol.records.record import Record


class Outgoing(Record, frozen=True):
    """A message to a client, of which the body is made when it is sent.

    :ivar sort: what it is, by which it is made.
    :ivar sealed: the facts that it is made of, by the master key.
    :ivar until: no attempt is made after it; the record lives on where it is dead.
    :ivar tries: attempts that failed.
    :ivar reason: why the last of them did.
    :ivar dead_at: when it was given up; 0 while it was not.
    """

    secret = ("sealed",)

    message_id: str = field(name="i")
    sort: str = field(name="s")
    client_id: str = field(name="c")
    sealed: bytes = field(name="f")
    created_at: int = field(name="ca")
    until: int = field(name="u")
    expires_at: int = field(name="e")
    tries: int = field(name="n", default=0)
    reason: str = field(name="r", default="")
    dead_at: int = field(name="d", default=0)
