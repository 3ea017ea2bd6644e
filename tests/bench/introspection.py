"""Rows about introspection: hits of one token and of many, changing header fields, floods of them, misses, formats."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.bench.comparing import Bench
from tests.bench.load import Reading
from tests.bench.results import Figure, Goal, Rate, Result, quietest
from tests.bench.stage import Ask, Stage, answer_to

ORDER = 1 << 18  # numbers in an order of tokens, after which it begins again
MISSES = 50_000  # tokens for each second of misses: more than goals ask for


def introspection(stage: Stage) -> Ask:
    """The request of a resource server."""
    return Ask("/oauth2/introspect", stage.resource_server.auth, "token=%s")


def tokens_of(bench: Bench, kind: str, count: int) -> Path:
    """Tokens of a client for itself."""
    app = bench.stage.opaque if kind == "opaque" else bench.stage.jwt
    return bench.stage.tokens(kind, count, app)


def first(tokens: Path) -> str:
    """The first token of a file."""
    with tokens.open(encoding="ascii") as file:
        return file.readline().strip()


def hit(bench: Bench) -> Iterator[Result]:
    """One token that is asked about again and again."""
    token = first(tokens_of(bench, "jwt", 1))
    goal = Goal(nginx=1.7, klein=10)
    yield bench.compare("hit, one token", goal, introspection(bench.stage), token)


def uniform(count: int, seed: int = 1) -> list[int]:
    """An order in which each of `count` tokens is as likely as any other, counted from 1."""
    chance = random.Random(seed)
    return [chance.randint(1, count) for _ in range(ORDER)]


def zipf(count: int, seed: int = 1) -> list[int]:
    """An order in which the n-th token is asked about 1/n as often as the first one."""
    chance = random.Random(seed)
    weights = list(itertools.accumulate(1 / n for n in range(1, count + 1)))
    return chance.choices(range(1, count + 1), cum_weights=weights, k=ORDER)


def in_order(
    bench: Bench, tokens: Path, count: int, order: list[int]
) -> Callable[[Path, int], tuple[str, ...]]:
    """Words for wrk: these tokens in that order."""
    place = bench.stage.file("order", "\n".join(map(str, order)))
    return lambda request, n: ("tokens", str(request), str(tokens), "0", str(count), str(place))


def many(bench: Bench) -> Iterator[Result]:
    """Many tokens, all of them asked about before."""
    tokens, ask = tokens_of(bench, "jwt", 100_000), introspection(bench.stage)
    for count in (10_000, 100_000):
        reached = bench.warm(ask, tokens, count)
        note = "" if reached == count else f" ({reached} of them asked about before)"
        for name, order in (("uniform", uniform(count)), ("Zipf", zipf(count))):
            words = in_order(bench, tokens, count, order)
            what = f"hit, {count:,} tokens, {name}{note}"
            yield bench.compare(what, Goal(nginx=2), ask, first(tokens), words, klein=False)


def tracing(bench: Bench) -> Iterator[Result]:
    """Header fields of tracing that change with each request."""
    token, ask = first(tokens_of(bench, "jwt", 1)), introspection(bench.stage)
    span = "0123456789abcdef"
    fields = (("traceparent", f"00-{2 * span}-{span}-01"), ("x-request-id", 3 * span))
    fixed = bench.stage.file("request", Ask(ask.path, ask.auth, ask.body, fields).text)
    yield bench.compare(
        "hit, traceparent and x-request-id change",
        Goal(nginx=2.5),
        ask,
        token,
        lambda request, n: ("changing", str(request), token, "trace"),
        lambda request, n: ("same", str(fixed), token),
        klein=False,
    )


def flood(bench: Bench) -> Iterator[Result]:
    """Unique header blocks in between: what is known stays known, and the ordinary path stays as it was."""
    stage, seconds = bench.stage, bench.seconds
    token, ask = first(tokens_of(bench, "jwt", 1)), introspection(bench.stage)
    request = stage.file("request", ask.text)
    # Nothing with a cookie is ever remembered.
    ordinary = stage.file("request", Ask(ask.path, ask.auth, ask.body, (("Cookie", "a=b"),)).text)

    def cheapest(asked: Path) -> Reading:
        words = ("same", str(asked), token)
        return quietest([stage.drive(stage.main, *words, seconds=seconds) for _ in range(bench.rounds)])

    stage.drive(stage.main, "same", str(request), token, seconds=1)
    before, before_ordinary = cheapest(request), cheapest(ordinary)
    during = stage.drive(stage.main, "changing", str(request), token, "flood", seconds=2 * seconds)
    after, after_ordinary = cheapest(request), cheapest(ordinary)
    grown = (after.resident - before.resident) / 1e6
    for name, one, other in (("hit", before, after), ("the ordinary path", before_ordinary, after_ordinary)):
        found = f"{one.cpu * 1e6:.1f} us before, {other.cpu * 1e6:.1f} us after ({other.cpu / one.cpu:.2f} x)"
        goal = "as it was (within 15 %)"
        yield Figure(f"flood of unique header blocks: {name}", found, goal, other.cpu <= 1.15 * one.cpu)
    found = f"{during.cpu * 1e6:.1f} us a request, {during.found.requests} blocks, {grown:+.1f} MB"
    yield Figure("flood of unique header blocks: itself", found)


def bound(bench: Bench) -> Iterator[Result]:
    """Tokens that are bound to a key: the answer is longer, and nothing else is different."""
    token = first(tokens_of(bench, "bound", 1))
    yield bench.compare("hit, a DPoP-bound token", Goal(nginx=1.7), introspection(bench.stage), token, klein=False)
    yield missing(bench, "bound")


NAMES = {"jwt": "JWT", "bound": "DPoP-bound"}


def missing(bench: Bench, kind: str, klein: bool = False) -> Rate:
    """Each token is asked about once, and the process has never heard of it."""
    part = round(MISSES * bench.seconds)
    tokens = tokens_of(bench, kind, part * bench.rounds + 1)
    what = f"miss, {NAMES.get(kind, 'opaque')} tokens"
    rate = bench.compare(
        what,
        Goal(nginx=5),
        introspection(bench.stage),
        first(tokens),
        lambda request, n: ("tokens", str(request), str(tokens), str(1 + n * part), str(part), "-"),
        klein=klein,
    )
    if any(reading.found.requests > part for reading in rate.ours):
        raise RuntimeError("there were not enough tokens for misses")
    return rate


def miss(bench: Bench) -> Iterator[Result]:
    """Opaque tokens that are new to the process, in a warm store."""
    yield missing(bench, "opaque")


def formats(bench: Bench) -> Iterator[Result]:
    """Introspection of JWT and of opaque tokens costs the same."""
    count, ask, found = 10_000, introspection(bench.stage), {}
    for kind in ("opaque", "jwt"):
        tokens = tokens_of(bench, kind, count)
        bench.warm(ask, tokens, count)
        words = in_order(bench, tokens, count, uniform(count))
        name = "JWT" if kind == "jwt" else "opaque"
        found[kind] = bench.compare(f"hit, 10,000 {name} tokens", Goal(), ask, first(tokens), words, klein=False)
        yield found[kind]
    ratio = quietest(found["jwt"].ours).cpu / quietest(found["opaque"].ours).cpu
    yield Figure("hit: JWT against opaque, CPU", f"{ratio:.2f} x", "within 20 %", 0.8 <= ratio <= 1.2)
    misses = missing(bench, "jwt")
    yield misses


SENDERS = 8  # connections that send batches: fewer than the large ones that a process takes at once


def batch(bench: Bench) -> Iterator[Result]:
    """Many tokens in one request, all of them asked about before: what each of them costs."""
    for kind, goal in (("opaque", 4.0), ("jwt", 8.0)):
        tokens = tokens_of(bench, kind, 1000).read_text().split()
        for count in (100, 1000):
            ask = Ask(
                "/oauth2/introspect/batch",
                bench.stage.resource_server.auth,
                json.dumps({"tokens": tokens[:count]}),
                content_type="application/json",
            )
            words = ("same", str(bench.stage.file("request", ask.text)))
            told = json.loads(answer_to(bench.stage.main.port, ask).body)["results"]
            if not all(one["active"] for one in told):
                raise RuntimeError("a token of the batch is not active")
            drive = partial(bench.stage.drive, bench.stage.main, *words, connections=SENDERS)
            drive(seconds=1)
            reading = quietest([drive(seconds=bench.seconds) for _ in range(bench.rounds)])
            each = reading.cpu / count * 1e6
            found = f"{each:.2f} us a token, {reading.rate * count:,.0f} tokens/s"
            met = each <= goal and not reading.found.failed
            what = f"batch of {count:,} {'JWT' if kind == 'jwt' else kind} tokens"
            # Of a smaller one the request itself is the greater part, which goes the ordinary way.
            yield Figure(what, found, f"<= {goal:g} us", met) if count == 1000 else Figure(what, found)


def signed_hit(bench: Bench) -> Iterator[Result]:
    """One token that is asked about again and again, by a resource server that wants signed answers."""
    token = first(tokens_of(bench, "jwt", 1))
    api = bench.stage.visitor.client("Signed", introspection_signed_response_alg="ES256")
    ask = Ask("/oauth2/introspect", api.auth, "token=%s", accept="application/token-introspection+jwt")
    yield bench.compare("hit, signed by ES256 (RFC 9701)", Goal(nginx=2), ask, token, klein=False)


def demands(bench: Bench) -> Iterator[Result]:
    """One token that is asked about again and again, with a demand."""
    token = first(tokens_of(bench, "jwt", 1))
    body = f"required_audience={bench.stage.issuer}&token=%s"
    ask = Ask("/oauth2/introspect", bench.stage.resource_server.auth, body)
    yield bench.compare("hit, with a demand", Goal(nginx=2), ask, token, klein=False)
