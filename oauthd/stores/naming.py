"""Names in the server: the keys of records, indexes, generations and sequences, and the members of indexes.

    a:<digest>                  a record without a slot            member of an index   a:<digest>
    r:{<grant>}:<digest>        a record with a slot                                    r{<grant>}<digest>
    x:tc:<id>        an index
    gen:client:{<id>}           a generation, in the slot of its subject's record; gen:world is everybody's
    gen:resource:{<uri>}        that of a resource, which is there from its first revocation on
    sequence:<name>             a sequence of numbers
    beat                        nothing: what a heartbeat removes, to be a write
    rate:<digest>               what several processes share of a limit; rates:processes is who they are, and
                                rates:memory how full the server is
    oauthd:<database>           the channel on which changes are told

The braces hold the hash tag, by which a cluster keeps keys together. Identifiers are any bytes. Slots may come from
outside: braces in them are written as %7B and %7D, so no two references ever share a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from oauthd.protocol.standing import SUBJECTS
from oauthd.stores.interface import Kind, Ref

_ESCAPED = str.maketrans({"%": "%25", "{": "%7B", "}": "%7D"})
_MEMBER = re.compile(rb"([a-z]+)(?::|\{([^{}]+)\})(.*)", re.DOTALL)

WORLD = b"gen:world"
SIGNED = b"signed"
"""What stands as long as our keys: what tokens that are not written down stand on besides."""
BEAT = b"beat"
PROCESSES, MEMORY = b"rates:processes", b"rates:memory"
CHANNEL = b"oauthd:0"


def channel(db: int) -> bytes:
    """The channel of a database: channels, unlike keys, belong to the whole server."""
    return b"oauthd:%d" % db


def key(ref: Ref[Any]) -> bytes:
    """The key of a record."""
    if ref.slot:
        return b"%b:{%b}:%b" % (ref.kind.prefix, _tag(ref.slot), ref.ident)
    return b"%b:%b" % (ref.kind.prefix, ref.ident)


def member(ref: Ref[Any]) -> bytes:
    """How an index names a record."""
    if ref.slot:
        return b"%b{%b}%b" % (ref.kind.prefix, _tag(ref.slot), ref.ident)
    return key(ref)


class Members:
    """Reads the members of indexes; knows the kinds that there are."""

    def __init__(self, kinds: Iterable[Kind[Any]]) -> None:
        self._kinds = {kind.prefix: kind for kind in kinds}

    def ref(self, written: bytes) -> Ref[Any] | None:
        """The reference of a member; None for a kind that this program does not know."""
        found = _MEMBER.fullmatch(written)
        kind = self._kinds.get(found[1]) if found else None
        if found is None or kind is None:
            return None
        return Ref(kind, found[3], _slot(found[2]) if found[2] else "")


def index(name: str) -> bytes:
    """The key of an index."""
    return b"x:" + _bytes(name)


def bucket(name: bytes) -> bytes:
    """The key of a bucket that processes share."""
    return b"rate:" + name


def sequence(name: str) -> bytes:
    """The key of a sequence."""
    return b"sequence:" + _bytes(name)


@lru_cache(maxsize=4096)
def generation(subject: str) -> bytes:
    """The key of a subject's generation: `world`, `client:ID`, `user:ID` or `resource:URI`.

    :raises ValueError: for anything else.
    """
    sort, _, ident = subject.partition(":")
    if subject == "world":
        return WORLD
    if sort == "world" or sort not in SUBJECTS or not ident:
        raise ValueError("only the world, a client, a user and a resource have generations")
    return b"gen:%b:{%b}" % (sort.encode(), _tag(ident))


@lru_cache(maxsize=4096)  # one request names the records of one grant again and again
def _tag(slot: str) -> bytes:
    return _bytes(slot.translate(_ESCAPED) if "{" in slot or "}" in slot or "%" in slot else slot)


def _slot(tag: bytes) -> str:
    slot = tag.decode("utf-8", "surrogatepass")
    return slot.replace("%7B", "{").replace("%7D", "}").replace("%25", "%") if "%" in slot else slot


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
