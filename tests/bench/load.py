"""wrk: started on the load's core, and what it says."""

from __future__ import annotations

import re
import resource
import subprocess
import time
from pathlib import Path

from attrs import frozen

from tests.bench import processes
from tests.bench.processes import Child, Children

SCRIPTS = Path(__file__).parent / "wrk"
CONNECTIONS = 64

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TOTAL = re.compile(r"^\s*(\d+) requests in ([0-9.]+)(us|ms|s|m|h),", re.MULTILINE)
_PERCENTILE = re.compile(r"^\s*(50|99)(?:\.\d+)?%\s+([0-9.]+)(us|ms|s|m|h)\s*$", re.MULTILINE)
_LATENCY = re.compile(r"^\s*Latency\s+\S+\s+\S+\s+([0-9.]+)(us|ms|s|m|h)\s", re.MULTILINE)
_REFUSED = re.compile(r"^\s*Non-2xx or 3xx responses: (\d+)", re.MULTILINE)
_SOCKETS = re.compile(r"^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", re.MULTILINE)


@frozen
class Found:
    """What wrk counted; times in seconds.

    :ivar failed: answers that were no success, and connections that broke.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    worst: float
    failed: int


@frozen
class Reading:
    """One run of wrk against one server; CPU in seconds per request, shares of one core.

    :ivar store: CPU of Valkey.
    :ivar busy: how much of its core the server used.
    :ivar others: how much of that core something else used: what disturbs.
    :ivar load_busy: how much of a core wrk used: near 1 it is wrk that is measured, as far as requests/s go.
    """

    found: Found
    cpu: float
    store: float
    busy: float
    others: float
    load_busy: float
    resident: int

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.found.requests / self.found.seconds


def read(text: str) -> Found:
    """What wrk printed with --latency.

    :raises ValueError: when that is not what this is.
    """
    total, worst = _TOTAL.search(text), _LATENCY.search(text)
    percentiles = {number: _seconds(value, unit) for number, value, unit in _PERCENTILE.findall(text)}
    if total is None or worst is None or percentiles.keys() != {"50", "99"}:
        raise ValueError(f"wrk said: {text}")
    refused, sockets = _REFUSED.search(text), _SOCKETS.search(text)
    return Found(
        requests=int(total[1]),
        seconds=_seconds(total[2], total[3]),
        p50=percentiles["50"],
        p99=percentiles["99"],
        worst=_seconds(worst[1], worst[2]),
        failed=int(refused[1] if refused else 0) + sum(map(int, sockets.groups() if sockets else ())),
    )


def _seconds(value: str, unit: str) -> float:
    return float(value) * _UNITS[unit]


@frozen
class Wrk:
    """Runs wrk.

    :ivar cores: where it may run.
    :ivar goes_first: before everything else there, where we may say so; `Children.start` has the numbers.
    """

    children: Children
    cores: tuple[int, ...]
    goes_first: int = 0

    def start(self, port: int, script: str, *words: str, seconds: float, connections: int = CONNECTIONS) -> Child:
        """Start it, and wait for nothing.

        :param script: name of a script in `wrk/`, which gets the words.
        """
        return self.children.start(
            "wrk",
            (
                "wrk", "-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", "--timeout", "10s", "--latency",
                "-s", str(SCRIPTS / f"{script}.lua"), f"http://127.0.0.1:{port}/", "--", *words,
            ),
            self.cores,
            goes_first=self.goes_first,
        )  # fmt: skip

    def finish(self, running: Child, seconds: float) -> Found:
        """Wait for its end.

        :raises RuntimeError: it failed.
        """
        try:
            status = running.process.wait(seconds + 30)
        except subprocess.TimeoutExpired:
            running.end()
            raise RuntimeError(f"wrk does not end:\n{running.said()}") from None
        if status:
            raise RuntimeError(f"wrk failed:\n{running.said()}")
        return read(running.said())

    def against(
        self,
        server: Child,
        store: Child | None,
        port: int,
        script: str,
        *words: str,
        seconds: float,
        connections: int = CONNECTIONS,
    ) -> Reading:
        """Drive a server, and read its CPU around that."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun, before, stored = time.monotonic(), server.cpu(), store.own_cpu() if store else 0
        core = processes.busy(server.on)
        found = self.finish(self.start(port, script, *words, seconds=seconds, connections=connections), seconds)
        spent, took = server.cpu() - before, time.monotonic() - begun
        since = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = since.ru_utime + since.ru_stime - used.ru_utime - used.ru_stime
        if not found.requests:
            raise RuntimeError(f"{server.name} answered nothing:\n{server.said()}")
        return Reading(
            found=found,
            cpu=spent / 1e9 / found.requests,
            store=(store.own_cpu() - stored) / 1e9 / found.requests if store else 0.0,
            busy=spent / 1e9 / took,
            others=max((processes.busy(server.on) - core) / took - spent / 1e9 / took, 0.0),
            load_busy=own / took,
            resident=server.resident(),
        )
