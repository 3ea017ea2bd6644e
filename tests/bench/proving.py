"""Rows about clients that prove to hold a key: a DPoP proof or an assertion for each request, made before, used once.

Proofs carry a nonce of the server, so that they count however long the rounds take. Each request is verified, spent in
the store and answered on the ordinary path: nothing of it can be remembered.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import quote_plus

from tests.bench.comparing import Bench
from tests.bench.introspection import first, tokens_of
from tests.bench.results import Goal, Result
from tests.bench.stage import SCOPE, Ask, Stage, answer_of
from tests.live.visitor import App
from tests.possession import Holder
from tests.wire import basic

MOST = 3000  # requests a second: more than there will be
LATER = 1800  # seconds that assertions count
PATH = "/oauth2/token"
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_numbers = count()


def dpop(bench: Bench) -> Iterator[Result]:
    """Tokens that are bound to a key."""
    stage = bench.stage
    body = f"grant_type=client_credentials&scope={quote_plus(SCOPE)}"
    for name, app in (("opaque", stage.opaque), ("JWT ES256", stage.jwt)):
        ask = Ask(PATH, app.auth, body, (("DPoP", "%s"),))
        parts = [proofs(stage, app, round(MOST * bench.seconds)) for _ in range(bench.rounds)]
        yield spending(bench, f"client_credentials with DPoP, {name}", ask, parts, proofs(stage, app, 1))


def private_key_jwt(bench: Bench) -> Iterator[Result]:
    """Tokens, and answers about one, for a client that authenticates by an assertion."""
    stage, holder = bench.stage, Holder()
    app = stage.visitor.client(
        "Keyed",
        grant_types=["client_credentials"],
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [{**holder.jwk, "kid": "1", "use": "sig"}]},
    )
    named = f"client_assertion_type={quote_plus(BEARER)}&client_assertion=%s"
    token = first(tokens_of(bench, "jwt", 1))
    for what, path, body in (
        ("client_credentials", PATH, f"grant_type=client_credentials&{named}"),
        ("introspection", "/oauth2/introspect", f"token={token}&{named}"),
    ):
        parts = [assertions(stage, app, holder, round(MOST * bench.seconds)) for _ in range(bench.rounds)]
        ask, spare = Ask(path, None, body), assertions(stage, app, holder, 1)
        yield spending(bench, f"{what} by private_key_jwt", ask, parts, spare)


def spending(bench: Bench, what: str, ask: Ask, parts: list[Path], spare: Path) -> Result:
    """Each line of these files goes with one request: a file for each round."""
    each = round(MOST * bench.seconds)
    rate = bench.compare(
        what,
        Goal(),
        ask,
        first(spare),
        lambda request, n: ("tokens", str(request), str(parts[n]), "0", str(each), "-"),
        klein=False,
        warming=0,
    )
    if any(reading.found.requests > each for reading in rate.ours):
        raise RuntimeError("there were not enough proofs")
    return rate


def proofs(stage: Stage, app: App, number: int) -> Path:
    """That many proofs for the token endpoint, a line each."""
    holder, now = Holder(), time.time()
    uri = stage.issuer + PATH
    nonce = _nonce(stage, app, holder.proof("POST", PATH, now - 86400, htu=uri, jti=f"p-{next(_numbers)}"))
    made = (
        holder.proof("POST", PATH, now, htu=uri, nonce=nonce, jti=f"{now}-{next(_numbers)}") for _ in range(number)
    )
    return _written(stage, made)


def assertions(stage: Stage, app: App, holder: Holder, number: int) -> Path:
    """That many assertions of a client (RFC 7523 section 3), a line each."""
    now = int(time.time())
    made = (
        holder.signed(
            {"alg": holder.algorithm, "kid": "1", "typ": "JWT"},
            {
                "iss": app.client_id,
                "sub": app.client_id,
                "aud": stage.issuer,
                "iat": now,
                "exp": now + LATER,
                "jti": f"{now}-{next(_numbers)}",
            },
        )
        for _ in range(number)
    )
    return _written(stage, made)


def _nonce(stage: Stage, app: App, late: str) -> str:
    """The nonce that is offered to a client whose clock is wrong."""
    headers = {**FORM, "Authorization": basic(*app.auth), "DPoP": late}
    answer = answer_of(stage.main.port, PATH, "POST", headers, b"grant_type=client_credentials")
    found = [value for name, value in answer.fields if name.lower() == "dpop-nonce"]
    if not found:
        raise RuntimeError(f"no nonce is offered: {answer.status} {answer.body[:300]!r}")
    return found[0]


def _written(stage: Stage, made: Iterable[str]) -> Path:
    return stage.file("proofs", "".join(f"{one}\n" for one in made))
