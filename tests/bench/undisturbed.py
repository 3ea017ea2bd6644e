"""The row about slow work beside introspection: passwords hashed and RSA signatures made while answers are awaited.

The threads for slow work are off the reactor's core, as on a machine with more cores they would be: its own thread is
on the server's core, every other thread of the process on the load's. Where we may say so, wrk, the reactor's thread
and those of the pools go first on their cores (what hashes within them does not): else the waiting for a core is
measured, and a thread that waits for one with Python's lock in hand, or next in line for it, holds the reactor up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
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
    wrk = evolve(stage.wrk, goes_first=True)
    quiet: list[Found] = []
    busy: list[Found] = []

    def drive() -> Found:
        with going_first(*threads(server)):
            return wrk.against(server.child, None, server.port, *words, seconds=bench.seconds).found

    for _ in range(bench.rounds):
        apart(server, stage.cores.server, stage.cores.load)
        quiet.append(drive())
        for one in work:
            one.begin()
        time.sleep(1.0)  # until the threads are there
        apart(server, stage.cores.server, stage.cores.load)
        busy.append(drive())
        for one in work:
            one.end()
    server.child.end()
    p99, usual = _middle(busy), _middle(quiet)
    done = [f"{one.rate:.1f}" for one in work]
    found = f"{p99 * 1e3:.2f} ms beside {done[0]} logins/s and {done[1]} RS256 tokens/s, quiet {usual * 1e3:.2f} ms"
    goal = "no worse than 2 x"
    what = "introspection p99 beside logins (argon2) and RS256 signatures, about 5,000/s"
    yield Figure(what, f"{found}: {p99 / usual:.2f} x", goal, p99 <= 2 * usual)


def _middle(found: list[Found]) -> float:
    return sorted(one.p99 for one in found)[len(found) // 2]


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
