"""Rows about one process and several: what a full cache takes, and what a second worker brings."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from tests.bench.comparing import Bench
from tests.bench.introspection import first, introspection, tokens_of
from tests.bench.load import Reading
from tests.bench.results import Figure, Result, Skipped, quietest
from tests.bench.revocation import ROOM
from tests.bench.stage import Oauthd

TOKENS = 100_000
MOST = 150e6  # bytes


def memory(bench: Bench) -> Iterator[Result]:
    """What a process holds when it has a hundred thousand JWT tokens in its cache."""
    stage = bench.stage
    server = stage.start_oauthd((stage.cores.server,), environ=ROOM)
    tokens, ask = tokens_of(bench, "jwt", TOKENS), introspection(bench.stage)
    empty = server.child.resident()
    reached = bench.warm(ask, tokens, TOKENS, server)
    full = server.child.resident()
    words = ("tokens", str(stage.file("request", ask.text)), str(tokens), "0", str(reached), "-")
    again = stage.drive(server, *words, seconds=bench.seconds)
    server.child.end()
    found = f"{full / 1e6:.0f} MB ({empty / 1e6:.0f} MB without); asked about again {again.cpu * 1e6:.1f} us each"
    met = full <= MOST if reached == TOKENS else None
    yield Figure(f"memory of a process with a full cache ({reached:,} JWT tokens)", found, "<= 150 MB", met)


def workers(bench: Bench) -> Iterator[Result]:
    """Two workers against one, all on both cores, the load too."""
    stage = bench.stage
    token, both = first(tokens_of(bench, "jwt", 1)), stage.cores.both
    try:
        pair = stage.start_oauthd(both, "--workers", "2")
    except RuntimeError:
        yield Skipped("two workers against one", "this server has no --workers")
        return
    alone = stage.start_oauthd(both)
    readings: dict[str, list[Reading]] = {"one": [], "two": []}
    request = str(stage.file("request", introspection(stage).text))
    wrk = evolve(stage.wrk, cores=both)

    def drive(server: Oauthd, seconds: float) -> Reading:
        return wrk.against(server.child, stage.store, server.port, "same", request, token, seconds=seconds)

    for _ in range(bench.rounds):
        for name, server in (("one", alone), ("two", pair)):
            drive(server, 1)
            readings[name].append(drive(server, bench.seconds))
    one, two = quietest(readings["one"]), quietest(readings["two"])
    for server in (alone, pair):
        server.child.end()
    yield Figure(
        "two workers against one, one token, both cores shared with wrk",
        f"{two.rate:,.0f} against {one.rate:,.0f} requests/s ({two.rate / one.rate:.2f} x),"
        f" {two.cpu * 1e6:.1f} against {one.cpu * 1e6:.1f} us of CPU",
        "reported",
    )
