"""The row about slow work beside introspection: passwords hashed and RSA signatures made while answers are awaited.

The threads for slow work are off the reactor's core, as on a machine with more cores they would be: its own thread is
on the server's core, every other thread of the process on the load's. There wrk goes before all of them, where we may
say so: a signature takes a millisecond, and it would be wrk's waiting that is measured. The reactor's thread goes first
on its core.

There are two figures. For the first one the threads of the pools (not those that hash within them) go second on their
core, as if there were one for each: a thread that waits for a core with Python's lock in hand holds the reactor up, and
whoever else uses the machine makes it wait. For the other one the system schedules them, beside the hashes, Valkey and
all others.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from urllib.parse import quote_plus

from attrs import define, evolve, field

from tests.bench.comparing import Bench
from tests.bench.introspection import first, introspection
from tests.bench.line import Line, status, written
from tests.bench.load import Found
from tests.bench.processes import going_first
from tests.bench.results import Figure, Result
from tests.bench.stage import PASSWORD, SCOPE, Ask, Oauthd

LOGINS, SIGNED = 5, 100  # a second
SETTINGS = {
    "OAUTHD_TOKENS_ACCESS_ALGORITHM": "RS256",
    # Sign-ins that are under way count as failures until they succeed, and all of ours come from one address.
    "OAUTHD_USERS_LOCK_FREE_FAILURES": "100",
    "OAUTHD_USERS_LOCK_AFTER": "1000",
}
REST = "12"  # milliseconds: about 5,000 introspections a second from 64 connections


def disturbed(bench: Bench) -> Iterator[Result]:
    """p99 of introspection with and without slow work."""
    stage = bench.stage
    server = stage.start_oauthd(stage.cores.both, environ=SETTINGS)
    stage.visitor.user("busy", PASSWORD)
    login = f"grant_type=password&username=busy&password={quote_plus(PASSWORD)}&scope={quote_plus(SCOPE)}"
    signing = f"grant_type=client_credentials&scope={quote_plus(SCOPE)}"
    work = (
        Repeated(server, Ask("/oauth2/token", stage.opaque.auth, login), LOGINS, 5),
        Repeated(server, Ask("/oauth2/token", stage.jwt.auth, signing), SIGNED, 4),
    )
    ask = introspection(stage)
    words = ("same", str(stage.file("request", ask.text)), first(stage.tokens("jwt", 1, stage.jwt)), REST)
    wrk = evolve(stage.wrk, goes_first=2)
    quiet: list[Found] = []
    placed: list[Found] = []
    usual: list[Found] = []

    def drive(first: list[int], seconds: float = bench.seconds) -> Found:
        with going_first(*first):
            return wrk.against(server.child, None, server.port, *words, seconds=seconds).found

    drive([], 1)  # the first requests find empty caches
    for _ in range(bench.rounds):
        apart(server, stage.cores.server, stage.cores.load)
        quiet.append(drive(threads(server)))
        for one in work:
            one.begin()
        time.sleep(1.0)  # until the threads are there
        apart(server, stage.cores.server, stage.cores.load)
        placed.append(drive(threads(server)))
        usual.append(drive(threads(server)[:1]))
        for one in work:
            one.end()
    server.child.end()
    done = f"{work[0].rate:.1f} logins/s and {work[1].rate:.1f} RS256 tokens/s"
    what = "introspection p99 beside logins (argon2) and RS256 signatures, about 5,000/s"
    found, ratio = told(quiet, placed)
    yield Figure(what, f"{found} beside {done}", "no worse than 2 x", ratio <= 2)
    found, _ = told(quiet, usual)
    yield Figure("that p99 with the threads on the load's core left to the system", found)


def told(quiet: Sequence[Found], busy: Sequence[Found]) -> tuple[str, float]:
    """The middle one of several rounds beside the quiet one, in words, and its ratio."""
    calm, found = (sorted(one.p99 for one in rounds)[len(rounds) // 2] for rounds in (quiet, busy))
    return f"{found * 1e3:.2f} ms, quiet {calm * 1e3:.2f} ms: {found / calm:.2f} x", found / calm


def threads(server: Oauthd) -> list[int]:
    """The threads of the process, the reactor's first."""
    return sorted(int(task.name) for task in Path(f"/proc/{server.child.pid}/task").iterdir())


def apart(server: Oauthd, reactor: int, others: int) -> None:
    """Put the reactor's thread on one core, and every other thread of the process on another."""
    for thread in threads(server):
        with suppress(ProcessLookupError):  # those that hash come and go
            os.sched_setaffinity(thread, {reactor if thread == server.child.pid else others})


@define(eq=False)
class Repeated:
    """A request at a steady rate, on connections of its own, each of which sends its share.

    :ivar rate: asked for; after `end` what was reached.
    """

    server: Oauthd
    ask: Ask
    rate: float
    connections: int
    _asked: float = 0.0
    _done: int = 0
    _begun: float = 0.0
    _ended: Event = field(factory=Event)
    _threads: list[Thread] = field(factory=list)
    _failures: list[str] = field(factory=list)

    def begin(self) -> None:
        """Start."""
        self._asked = self._asked or self.rate
        self._ended, self._done, self._begun = Event(), 0, time.monotonic()
        self._threads = [Thread(target=self._run, args=(n,), daemon=True) for n in range(self.connections)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop, and count.

        :raises RuntimeError: when a request failed.
        """
        self._ended.set()
        took = time.monotonic() - self._begun
        for thread in self._threads:
            thread.join(30)
        if self._failures:
            raise RuntimeError(f"a request of the background failed: {self._failures[0]}")
        self.rate = self._done / took

    def _run(self, number: int) -> None:
        line, request = Line(self.server.port), written(self.ask, self.server.port)
        step = self.connections / self._asked
        due = self._begun + step * number / self.connections
        try:
            while not self._ended.wait(max(due - time.monotonic(), 0)):
                answer = line.ask(request)
                if status(answer) != 200:
                    self._failures.append(answer[-300:].decode(errors="replace"))
                    return
                self._done += 1
                due += step
        except OSError as error:
            self._failures.append(str(error))
        finally:
            line.close()
