"""A soak: tokens issued, asked about and revoked at a steady rate over many lifetimes, and the memory of both sides.

    python -m tests.bench.soak --minutes 10 [--rate 50] [--lifetime 10]

Each second `rate` tokens are issued; each is asked about three times, every third one is then revoked and asked about
once more, and all are asked about again when they should have expired. Prints the memory of the server and of the store
(its process, and what it counts as used) ten times a minute, and whether it is flat: a line is fitted through what was
read after the first lifetimes, and what it climbs within that time must be small. The status is 1 when it is not.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from tests.bench.introspection import introspection
from tests.bench.line import Line, status, written
from tests.bench.processes import Children, cores
from tests.bench.stage import SCOPE, Ask, Oauthd, Stage, setting
from tests.valkey import call

SETTLING = 3  # lifetimes, and at least half a minute, in which memory may still grow: pools, caches, allocators
ALLOWED = 0.03  # of what is held at first: what a flat line may climb
LEAST = 2e6  # bytes that it may climb in any case
SMALL = setting("cache", "entries", "1000")  # it must be full before memory can be flat
MARGIN = 60  # seconds that the store keeps an expired record
ASKED = 3


@frozen
class Reading:
    """Memory at a moment, in bytes.

    :ivar at: seconds since the beginning.
    """

    at: float
    server: float
    store: float
    used: float
    keys: int


@frozen
class Slope:
    """A straight line through readings (least squares).

    :ivar first: its value at the first reading.
    :ivar climbs: how much higher it is at the last one.
    """

    first: float
    climbs: float

    @property
    def flat(self) -> bool:
        """Does it not climb?"""
        return self.climbs <= max(ALLOWED * self.first, LEAST)


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """Fit a line.

    :raises ValueError: for less than two moments.
    """
    count = len(points)
    middle, mean = sum(at for at, _ in points) / count, sum(value for _, value in points) / count
    spread = sum((at - middle) ** 2 for at, _ in points)
    if not spread:
        raise ValueError("a line needs two moments")
    rise = sum((at - middle) * (value - mean) for at, value in points) / spread
    begin, end = points[0][0], points[-1][0]
    return Slope(mean + rise * (begin - middle), rise * (end - begin))


@define(eq=False)
class Traffic:
    """What the clients do; every answer is checked.

    :ivar counts: what was done.
    """

    stage: Stage
    server: Oauthd
    lifetime: float
    line: Line
    counts: dict[str, int] = field(factory=lambda: {"issued": 0, "asked": 0, "revoked": 0, "expired": 0})
    _old: deque[tuple[float, str]] = field(factory=deque)

    def turn(self) -> None:
        """One token's life begins, and one may end."""
        app = (self.stage.opaque, self.stage.jwt)[self.counts["issued"] % 2]
        body = f"grant_type=client_credentials&scope={SCOPE.replace(' ', '+')}"
        token: str = self._ask(Ask("/oauth2/token", app.auth, body))["access_token"]
        self.counts["issued"] += 1
        for _ in range(ASKED):
            self._look(token, True)
        if self.counts["issued"] % 3 == 0:
            self._ask(Ask("/oauth2/revoke", app.auth, "token=%s"), token)
            self.counts["revoked"] += 1
            self._look(token, False)
        self._old.append((time.monotonic() + self.lifetime + 1, token))
        while self._old and self._old[0][0] <= time.monotonic():
            self._look(self._old.popleft()[1], False)
            self.counts["expired"] += 1

    def _look(self, token: str, active: bool) -> None:
        self.counts["asked"] += 1
        if self._ask(introspection(self.stage), token)["active"] is not active:
            raise RuntimeError(f"a token that should {'' if active else 'not '}be active is told otherwise")

    def _ask(self, ask: Ask, token: str = "") -> Any:
        answer = self.line.ask(written(ask, self.server.port, token))
        if status(answer) != 200:
            raise RuntimeError(f"{ask.path} is answered {status(answer)}: {answer[-300:]!r}")
        content = answer.partition(b"\r\n\r\n")[2]
        return json.loads(content) if content else None


