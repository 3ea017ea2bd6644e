"""Indexes of records that end: who is listed where, told to the server once a turn of the reactor.

An index is a hint, for the record decides; so nobody waits for it, and all that one turn enters into an index or takes
out of it is one command (a command of its own for each token took a sixth of what issuing it cost). At worst, when this
process or the server ends before, a record is missing in a list or is skipped there: what ends tokens needs no list.
But for grants that were given in a session: they stand in its list at once (`entering`), for they end by it.

Indexes of lasting records (clients, users) are left to `redis`, which waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from oauthd.stores import naming, scripts
from oauthd.stores.interface import Ref
from oauthd.stores.pool import Command

MOST_AT_ONCE = 500  # members in one command; Lua's `unpack` has a limit, and the server serves others, too


class Indexes:
    """What is to be changed in the indexes.

    :param send: sends commands.
    :param soon: does something at the end of this turn of the reactor.
    :param clock: wall-clock seconds.
    """

    _log = Logger()

    def __init__(
        self,
        send: Callable[..., Coroutine[Any, Any, Any]],
        soon: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
    ) -> None:
        self._send = send
        self._soon = soon
        self._clock = clock
        self._changes: dict[str, dict[bytes, float | None]] = {}
        self._lives: dict[str, int] = {}
        self._under_way: set[Deferred[Any]] = set()

    def enter(self, ref: Ref[Any], names: Iterable[str], ends: float, lives: int) -> None:
        """List a record.

        :param ends: when it ends (seconds since the epoch).
        :param lives: seconds that the index must live on for it.
        """
        member = naming.member(ref)
        for name in names:
            self._of(name)[member] = ends
            if lives > self._lives.get(name, 0):
                self._lives[name] = lives

    def leave(self, ref: Ref[Any], names: Iterable[str]) -> None:
        """List a record no more."""
        for name in names:
            self._of(name)[naming.member(ref)] = None

    async def written(self) -> None:
        """Wait until the server has (or refused) what was entered before: who lists sees what it has done itself."""
        self._send_all()
        await DeferredList([_after(sending) for sending in self._under_way])

    def _of(self, name: str) -> dict[bytes, float | None]:
        if not self._changes:
            self._soon(self._send_all)
        found = self._changes.get(name)
        if found is None:
            found = self._changes[name] = {}
        return found

    def _send_all(self) -> None:
        commands = self._commands()
        if commands:
            sending = ensureDeferred(self._send(*commands)).addErrback(self._not_listed)
            self._under_way.add(sending)
            sending.addBoth(lambda outcome: self._under_way.discard(sending))

    def _commands(self) -> list[Command]:
        """What was not sent yet."""
        changes, lives = self._changes, self._lives
        self._changes, self._lives = {}, {}
        now = self._clock()
        commands: list[Command] = []
        for name, members in changes.items():
            rest = iter(members.items())
            while piece := tuple(islice(rest, MOST_AT_ONCE)):
                entering = [(ends, member) for member, ends in piece if ends is not None]
                leaving = [member for member, ends in piece if ends is None]
                words = (now, lives.get(name, 0), len(entering), *(word for pair in entering for word in pair))
                commands.append(scripts.INDEX.on(naming.index(name), args=(*words, *leaving)))
        return commands

    def _not_listed(self, failure: Failure) -> None:
        self._log.warn("what an index lists was not written: {error}", error=failure.getErrorMessage())


def entering(ref: Ref[Any], name: str, ends: float, lives: int, now: float) -> Command:
    """The command that lists a record at once: for a list that is no hint, by which something is ended."""
    return scripts.INDEX.on(naming.index(name), args=(now, lives, 1, ends, naming.member(ref)))


def _after(sending: Deferred[Any]) -> Deferred[None]:
    """Fires when it has: of many who wait for one thing, each has a Deferred of its own."""
    done: Deferred[None] = Deferred()
    sending.addBoth(lambda outcome: done.callback(None))
    return done
