"""Rows about revocation: how soon another process says so, and what ending 100,000 tokens at once holds up."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from attrs import evolve, field, frozen

from tests.bench.comparing import Bench
from tests.bench.introspection import first, introspection
from tests.bench.line import Line, status, written
from tests.bench.processes import family, going_first
from tests.bench.results import Figure, Result, Skipped
from tests.bench.stage import PASSWORD, Ask, Oauthd, setting

REVOCATIONS = 10_000
LONGEST = 60.0  # seconds for all of them
REST = "6"  # milliseconds that each of wrk's connections rests on average: about 10,000 requests a second in all
GOAL, WORST = 0.010, 2.0  # seconds: p99, and the bound of the freshness contract
TOKENS, CACHED = 100_000, 50_000
ROOM = {**setting("cache", "entries", "200000"), **setting("cache", "bytes", str(1 << 29))}
ASK_INACTIVE = b'"active":false'


@frozen
class Times:
    """Seconds, for each revocation.

    :ivar sent: from sending it to the first inactive answer of the other process.
    :ivar answered: from the answer to it on; 0 where the other process was faster.
    :ivar polls: how long each poll of the other process took.
    """

    sent: list[float] = field(factory=list)
    answered: list[float] = field(factory=list)
    polls: list[float] = field(factory=list)


def across(bench: Bench) -> Iterator[Result]:
    """Revoked at one process, asked about at another."""
    stage = bench.stage
    other = stage.start_oauthd((stage.cores.server,))
    tokens = stage.tokens("opaque", REVOCATIONS, stage.opaque)
    yield from _revoking(bench, "two processes", stage.main, other, Line(stage.main.port), Line(other.port), tokens)
    other.child.end()
    try:
        several = stage.start_oauthd((stage.cores.server,), "--workers", "2")
    except RuntimeError:
        yield Skipped("revoked at one worker, inactive at another", "this server has no --workers")
        return
    pair = _two_owners(several)
    if pair is None:
        yield Skipped("revoked at one worker, inactive at another", "all connections came to one process")
    else:
        tokens = stage.tokens("opaque", REVOCATIONS, stage.opaque)
        yield from _revoking(bench, "--workers 2", several, several, *pair, tokens)
    several.child.end()


def _two_owners(server: Oauthd) -> tuple[Line, Line] | None:
    """Two connections that different processes have accepted."""
    one = Line(server.port)
    with ExitStack() as stack:
        for _ in range(64):
            other = Line(server.port)
            _ready(one)
            _ready(other)
            processes = family(server.child.pid)
            if one.owner(processes) != other.owner(processes):
                return one, other
            stack.callback(other.close)
    return None


def _ready(line: Line) -> None:
    line.ask(b"GET /oauth2/jwks HTTP/1.1\r\nHost: localhost\r\n\r\n")  # so that it has been accepted


def _revoking(
    bench: Bench, name: str, one: Oauthd, other: Oauthd, there: Line, here: Line, tokens: Path
) -> Iterator[Result]:
    stage, ask = bench.stage, introspection(bench.stage)
    bench.warm(ask, tokens, REVOCATIONS, other)
    spare = stage.tokens("opaque", 1, stage.opaque)
    revocation = Ask("/oauth2/revoke", stage.opaque.auth, "token=%s")
    request = str(stage.file("request", ask.text))
    wrk = evolve(stage.wrk, goes_first=1)
    load = wrk.start(other.port, "same", request, first(spare), REST, seconds=LONGEST + 20)
    times, deadline = Times(), time.monotonic() + LONGEST
    gc.disable()
    try:
        with going_first(*family(one.child.pid), *family(other.child.pid), stage.store.pid, os.getpid()):
            for token in tokens.read_text().split():
                _revoke(there, here, written(revocation, one.port, token), written(ask, other.port, token), times)
                if time.monotonic() > deadline:
                    break
    finally:
        gc.enable()
        load.end()
        there.close()
        here.close()
    count, poll = len(times.sent), percentile(times.polls, 50)
    p99, worst = percentile(times.sent, 99), max(times.sent)
    found = f"p50 {ms(percentile(times.sent, 50))}, p99 {ms(p99)}, worst {ms(worst)} ms"
    yield Figure(
        f"revoked at A, inactive at B, {name} ({count:,} revocations, B under load)",
        f"{found} from sending it; a poll takes {ms(poll)} ms, by which each may be late",
        "p99 <= 10 ms, worst <= 2 s",
        p99 <= GOAL and worst <= WORST,
    )
    late = percentile(times.answered, 99)
    found = f"p50 {ms(percentile(times.answered, 50))}, p99 {ms(late)}, worst {ms(max(times.answered))} ms"
    yield Figure(f"the same from A's answer on, {name}", found)


def _revoke(there: Line, here: Line, revocation: bytes, question: bytes, times: Times) -> None:
    """One revocation, timed."""
    if ASK_INACTIVE in here.ask(question):
        raise RuntimeError("a token is not active before it is revoked")
    answered = 0.0
    begun = time.perf_counter()
    there.send(revocation)
    while True:
        asked = time.perf_counter()
        inactive = ASK_INACTIVE in here.ask(question)
        now = time.perf_counter()
        times.polls.append(now - asked)
        if not answered and there.ready():
            answered = now
            _check(there)
        if inactive:
            break
        if now - begun > 10:
            raise RuntimeError("a revoked token stays active")
    times.sent.append(now - begun)
    times.answered.append(now - answered if answered else 0.0)
    if not answered:
        _check(there)


def _check(line: Line) -> None:
    if status(line.receive()) != 200:
        raise RuntimeError("a revocation was refused")


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many per cent do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def ms(seconds: float) -> str:
    """In milliseconds."""
    return f"{seconds * 1e3:.2f}"


def of_a_user(bench: Bench) -> Iterator[Result]:
    """All tokens of a user end at once, many of them in the cache."""
    stage, ask = bench.stage, introspection(bench.stage)
    server = stage.start_oauthd((stage.cores.server,), environ=ROOM)
    probe = first(stage.tokens("opaque", 1, stage.opaque))
    gaps, quiet, reached, spoiled = [], [], CACHED, 0
    for n in range(min(bench.rounds, 3)):
        name = f"holder{n}"
        user_id = stage.visitor.user(name, PASSWORD)
        tokens = stage.tokens("opaque", TOKENS, stage.opaque, user_id, name)
        reached = min(reached, bench.warm(ask, tokens, CACHED, server))
        end = f"DELETE /api/v1/oauth/tokens?user_id={user_id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer"
        question = written(ask, server.port, probe)
        with going_first(server.child.pid, os.getpid()):
            quiet.append(longest_gap(server, question, b""))
            gaps.append(longest_gap(server, question, f"{end} {stage.visitor.token}\r\n\r\n".encode()))
        line = Line(server.port)
        some = tokens.read_text().split()[: TOKENS : TOKENS // 1000]
        spoiled += sum(ASK_INACTIVE not in line.ask(written(ask, server.port, token)) for token in some)
        line.close()
    server.child.end()
    if spoiled:
        raise RuntimeError(f"{spoiled} tokens of a revoked user are active")
    found = f"{ms(max(gaps))} ms, the worst of {len(gaps)} (without the revocation {ms(max(quiet))} ms)"
    what = f"longest gap between answers while a user's {TOKENS:,} tokens are revoked ({reached:,} of them cached)"
    yield Figure(what, found, "<= 10 ms", max(gaps) <= GOAL)


def longest_gap(server: Oauthd, question: bytes, order: bytes, seconds: float = 1.0) -> float:
    """The longest time between two answers of a connection that asks again at once, while an order is carried out.

    :param order: a request on another connection; empty for none.
    """
    line, other = Line(server.port), Line(server.port)
    _ready(other)
    gc.disable()
    try:
        line.ask(question)
        longest, last = 0.0, time.perf_counter()
        until = last + seconds
        if order:
            other.send(order)
        while last < until:
            line.ask(question)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        if order and status(other.receive()) != 204:
            raise RuntimeError("an order to revoke was refused")
        return longest
    finally:
        gc.enable()
        line.close()
        other.close()