def read(stage: Stage, server: Oauthd, begun: float) -> Reading:
    """Look at everybody's memory."""
    told = call(stage.socket, "INFO", "memory")
    used = re.search(rb"used_memory:(\d+)", told if isinstance(told, bytes) else b"")
    keys = call(stage.socket, "DBSIZE")
    return Reading(
        at=time.monotonic() - begun,
        server=server.child.resident(),
        store=stage.store.resident(),
        used=float(used[1]) if used else 0.0,
        keys=keys if isinstance(keys, int) else 0,
    )


def readings(stage: Stage, server: Oauthd, traffic: Traffic, rate: float, seconds: float) -> Iterator[Reading]:
    """Keep up the rate for so long, reading memory ten times a minute."""
    begun = time.monotonic()
    turns, due = 0, 6.0
    while (now := time.monotonic() - begun) < seconds:
        if now * rate < turns:
            time.sleep(turns / rate - now)
        traffic.turn()
        turns += 1
        if now >= due:
            due += 6.0
            yield read(stage, server, begun)


PARTS: tuple[tuple[str, Callable[[Reading], float]], ...] = (
    ("oauthd", lambda one: one.server),
    ("Valkey", lambda one: one.store),
    ("Valkey's used_memory", lambda one: one.used),
)


def judged(found: Sequence[Reading], settled: float) -> tuple[list[str], bool]:
    """What is to be said of the memory after it has settled, and whether all of it is flat."""
    late = [one for one in found if one.at >= settled]
    if len(late) < 5:
        return [f"too short: memory is judged from second {settled:.0f} on, and {len(late)} readings are left"], False
    lines, flat = [], True
    for name, part in PARTS:
        line = slope([(one.at, part(one)) for one in late])
        flat = flat and line.flat
        word = "flat" if line.flat else "NOT FLAT"
        took = late[-1].at - late[0].at
        lines.append(f"{name}: {line.first / 1e6:.1f} MB, {line.climbs / 1e6:+.2f} MB in {took:.0f} s: {word}")
    return lines, flat


def soak(minutes: float, rate: float, lifetime: int) -> bool:
    """Run it; was memory flat?"""
    where = cores()
    os.sched_setaffinity(0, {where.load})
    folder = Path(tempfile.mkdtemp(prefix="oauthd-soak-"))
    found: list[Reading] = []
    try:
        with Children(folder) as children:
            stage = Stage(children, where, folder)
            stage.set_up()
            environ = {"OAUTHD_TOKENS_ACCESS_LIFETIME": str(lifetime), **SMALL}
            server = stage.start_oauthd((where.server,), environ=environ)
            traffic = Traffic(stage, server, lifetime, Line(server.port))
            for one in readings(stage, server, traffic, rate, minutes * 60):
                found.append(one)
                print(
                    f"{one.at:6.0f} s  oauthd {one.server / 1e6:7.1f} MB  Valkey {one.store / 1e6:7.1f} MB"
                    f"  used_memory {one.used / 1e6:7.2f} MB  {one.keys:6} keys  {traffic.counts}",
                    flush=True,
                )
    except (KeyboardInterrupt, RuntimeError, OSError) as error:
        print(f"ended early: {error or 'interrupted'}", file=sys.stderr)
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    # Only when the first tokens have left the store does it hold as many as it ever will.
    lines, flat = judged(found, max(SETTLING * lifetime, 30) + lifetime + MARGIN)
    print("\n".join(lines))
    return flat


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description="Memory over many token lifetimes.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long")
    parser.add_argument("--rate", type=float, default=50.0, help="tokens issued a second")
    parser.add_argument("--lifetime", type=int, default=10, help="seconds that a token lives")
    asked = parser.parse_args()
    raise SystemExit(0 if soak(asked.minutes, asked.rate, asked.lifetime) else 1)


if __name__ == "__main__":
    main()
