"""What many requests ask of the store in one turn of the reactor: it goes together, and each waiter is told.

An exchange of its own for each costs a coroutine, a Deferred and a share of the connection's work; together they cost a
third. Nobody is told before the server has answered, and a request hears of its own failure alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from oauthd.stores.interface import Commit, IStore, Ref, StoreUnavailable, Write

T = TypeVar("T")

Waiter = Callable[[Any], object]
"""Told what came of it, or a `Failure`. What it raises is logged and harms no other."""


@define(eq=False)
class _Together(Generic[T]):
    """One verb of the store.

    :ivar carry_out: does it for many, and gives the outcome of each in their order.
    """

    carry_out: Callable[[Sequence[T]], Awaitable[Sequence[Any]]]
    reactor: IReactorTime
    _log: ClassVar[Logger] = Logger()
    _next: list[tuple[T, Waiter]] = field(factory=list, init=False, repr=False)

    def add(self, asked: T, waiter: Waiter) -> None:
        if not self._next:
            self.reactor.callLater(0, self._send)
        self._next.append((asked, waiter))

    def _send(self) -> None:
        batch, self._next = self._next, []
        self._ask(batch)

    def _ask(self, batch: list[tuple[T, Waiter]]) -> None:
        ensureDeferred(self._asked(batch)).addErrback(self._failed, batch).addErrback(self._log_failure)

    async def _asked(self, batch: list[tuple[T, Waiter]]) -> None:
        outcomes = await self.carry_out([asked for asked, _ in batch])
        for (_, waiter), outcome in zip(batch, outcomes, strict=True):
            self._tell(waiter, outcome)

    def _failed(self, failure: Failure, batch: list[tuple[T, Waiter]]) -> None:
        alone = len(batch) == 1 or isinstance(failure.value, StoreUnavailable)
        for one in batch:
            if alone:
                self._tell(one[1], failure)
            else:  # what the server refuses shall harm nobody else
                self._ask([one])

    def _tell(self, waiter: Waiter, outcome: Any) -> None:
        try:
            waiter(outcome)
        except Exception:
            self._log.failure("who waited for the store failed over its answer")

    def _log_failure(self, failure: Failure) -> None:
        self._log.failure("the store was not asked", failure)


class Turns:
    """The verbs of a store that are asked for by many at once."""

    def __init__(self, store: IStore, reactor: IReactorTime) -> None:
        self._store = store
        self._reads = _Together(self._get, reactor)
        self._writes = _Together(self._put, reactor)
        self._steps = _Together(store.commits, reactor)

    def get(self, refs: tuple[Ref[Any], ...], waiter: Waiter) -> None:
        """Read records as `IStore.get`; the waiter is told a list of them."""
        self._reads.add(refs, waiter)

    def put(self, write: Write[Any], waiter: Waiter) -> None:
        """Write a record as `IStore.put`; the waiter is told None when it stands."""
        self._writes.add(write, waiter)

    def commit(self, commit: Commit, waiter: Waiter) -> None:
        """Carry out an atomic step as `IStore.commit`; the waiter is told whether it was."""
        self._steps.add(commit, waiter)

    async def _get(self, asked: Sequence[tuple[Ref[Any], ...]]) -> list[list[Any]]:
        found = iter(await self._store.get(*(ref for refs in asked for ref in refs)))
        return [[next(found) for _ in refs] for refs in asked]

    async def _put(self, writes: Sequence[Write[Any]]) -> list[None]:
        await self._store.put(*writes)
        return [None] * len(writes)
