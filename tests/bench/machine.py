"""On what it was measured: the machine and the versions of everything."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from oauthd.runtime.process import find_binary
from tests.bench.processes import Cores


def about(cores: Cores) -> str:
    """A paragraph."""
    valkey = _first(r"v=([0-9.]+)", find_binary(), "--version")
    nginx = _first(r"nginx/([0-9.]+)", "nginx", "-v")
    wrk = _first(r"wrk \S*?([0-9.]+)", "wrk", "--version")
    count = os.cpu_count() or 0
    shared = " That is all it has: Valkey and wrk share the second one." if count == 2 else ""
    return (
        f"{_processor()}, {count} cores, {_memory():.0f} GB, Linux {platform.release()}, Python"
        f" {platform.python_version()}, Twisted {version('Twisted')}, Klein {version('klein')}, nginx {nginx}, Valkey"
        f" {valkey}, wrk {wrk}. The server ran alone on core {cores.server}; wrk (one thread, 64 keep-alive"
        f" connections), Valkey and the benchmark on core {cores.load}.{shared}"
    )


def _first(pattern: str, *command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    found = re.search(pattern, done.stdout)
    return found[1] if found else "?"


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
