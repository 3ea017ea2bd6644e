"""What the fast lane remembers of requests: header blocks that the ordinary path has read before, and what they taught.

A block is found by its exact bytes; at a second chance by its *shape*, in which the length of the body and fields that
mean nothing here (traces) are left out. It is remembered at second sight only, so that a flood of blocks that come once
changes nothing. Never remembered: a block with a field whose meaning changes from request to request, a repeated field,
HTTP/1.0, a connection that is to be closed, a body with an assertion, and what is too long to be asked often.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from attrs import define, field, frozen

from oauthd.protocol.messages import Lesson, TellingLesson, Told

MOST_BLOCKS = 1024
MOST_HEADS = 4096  # spellings of the same blocks: other lengths of the body
MOST_SEEN = 4096  # shapes seen once
MOST_TAUGHT = 8  # requests with different bodies under one block
LONGEST = 4096  # bytes of a shape
LONGEST_SIDES = 1024  # bytes of what a body has around its parameter

# Fields that differ with each request and that nothing here reads (W3C Trace Context, and what proxies call the same).
VARYING = frozenset(
    (
        b"traceparent", b"tracestate", b"baggage", b"x-request-id", b"x-correlation-id", b"x-amzn-trace-id",
        b"x-b3-traceid", b"x-b3-spanid", b"x-b3-parentspanid", b"x-b3-sampled", b"b3", b"x-cloud-trace-context",
    )
)  # fmt: skip
# Left out as well where the peer is no trusted proxy: then nobody believes them.
FORWARDED = frozenset((b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip", b"forwarded"))
# Whoever sends one of these wants more than an answer to the same question.
NEVER = frozenset(
    (
        b"dpop", b"cookie", b"expect", b"transfer-encoding", b"te", b"trailer", b"upgrade", b"content-encoding",
        b"range", b"client-cert", b"client-assertion", b"x-client-cert", b"x-forwarded-client-cert", b"signature",
        b"signature-input", b"client-cert-chain", b"x-ssl-client-cert", b"ssl-client-cert", b"x-ssl-cert",
        b"x-forwarded-tls-client-cert", b"x-amzn-mtls-clientcert", b"x-amzn-mtls-clientcert-leaf",
    )
)  # fmt: skip

_LENGTH = re.compile(rb"(?i:content-length)[ \t]*:[ \t]*(0|[1-9][0-9]{0,6})[ \t]*")
_HARMLESS = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")


def _fields(names: Iterable[bytes]) -> re.Pattern[bytes]:
    """Finds whole lines of these fields, in any case, with nothing odd in them."""
    names = sorted(names)
    initials = b"".join({name[:1] for name in names} | {name[:1].upper() for name in names})  # a third of the time
    return re.compile(
        rb"\r\n(?=[%b])(?i:%b):[\t\x20-\x7e\x80-\xff]*(?=\r\n|\Z)" % (initials, b"|".join(map(re.escape, names)))
    )


_OF_ANYBODY, _OF_STRANGERS = _fields(VARYING), _fields(VARYING | FORWARDED)
_CLEAN = re.compile(rb"[A-Za-z0-9._~-]+")  # RFC 3986 section 2.3: nothing that a form would write in another way


def is_clean(value: bytes) -> bool:
    """Does the value stand in a form exactly as it is?"""
    return _CLEAN.fullmatch(value) is not None


@frozen
class Facts:
    """What the ordinary path knew of a connection beside the bytes: blocks of different ones are never mixed."""

    secure: bool
    proxy: bool


@frozen(eq=False, slots=True)
class Taught:
    """A request that was answered, but for the value of one parameter: what the body has before it and after it.

    :ivar place: where it was answered; for whoever answers the next one.
    :ivar fields: of the answer's head, from after the date up to the value of Content-Length.
    :ivar tell: of a lesson that can.
    """

    lesson: Lesson
    prefix: bytes = field(repr=False)  # a secret may stand in it
    suffix: bytes = field(repr=False)
    place: Any
    fields: bytes
    shortest: int = field(init=False)
    tell: Callable[[bytes, Told], bool] | None = field(init=False)

    @shortest.default
    def _shortest(self) -> int:
        return len(self.prefix) + len(self.suffix)

    @tell.default
    def _tell(self) -> Callable[[bytes, Told], bool] | None:
        return self.lesson.tell if isinstance(self.lesson, TellingLesson) else None


@define(eq=False, slots=True)
class Block:
    """A header block."""

    taught: list[Taught] = field(factory=list)
    hot: bool = True


@define(eq=False)
class Memo:
    """What is remembered for connections with the same facts.

    :ivar never: fields that no block has which is remembered.
    :ivar heads: block and length of the body, by the exact bytes of the head.
    """

    facts: Facts
    most_fields: int
    most_bytes: int
    most_body: int
    never: frozenset[bytes] = NEVER
    heads: dict[bytes, tuple[Block, int]] = field(factory=dict)
    _shapes: dict[bytes, Block] = field(factory=dict)
    _left_out: re.Pattern[bytes] = field(init=False, repr=False)
    _seen: set[int] = field(factory=set)  # their hashes

    @_left_out.default
    def _pattern(self) -> re.Pattern[bytes]:
        return _OF_ANYBODY if self.facts.proxy else _OF_STRANGERS

    @property
    def blocks(self) -> int:
        """How many blocks are remembered."""
        return len(self._shapes)

    def second_chance(self, head: bytes) -> tuple[Block, int] | None:
        """The block of that shape, and the length of the body."""
        if not self._shapes or len(head) > self.most_bytes:
            return None
        plain = self._left_out.sub(b"", head)
        if len(plain) != len(head):
            known = self.heads.get(plain)
            if known is not None and head.count(b"\r\n") < self.most_fields:
                return known
        shaped = self._shape(head)
        if shaped is None:
            return None
        shape, length, whole = shaped
        block = self._shapes.get(shape)
        if block is None:
            return None
        block.hot = True
        if whole:  # only another length: worth to be found at once the next time
            self._remember_head(head, block, length)
        return block, length

    def learn(self, head: bytes, body: int, taught: Taught) -> bool:
        """Remember what a request taught, if it is seen for the second time; was it remembered?

        :param body: how many bytes of the body came with the head: what came later is not in `taught`.
        """
        shaped = self._shape(head)
        if shaped is None:
            return False
        shape, length, whole = shaped
        if length != body or len(shape) > LONGEST or taught.shortest > LONGEST_SIDES:
            return False
        block = self._shapes.get(shape)
        if block is None:
            seen = hash(shape)
            if seen not in self._seen:
                if len(self._seen) >= MOST_SEEN:
                    self._seen.clear()
                self._seen.add(seen)
                return False
            if not _learnable(head, self.never):
                return False
            block = self._shapes[shape] = Block([taught])
            self._seen.discard(seen)
            self._make_room()
        else:
            sides = (taught.prefix, taught.suffix)
            kept = [one for one in block.taught if one.lesson.holds() and (one.prefix, one.suffix) != sides]
            block.taught = [taught, *kept][:MOST_TAUGHT]
            block.hot = True
        self._remember_head(head if whole else self._left_out.sub(b"", head), block, length)
        return True

    def _remember_head(self, head: bytes, block: Block, length: int) -> None:
        if len(self.heads) >= MOST_HEADS:
            self.heads.clear()  # each is found by its shape, and comes back
        self.heads[head] = block, length

    def _make_room(self) -> None:
        while len(self._shapes) > MOST_BLOCKS:
            shape, block = next(iter(self._shapes.items()))
            del self._shapes[shape]
            if block.hot and block.taught:
                block.hot = False
                self._shapes[shape] = block
            else:
                block.taught = []  # also for heads that still name it

    def _shape(self, head: bytes) -> tuple[bytes, int, bool] | None:
        """Shape of a head, length of the body, and whether nothing but that length was left out."""
        lines = head.split(b"\r\n")
        if len(lines) > self.most_fields or len(head) > self.most_bytes:
            return None
        kept, length, whole = [lines[0]], -1, True
        for line in lines[1:]:
            name = line.partition(b":")[0].lower()
            if name in VARYING or (name in FORWARDED and not self.facts.proxy):
                if _HARMLESS.fullmatch(line) is None:
                    return None
                whole = False
            elif name == b"content-length":
                found = _LENGTH.fullmatch(line)
                if found is None or length >= 0:
                    return None
                length = int(found[1])
                kept.append(b"content-length")
            else:
                kept.append(line)
        return (b"\r\n".join(kept), length, whole) if 0 <= length <= self.most_body else None


def _learnable(head: bytes, never: frozenset[bytes]) -> bool:
    """May a head be remembered at all?"""
    first, *lines = head.split(b"\r\n")
    if not (first.startswith(b"POST ") and first.endswith(b" HTTP/1.1")):
        return False
    names = [line.partition(b":")[0].lower() for line in lines]
    if len(set(names)) != len(names) or not never.isdisjoint(names):
        return False
    for name, line in zip(names, lines, strict=True):
        if name == b"connection" and line.partition(b":")[2].strip(b" \t").lower() != b"keep-alive":
            return False
    return True


def is_asserted(body: bytes) -> bool:
    """Does a form carry an assertion (RFC 7521), which is good for one request alone? Or anything that is called so."""
    return b"assertion" in unquote_to_bytes(body.lower())


def around(body: bytes, parameter: str) -> tuple[bytes, bytes] | None:
    """What a form has before and after the value of a parameter; None where it is not there as it is.

    The whole body and nothing for no parameter.
    """
    if not parameter:
        return body, b""
    name = parameter.encode("ascii") + b"="
    start = 0 if body.startswith(name) else body.find(b"&" + name) + 1
    if start == 0 and not body.startswith(name):
        return None
    start += len(name)
    end = body.find(b"&", start)
    end = len(body) if end < 0 else end
    return (body[:start], body[end:]) if is_clean(body[start:end]) else None
