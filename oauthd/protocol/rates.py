"""How often somebody may ask: token buckets, and how several processes share one.

A bucket holds `burst` tokens at most and gets `per_second` of them back; a request takes one, or as many as it costs.
Each process has a bucket of its own for everybody who asks it, with a share of the limit. What it gave out is told to
one common bucket from time to time (`settled`), and what that one holds is divided among those who told of it lately.

What is promised, for P seconds between two looks at the common bucket and n processes: within any t seconds at most

    3 * burst + 1.1 * per_second * (t + 2 * P) + n + what the dearest request costs beyond the burst

are taken. One burst is what stands in the common bucket. What others took in the last P seconds is not known there yet:
at most another one among those who share it, and one among those who go by their even shares. The tenth is what little
a process gives out and need not tell; a token each, for a share is never less than one. What was given out too much
stands in the common bucket as a debt, so that it does not add up: over a long time the rate holds, but for that tenth.

A table of buckets is bounded. Only a full bucket is forgotten, which is as good as a new one: nobody who is limited
gets rid of that by a flood of other names. Where all are in use newcomers share a few that are spare.

Times are seconds of a clock that never goes back. Nothing here asks it, or knows who is meant.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable

from attrs import define, field, frozen

MOST = 20_000  # buckets in a table
LOOKS = 8  # at old ones, to make room for one
SPARE = 256  # buckets for those who find no room
TENTH = 0.1  # of its even share: what a process gives out in a second and need not tell


@define(eq=False)
class Share:
    """A part of a limit: what one process may give out.

    :ivar rate: tokens a second.
    :ivar cap: tokens that a bucket holds at most.
    """

    rate: float
    cap: float


@frozen
class Limit:
    """A limit.

    :ivar per_second: tokens a second; 0 for no limit.
    :ivar burst: tokens at once.
    """

    per_second: float
    burst: float

    def __bool__(self) -> bool:
        return self.per_second > 0

    def among(self, count: int) -> Share:
        """The share of each of so many. A bucket that cannot hold one token would let nobody through."""
        return Share(self.per_second / count, max(1.0, self.burst / count))


def within(most: int, seconds: float) -> Limit:
    """A limit under which at most so many are begun in any span of that length: half at once, half as time goes by."""
    return Limit(most / 2 / seconds, max(1.0, most / 2))


class Bucket:
    """The tokens of one name in one process.

    :ivar left: whole tokens that were there at the last look at the clock. Whoever has no time for more may take one by
        `left -= 1` while it is above 0, and is counted at the next look. Below 0 is a debt.
    :ivar spent: tokens taken since they were last told of.
    :ivar listed: is it among those that the table looks at next?
    """

    __slots__ = ("_at", "_mark", "_part", "left", "listed", "share", "spent")

    def __init__(self, share: Share, now: float) -> None:
        self.share = share
        self.spent: float = 0
        self.listed = False
        self._put(share.cap, now)

    def take(self, cost: float, now: float) -> float:
        """Take tokens; 0, or else the seconds after which there will be enough, and then none were taken.

        What costs more than a bucket holds takes a full one, and leaves a debt.
        """
        have, need = self._have(now), min(cost, self.share.cap)
        if have < need:
            self._put(have, now)
            return (need - have) / self.share.rate
        self.spent += cost
        self._put(have - cost, now)
        return 0.0

    def give_back(self, cost: float, now: float) -> None:
        """Tokens that were taken and are not to count."""
        have = self._have(now)
        self.spent -= cost
        self._put(min(self.share.cap, have + cost), now)

    def is_full(self, now: float) -> bool:
        """Is it as good as a new one?"""
        return self.left + self._part + max(0.0, now - self._at) * self.share.rate >= self.share.cap

    def empty(self) -> None:
        """Nothing is to be taken from it any more."""
        self.left = self._mark = 0

    def look(self, now: float) -> float:
        """Count what was taken without a look at the clock; the tokens there are."""
        have = self._have(now)
        self._put(have, now)
        return have

    def telling(self) -> float:
        """What is to be told, for it is told now; from here on it is counted anew."""
        told, self.spent = self.spent, 0
        return told

    def settle(self, level: float, count: int, limit: Limit, now: float) -> None:
        """Go on with a share of what the common bucket holds.

        :param level: of the common bucket, with all that was told.
        :param count: among how many processes.
        """
        self._have(now)  # counts what was taken meanwhile
        self.share = limit.among(count)
        # Where there is less than one for each, one is tried by each.
        have = max(level / count, min(level, 1.0)) if level > 0 else level / count
        self._put(min(self.share.cap, have - self.spent), now)

    def go_alone(self, share: Share, now: float) -> None:
        """Go on with an even share, for nothing was heard of the others."""
        have = self._have(now)
        self.share = share
        self._put(min(share.cap, have), now)

    def _have(self, now: float) -> float:
        self.spent += self._mark - self.left
        self._mark = self.left
        return min(self.share.cap, self.left + self._part + max(0.0, now - self._at) * self.share.rate)

    def _put(self, have: float, now: float) -> None:
        self.left = self._mark = math.floor(have)
        self._part = have - self.left
        self._at = now


@define(eq=False)
class Buckets:
    """The buckets of one limit in one process, by name.

    :ivar count: among how many processes the limit is shared.
    :ivar most: how many there may be.
    :ivar all: are all to be looked at by `to_tell`? Somebody takes from them without being seen by `of`.
    """

    limit: Limit
    count: int = 1
    most: int = MOST
    all: bool = False
    _even: Share = field(init=False)
    _named: OrderedDict[str, Bucket] = field(factory=OrderedDict, init=False)
    _spare: dict[int, Bucket] = field(factory=dict, init=False)
    _listed: dict[str, Bucket] = field(factory=dict, init=False)
    _settled: dict[str, Bucket] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._even = self.limit.among(self.count)

    def __len__(self) -> int:
        return len(self._named)

    def of(self, name: str, now: float) -> Bucket:
        """The bucket of a name; it will be looked at when they are told of."""
        bucket = self._named.get(name)
        if bucket is None:
            if len(self._named) >= self.most and not self._has_room(now):
                return self._spare.setdefault(hash(name) % SPARE, Bucket(self._even, now))
            bucket = self._named[name] = Bucket(self._even, now)
        if not bucket.listed:
            bucket.listed = True
            self._listed[name] = bucket
        return bucket

    def _has_room(self, now: float) -> bool:
        """Forget an old one that is full, if one is found soon."""
        for _ in range(LOOKS):
            name, bucket = next(iter(self._named.items()))
            if not bucket.listed and bucket.is_full(now):
                del self._named[name]
                bucket.empty()  # for whoever still holds it
                self._settled.pop(name, None)
                return True
            self._named.move_to_end(name)
        return False

    def divide(self, count: int) -> None:
        """There are so many processes: that is an even share now."""
        if count != self.count:
            self.count, even = count, self.limit.among(count)
            self._even.rate, self._even.cap = even.rate, even.cap

    def to_tell(self, now: float, most: int) -> list[tuple[str, Bucket]]:
        """Those that more was taken from than may stay untold, the busiest first; of the others nothing is told.

        :param most: how many at most; the others go on with an even share.
        """
        listed, self._listed = self._listed, {}
        found: list[tuple[str, Bucket]] = []
        for name, bucket in (self._named if self.all else listed).items():
            bucket.listed = False
            have = bucket.look(now)
            if bucket.spent > TENTH * self._even.rate or have < bucket.share.cap / 2:
                found.append((name, bucket))
            else:
                bucket.spent = 0
        found.sort(key=lambda one: one[1].spent, reverse=True)
        return found[:most]

    def settle(self, told: Iterable[tuple[str, Bucket, float, int]], now: float) -> None:
        """Divide what the common buckets hold; who was settled before, and is not now, goes on with an even share."""
        before, self._settled = self._settled, {}
        for name, bucket, level, count in told:
            # Others know of one who tells for the first time only when they tell next: until then an even share.
            bucket.settle(level, count if name in before else max(count, self.count), self.limit, now)
            self._settled[name] = bucket
        for name, bucket in before.items():
            if name not in self._settled:
                bucket.go_alone(self._even, now)


def settled(level: float, elapsed: float, spent: float, limit: Limit) -> float:
    """What the common bucket holds after somebody told what he gave out; below 0 is a debt.

    :param elapsed: seconds since the last who told.
    """
    return min(limit.burst, level + max(0.0, elapsed) * limit.per_second) - spent
