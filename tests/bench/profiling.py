"""Where the CPU of a request goes: py-spy beside wrk.

    python -m tests.bench.profiling hit miss client_credentials refresh [--seconds 5] [--lines 25] [--native]

For each kind of request the lines of code in which the reactor's thread was found most often, by themselves and with
all that they called. With --native the C functions, too. py-spy must be installed; it slows the server down, so that
shares mean something and rates nothing. `perf top -p PID` tells the kernel's part.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote_plus

from attrs import frozen

from tests.bench.introspection import MISSES, first, introspection
from tests.bench.issuing import CHAINS, exchanging
from tests.bench.processes import PATIENCE, Children, cores
from tests.bench.stage import PASSWORD, SCOPE, Ask, Stage

OFTEN = 400  # samples a second
FIRST = 1.0  # seconds before it is looked at
Words = tuple[str, ...]


@frozen
class Profile:
    """Samples of one thread.

    :ivar alone: where it was, line by line -> how often.
    :ivar within: lines that it was in or had called from -> how often.
    """

    total: int
    alone: Counter[str]
    within: Counter[str]


def read(text: str, thread: str = "MainThread") -> Profile:
    """What py-spy wrote in its raw format, of the thread of that name."""
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if thread in frames[0]:
            alone[frames[-1]] += int(count)
            within.update(dict.fromkeys(set(frames[1:]), int(count)))
    return Profile(sum(alone.values()), alone, within)


def told(profile: Profile, lines: int) -> Iterable[str]:
    """The profile as people read it; what nearly all samples have in common is left out."""
    for title, counts in (("by themselves", profile.alone), ("with what they call", profile.within)):
        yield f"  {title}:"
        shares = ((line, count / profile.total) for line, count in counts.most_common(lines + 30))
        yield from (f"    {share:6.1%} {line}" for line, share in [one for one in shares if one[1] < 0.8][:lines])


def _hit(stage: Stage) -> Words:
    return ("same", _request(stage, introspection(stage)), first(stage.tokens("jwt", 1, stage.jwt)))


def _tracing(stage: Stage) -> Words:
    return ("changing", *_hit(stage)[1:], "trace")


def _miss(stage: Stage) -> Words:
    count = 6 * MISSES
    tokens = stage.tokens("opaque", count, stage.opaque)
    return ("tokens", _request(stage, introspection(stage)), str(tokens), "0", str(count), "-")


def _client_credentials(stage: Stage) -> Words:
    body = f"grant_type=client_credentials&scope={quote_plus(SCOPE)}"
    return ("same", _request(stage, Ask("/oauth2/token", stage.opaque.auth, body)))


def _client_credentials_jwt(stage: Stage) -> Words:
    body = f"grant_type=client_credentials&scope={quote_plus(SCOPE)}"
    return ("same", _request(stage, Ask("/oauth2/token", stage.jwt.auth, body)))


def _refresh(stage: Stage) -> Words:
    user_id = stage.visitor.user("refresher", PASSWORD)
    chains = stage.tokens("refresh", CHAINS, stage.opaque, user_id, "refresher")
    ask = Ask("/oauth2/token", stage.opaque.auth, "grant_type=refresh_token&refresh_token=%s")
    return ("chains", _request(stage, ask), str(chains))


def _exchange(stage: Stage) -> Words:
    ask = exchanging(stage, "opaque", stage.opaque, "exchanged")
    return ("same", _request(stage, ask))


KINDS: Mapping[str, Callable[[Stage], Words]] = {
    "hit": _hit,
    "tracing": _tracing,
    "miss": _miss,
    "client_credentials": _client_credentials,
    "client_credentials_jwt": _client_credentials_jwt,
    "refresh": _refresh,
    "exchange": _exchange,
}


def _request(stage: Stage, ask: Ask) -> str:
    return str(stage.file("request", ask.text))


def look(stage: Stage, words: Words, seconds: float, native: bool) -> Profile:
    """Drive the server and look at it meanwhile.

    :raises RuntimeError: py-spy may not, or fails.
    """
    load = stage.wrk.start(stage.main.port, *words, seconds=seconds + 2 * FIRST)
    with suppress(subprocess.TimeoutExpired):
        load.process.wait(FIRST)
    place = stage.folder / "profile"
    program = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    done = subprocess.run(
        (
            program or "py-spy", "record", "-r", str(OFTEN), "-d", str(round(seconds)), "-f", "raw", "-t",
            "-o", str(place), "--pid", str(stage.main.child.pid), *(["--native"] if native else []),
        ),
        capture_output=True, timeout=seconds + PATIENCE, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"py-spy: {done.stderr.decode(errors='replace')[-500:]}")
    stage.wrk.finish(load, seconds)
    return read(place.read_text())


def main() -> None:
    """Read the command line, look, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profiling", description="Where the CPU goes.")
    parser.add_argument("kinds", nargs="+", choices=KINDS)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--lines", type=int, default=25)
    parser.add_argument("--native", action="store_true")
    asked = parser.parse_args()
    where = cores()
    os.sched_setaffinity(0, {where.load})
    folder = Path(tempfile.mkdtemp(prefix="oauthd-bench-"))
    try:
        with Children(folder) as children:
            stage = Stage(children, where, folder)
            stage.set_up()
            for kind in asked.kinds:
                print(f"{kind}:")
                print("\n".join(told(look(stage, KINDS[kind](stage), asked.seconds, asked.native), asked.lines)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
