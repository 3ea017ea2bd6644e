"""Answers that are kept for a while: bounded in number and bytes, the least recently used go first.

How long an answer counts is what its host says in Cache-Control (RFC 9111 section 5.2.2), between a shortest and a
longest time of ours. What was refused is kept as well, briefly, so that a host that is away costs little.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable, Iterable

from attrs import define, field, frozen

from oauthd.fetcher.refusal import FetchRefused

_OVERHEAD = 512  # bytes: what an entry takes beside its content
_MAX_AGE = re.compile(r'max-age="?([0-9]{1,9})"?')


@frozen
class Answer:
    """What came of a fetch.

    :ivar body: the document; None where there is none.
    :ivar refused: why there is none.
    :ivar since: when it was asked for, seconds.
    :ivar until: until when it counts.
    """

    body: bytes | None
    refused: FetchRefused | None
    since: float
    until: float

    def document(self) -> bytes:
        """The document.

        :raises FetchRefused: as it was when it was fetched.
        """
        if self.body is not None:
            return self.body
        assert self.refused is not None  # noqa: S101 - there is one or the other
        # A new one each time: an exception that is raised again and again collects tracebacks.
        raise FetchRefused(self.refused.description, self.refused.log)


@define(eq=False)
class Kept:
    """The answers.

    :ivar entries: at most so many.
    :ivar bytes: at most so many bytes of them, by estimate.
    """

    entries: int
    bytes: int
    _answers: OrderedDict[Hashable, Answer] = field(factory=OrderedDict, init=False, repr=False)
    _size: int = field(default=0, init=False)

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def size(self) -> int:
        """The bytes that all of them take, by estimate."""
        return self._size

    def find(self, key: Hashable, now: float, oldest: float | None = None) -> Answer | None:
        """The answer, if it still counts.

        :param oldest: seconds; a document that was asked for longer ago does not count.
        """
        found = self._answers.get(key)
        if found is None:
            return None
        if now >= found.until or now < found.since:  # a clock that was put back proves nothing
            self._drop(key)
            return None
        if oldest is not None and found.refused is None and now - found.since >= oldest:
            return None
        self._answers.move_to_end(key)
        return found

    def keep(self, key: Hashable, answer: Answer) -> None:
        """Keep an answer in the place of an older one."""
        self._drop(key)
        self._answers[key] = answer
        self._size += _taken(answer)
        while len(self._answers) > self.entries or self._size > self.bytes:
            self._drop(next(iter(self._answers)))

    def _drop(self, key: Hashable) -> None:
        gone = self._answers.pop(key, None)
        if gone is not None:
            self._size -= _taken(gone)


def _taken(answer: Answer) -> int:
    return _OVERHEAD + len(answer.body or b"")


def lifetime(cache_control: Iterable[str], shortest: float, longest: float) -> float:
    """How long an answer with these Cache-Control fields counts, seconds; the shortest time where they say nothing."""
    words = {word.strip(" \t").lower() for value in cache_control for word in value.split(",")}
    if not words.isdisjoint(("no-store", "no-cache")):
        return shortest
    ages = [int(found[1]) for word in words if (found := _MAX_AGE.fullmatch(word))]
    return min(max(min(ages, default=0), shortest), longest)
