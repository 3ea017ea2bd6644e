"""A peer beside oauthd: node-oidc-provider, with a Redis adapter written here, on the same Valkey.

Its packages are installed by npm into the folder of the run. Its access tokens are opaque; JWT ones it does not
introspect. Each introspection reads the store, so one token stands for all.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus

from tests.bench.comparing import Bench
from tests.bench.introspection import MISSES, first, introspection
from tests.bench.load import Reading
from tests.bench.results import Figure, Goal, Rate, Result, Skipped, quietest
from tests.bench.stage import SCOPE, SOURCE, Ask, Served, answer_to, serves
from tests.ports import free_port

FILES = SOURCE / "tests" / "bench" / "node"
NAME = "node-oidc-provider"
CLIENT = ("bench", "a-secret-of-the-benchmark-that-is-long-enough")
INSTALLING = 180.0  # seconds
COMPILING = 5.0  # seconds until node has compiled what runs often
AMBITION = 10  # times the introspections a second of CPU of the best peer


def peer(bench: Bench) -> Iterator[Result]:
    """Introspection and client_credentials of the peer."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        yield Skipped(NAME, "node or npm is not installed")
        return
    folder = bench.stage.folder / "peer"
    shutil.copytree(FILES, folder)
    try:
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--silent"],
            cwd=folder, capture_output=True, timeout=INSTALLING, check=False,
        )  # fmt: skip
        failed = done.stderr.decode(errors="replace").strip()[-200:] if done.returncode else ""
    except subprocess.TimeoutExpired:
        failed = f"npm takes longer than {INSTALLING:g} s"
    if failed:
        yield Skipped(NAME, failed.replace("\n", " "))
        return
    server = _start(bench, node, str(folder / "server.mjs"))
    version = json.loads((folder / "node_modules" / "oidc-provider" / "package.json").read_text())["version"]
    yield from _rates(bench, server, f"{NAME} {version}")
    server.child.end()


def _start(bench: Bench, node: str, program: str) -> Served:
    stage, port = bench.stage, free_port()
    child = stage.children.start(
        "peer", (node, program, str(port), stage.socket, *CLIENT), (stage.cores.server,), {"NODE_ENV": "production"}
    )
    server = Served(child, port)
    child.wait_until(lambda: serves(port, "/.well-known/openid-configuration"))
    return server


def _rates(bench: Bench, server: Served, name: str) -> Iterator[Rate | Figure]:
    issue = Ask("/token", CLIENT, f"grant_type=client_credentials&scope={quote_plus(SCOPE)}")
    token = json.loads(answer_to(server.port, issue).body)["access_token"]
    question = Ask("/token/introspection", CLIENT, "token=%s&token_type_hint=access_token")  # spares it a look-up
    how: dict[str, Any] = {"server": server, "klein": False, "warming": COMPILING}
    asked = bench.compare(f"{name}: introspection", Goal(), question, token, **how)
    yield asked
    yield bench.compare(f"{name}: client_credentials, opaque", Goal(), issue, "", **how)
    theirs, hit, miss = quietest(asked.ours), *_ours(bench)
    yield Figure(
        f"introspections per second of CPU, beside {name}",
        f"{1 / hit.cpu:,.0f} hits ({theirs.cpu / hit.cpu:.1f} x), {1 / miss.cpu:,.0f} misses"
        f" ({theirs.cpu / miss.cpu:.1f} x); {NAME} {1 / theirs.cpu:,.0f}",
        f"hits >= {AMBITION} x",
        theirs.cpu >= AMBITION * hit.cpu,
    )


def _ours(bench: Bench) -> tuple[Reading, Reading]:
    """Hits and misses of oauthd, in the same run."""
    stage, part = bench.stage, round(MISSES * bench.seconds)
    tokens, request = stage.tokens("opaque", part, stage.opaque), str(stage.file("request", introspection(stage).text))
    again = ("same", request, first(tokens))
    stage.drive(stage.main, *again, seconds=1)
    hits = [stage.drive(stage.main, *again, seconds=bench.seconds) for _ in range(bench.rounds)]
    miss = stage.drive(stage.main, "tokens", request, str(tokens), "1", str(part - 1), "-", seconds=bench.seconds)
    return quietest(hits), miss
