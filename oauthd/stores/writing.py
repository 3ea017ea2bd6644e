"""Records that many requests write at once: all of a turn of the reactor go together, and each waiter is told.

A write of its own for each costs a coroutine, a Deferred and an exchange with the server; together they cost a third.
Nobody is told before the server has confirmed. Only for records of which nobody can have kept anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from oauthd.stores.interface import IStore, StoreUnavailable, Write

Written = Callable[[Failure | None], object]
"""Told how it went: None when the record stands."""


@define(eq=False)
class Writing:
    """Writes records."""

    store: IStore
    reactor: IReactorTime
    _log: ClassVar[Logger] = Logger()
    _next: list[tuple[Write[Any], Written]] = field(factory=list, init=False, repr=False)

    def put(self, write: Write[Any], waiter: Written) -> None:
        """Write a record with its indexes, as `IStore.put`."""
        if not self._next:
            self.reactor.callLater(0, self._send)
        self._next.append((write, waiter))

    def _send(self) -> None:
        batch, self._next = self._next, []
        self._put(batch)

    def _put(self, batch: list[tuple[Write[Any], Written]]) -> None:
        ensureDeferred(self._write(batch)).addBoth(self._told, batch).addErrback(self._log_failure)

    async def _write(self, batch: list[tuple[Write[Any], Written]]) -> None:
        await self.store.put(*(write for write, _ in batch))

    def _told(self, outcome: Failure | None, batch: list[tuple[Write[Any], Written]]) -> None:
        alone = outcome is None or len(batch) == 1 or isinstance(outcome.value, StoreUnavailable)
        for one in batch:
            if alone:
                self._tell(one[1], outcome)
            else:  # what the server refuses shall harm nobody else
                self._put([one])

    def _tell(self, waiter: Written, outcome: Failure | None) -> None:
        try:
            waiter(outcome)
        except Exception:
            self._log.failure("who waited for a write failed over it")

    def _log_failure(self, failure: Failure) -> None:
        self._log.failure("records were not written together", failure)
