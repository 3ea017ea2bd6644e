"""Why a document was not fetched."""

from __future__ import annotations

from attrs import frozen

BUSY = "cannot be fetched now: too many are being fetched; try again"
NOBODY = "is at a host that has no public address"


@frozen(str=True)
class FetchRefused(Exception):
    """A document was not fetched.

    :ivar description: for the client's developer: ASCII, follows a word such as "the document at its jwks_uri" and has
        no full stop. It tells nothing of what this server can see and the client's developer cannot: a name that only
        an inner network knows is refused in the same words as one that nobody knows.
    :ivar log: for our own log.
    :ivar passing: is it for this moment only, so that nobody remembers it?
    """

    description: str
    log: str = ""
    passing: bool = False
