"""Writes that count only when replicas, or the disk, have confirmed them: what was revoked must stay revoked.

A primary answers before its replicas know. If it dies then, the promoted replica never had the write, and what was
revoked is alive again. With WAIT the answer comes when so many replicas have it, with WAITAOF when it is on the disk;
where that takes too long the outcome is unknown, and whoever asked may repeat it. It narrows what a failover
can undo and does not close it: a replica that has not confirmed may be the one that is promoted.

While somebody waits his connection takes no other command, so this has a connection of its own, and whatever is asked
meanwhile goes out together afterwards: one confirmation for all of them.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from txredisapi import ResponseError

from oauthd.metrics import InvalidationCounts
from oauthd.stores.connection import RedisConnection
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.pool import Command, Reply
from oauthd.stores.scripts import in_full

MOST_TOGETHER = 256  # calls with one confirmation


@define
class _Call:
    """Commands, who waits for their replies, and whether they must be on the disk."""

    commands: tuple[Command, ...]
    fsync: bool
    done: Deferred[list[Reply]] = field(factory=Deferred)


@define(eq=False)
class Confirming:
    """Sends writes and waits until they are confirmed.

    :ivar connection: of size 1, used for nothing else; its reply time-out must be longer than `timeout` is twice.
    :ivar replicas: how many replicas must confirm.
    :ivar timeout: seconds that replicas, and the disk, may each take.
    :ivar fsync: must the write be on the primary's disk?
    """

    _log = Logger()

    connection: RedisConnection
    replicas: int = 0
    timeout: float = 0.5
    fsync: bool = False
    counts: InvalidationCounts = field(factory=InvalidationCounts)
    _queue: list[_Call] = field(factory=list, init=False)
    _working: bool = field(default=False, init=False)
    _told: str = field(default="", init=False)

    async def call(self, *commands: Command, fsync: bool = True) -> list[Reply]:
        """Send commands, which may be carried out twice, and wait for their replies and the confirmation.

        :param fsync: false for what need not be on the disk, even where that is asked for.
        :raises StoreUnavailable: when it is unknown whether they will last, too; a repeat is the way to find out.
        :raises CommandRefused: when the server found one of them wrong.
        """
        waiting = _Call(commands, fsync and self.fsync)
        if not self.replicas and not waiting.fsync:
            return await self.connection.call(*commands)
        self._queue.append(waiting)
        if not self._working:
            self._working = True
            Deferred.fromCoroutine(self._work()).addErrback(self._failed)
        return await waiting.done

    def _confirmations(self, fsync: bool) -> tuple[Command, ...]:
        limit = round(self.timeout * 1000)
        wait: tuple[Command, ...] = (("WAIT", self.replicas, limit),) if self.replicas else ()
        return (*wait, ("WAITAOF", 1, 0, limit)) if fsync else wait

    async def _work(self) -> None:
        try:
            while self._queue:
                together, self._queue = self._queue[:MOST_TOGETHER], self._queue[MOST_TOGETHER:]
                try:
                    await self._send(together)
                except StoreUnavailable as error:
                    for call in together:
                        call.done.errback(error)
        finally:
            self._working = False

    async def _send(self, together: list[_Call]) -> None:
        # A script that the server must be taught first would be carried out after the confirmation.
        commands = [in_full(command) for call in together for command in call.commands]
        fsync = any(call.fsync for call in together)
        replies = await self.connection.replies(*commands, *self._confirmations(fsync))
        confirmed = replies[len(commands) :]
        few = self._few(confirmed)
        unwritten = "not yet on the disk of the store" if fsync and _count(confirmed[-1]) < 1 else ""
        self._tell(few or unwritten)
        for call in together:
            own, replies = replies[: len(call.commands)], replies[len(call.commands) :]
            self._answer(call, own, few or (unwritten if call.fsync else ""))

    def _few(self, confirmed: list[Reply]) -> str:
        """How many replicas have confirmed, if not enough."""
        if self.replicas and _count(confirmed[0]) < self.replicas:
            return f"by {_count(confirmed[0])} of {self.replicas} replicas alone"
        return ""

    def _answer(self, call: _Call, replies: list[Reply], missing: str) -> None:
        problem = self.connection.problem(call.commands, replies)
        if problem is None and missing:
            self.counts.unconfirmed += 1
            problem = StoreUnavailable(f"not confirmed: {missing}")
        if problem is None:
            call.done.callback(replies)
        else:
            call.done.errback(problem)

    def _tell(self, missing: str) -> None:
        """Say it when it changes: heartbeats are confirmed twice a second."""
        if missing and not self._told:
            self._log.warn("writes that must last are not confirmed: {missing}", missing=missing)
        elif self._told and not missing:
            self._log.info("writes that must last are confirmed again")
        self._told = missing

    def _failed(self, failure: Any) -> None:
        self._log.failure("confirming failed", failure=failure)
        queue, self._queue = self._queue, []
        for call in queue:
            call.done.errback(StoreUnavailable("not confirmed"))


def _count(reply: Reply) -> int:
    """What WAIT and WAITAOF answer; a refusal (as by a server that has just become a replica) is nobody."""
    if isinstance(reply, ResponseError):
        return 0
    return int(reply[0] if isinstance(reply, list) else reply)
