"""Rows about the token endpoint: client_credentials and refresh rotation, the store's answer awaited."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote_plus

from tests.bench.comparing import Bench
from tests.bench.introspection import first
from tests.bench.results import Goal, Result
from tests.bench.stage import PASSWORD, SCOPE, Ask, Stage
from tests.live.visitor import App
from tests.wire import encoded

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
CHAINS = 96  # of refresh tokens: some more than connections


def client_credentials(bench: Bench) -> Iterator[Result]:
    """A token for a client itself, by Basic."""
    stage = bench.stage
    body = f"grant_type=client_credentials&scope={quote_plus(SCOPE)}"
    for name, app, most in (("opaque", stage.opaque, 10), ("JWT ES256", stage.jwt, 14)):
        ask = Ask("/oauth2/token", app.auth, body)
        yield bench.compare(f"client_credentials, {name}", Goal(nginx=most), ask, "", klein=False)


def stateless(bench: Bench) -> Iterator[Result]:
    """A token for a client itself that is not written down: nothing is stored before the answer."""
    app = bench.stage.visitor.client(
        "Stateless", grant_types=["client_credentials"], access_format="jwt", stateless=True
    )
    ask = Ask("/oauth2/token", app.auth, f"grant_type=client_credentials&scope={quote_plus(SCOPE)}")
    yield bench.compare("client_credentials, stateless JWT ES256", Goal(), ask, "", klein=False)


def refresh(bench: Bench) -> Iterator[Result]:
    """Each connection spends the refresh token of the answer before."""
    stage = bench.stage
    user_id = stage.visitor.user("refresher", PASSWORD)
    for name, app in (("opaque", stage.opaque), ("JWT ES256", stage.jwt)):
        # One of a chain cannot be asked about twice, so the constants are like the answer to the first.
        spare = first(stage.tokens("refresh", 1, app, user_id, "refresher"))
        ask = Ask("/oauth2/token", app.auth, "grant_type=refresh_token&refresh_token=%s")
        chains = [stage.tokens("refresh", CHAINS, app, user_id, "refresher") for _ in range(bench.rounds)]
        yield bench.compare(
            f"refresh with rotation, {name} access tokens",
            Goal(nginx=25),
            ask,
            spare,
            lambda request, n, chains=chains: ("chains", str(request), str(chains[n])),  # type: ignore[misc]
            klein=False,
            warming=0,
        )


def exchange(bench: Bench) -> Iterator[Result]:
    """A gateway gets a token of its own for somebody's, again and again (RFC 8693)."""
    stage = bench.stage
    for name, kind, of in (("opaque", "opaque", stage.opaque), ("JWT ES256", "jwt", stage.jwt)):
        ask = exchanging(stage, kind, of, f"exchanged-{kind}")
        yield bench.compare(f"token exchange, {name}", Goal(), ask, "", klein=False)


def exchanging(stage: Stage, kind: str, of: App, username: str) -> Ask:
    """The request by which a gateway exchanges a user's token of such a client."""
    token = first(stage.tokens(kind, 1, of, stage.visitor.user(username, PASSWORD), username))
    gateway = stage.visitor.client(
        f"Gateway {kind}", grant_types=[EXCHANGE], access_format=kind, exchanges=[{"from": of.client_id}]
    )
    asked = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN}
    return Ask("/oauth2/token", gateway.auth, encoded(asked))
