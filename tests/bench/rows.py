"""The rows: what is measured, and what it is held against."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import frozen

from tests.bench import capacity, introspection, issuing, peer, proving, revocation, undisturbed
from tests.bench.comparing import Bench
from tests.bench.results import Result


@frozen
class Row:
    """One row; it may come to several lines of the table."""

    name: str
    what: str
    goal: str
    run: Callable[[Bench], Iterable[Result]]


PEER = Row("peer", "node-oidc-provider with Redis: introspection, client_credentials", "a tenth of ours", peer.peer)
ROWS: tuple[Row, ...] = (
    Row(
        "hit",
        "introspection hit, one token, 64 keep-alive connections",
        "at most 1.7 x nginx returning a constant of the same size, 10 x cheaper than through Klein",
        introspection.hit,
    ),
    Row("many", "hit, 10,000 and 100,000 tokens at random (uniform, Zipf)", "at most 2 x nginx", introspection.many),
    Row(
        "tracing",
        "hit with a traceparent and x-request-id that change with each request",
        "at most 2.5 x nginx",
        introspection.tracing,
    ),
    Row("flood", "a flood of unique header blocks", "hits and the ordinary path as they were", introspection.flood),
    Row("miss", "every token new to the process, warm store", "at most 5 x nginx, Valkey aside", introspection.miss),
    Row("formats", "JWT tokens against opaque ones", "the same within 20 %", introspection.formats),
    Row("bound", "introspection of DPoP-bound tokens, hit and miss", "as other tokens", introspection.bound),
    Row(
        "client_credentials",
        "client_credentials with Basic, stored before the answer",
        "opaque at most 10 x nginx, JWT ES256 at most 14 x",
        issuing.client_credentials,
    ),
    Row("stateless", "client_credentials with Basic, nothing stored", "reported", issuing.stateless),
    Row("refresh", "refresh rotation, each connection along its own chain", "at most 25 x nginx", issuing.refresh),
    Row("exchange", "token exchange by Basic, stored before the answer", "reported", issuing.exchange),
    Row("dpop", "client_credentials with Basic and a DPoP proof, each proof once", "reported", proving.dpop),
    Row(
        "private_key_jwt",
        "client_credentials, and introspection of one token, by private_key_jwt, each assertion once",
        "reported",
        proving.private_key_jwt,
    ),
    Row(
        "undisturbed",
        "introspection p99 while 5 logins/s hash passwords and 100 tokens/s are signed RS256",
        "no worse than 2 x the quiet p99",
        undisturbed.disturbed,
    ),
    Row(
        "revocation",
        "10,000 revocations at one process until another one says inactive, under load",
        "p99 at most 10 ms, worst within max_staleness",
        revocation.across,
    ),
    Row(
        "user",
        "revoking a user with 100,000 live tokens, 50,000 of them cached",
        "at most 10 ms of event-loop delay",
        revocation.of_a_user,
    ),
    Row("memory", "a process with 100,000 cached JWT tokens", "at most 150 MB", capacity.memory),
    Row("workers", "two workers against one, on two cores with the load beside them", "reported", capacity.workers),
    Row(
        "batch",
        "introspection of 100 and of 1,000 tokens in one request, all in memory",
        "of 1,000 at most 4 us of CPU an opaque token, 8 us a JWT",
        introspection.batch,
    ),
    Row("signed_hit", "hit, signed answers (RFC 9701)", "at most 2 x nginx", introspection.signed_hit),
    Row("demands", "hit, with a demand beside the token", "at most 2 x nginx", introspection.demands),
    PEER,
)
