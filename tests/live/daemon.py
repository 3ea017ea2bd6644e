"""Real daemons for tests: the wheel in a virtual environment of its own, and `twistd oauthd` as processes.

The environment is made once in a process, from a copy of the source, so nothing that an earlier build left is in it.
Making it takes half a minute; OAUTHD_LIVE_VENV names one that exists, for whoever runs a test again and again.

    class SomeTests(LiveCase):
        def test_it(self) -> None:
            daemon = self.daemon()
            self.assertEqual(daemon.http.get("/oauth2/jwks").status, 200)
            self.assertEqual(daemon.stop(), 0)

Tests block and use no reactor: whoever runs in the daemon is another process. After each test its output is looked
through for traces.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from oauthd.runtime.process import die_with_parent
from tests.live.visitor import Http, Unreachable
from tests.ports import free_port
from tests.stores.servers import OwnValkey

PATIENCE = 60.0  # seconds for what takes one, on a machine that has other things to do
SOURCE = Path(__file__).parents[2]
PARTS = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "oauthd", "twisted")

# Argon2 at its cheapest: these tests sign in often, and what it costs is no question here.
CHEAP = {
    "OAUTHD_USERS_HASH_MEMORY": "7168",
    "OAUTHD_USERS_HASH_TIME": "1",
    "OAUTHD_USERS_HASH_PARALLELISM": "1",
}
MASTER_KEY = "b2F1dGhkIGxpdmUgdGVzdHMgdXNlIHRoaXMga2V5ISE"
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


@functools.cache
def installed() -> Path:
    """The folder of the virtual environment that the wheel is installed in."""
    if given := os.environ.get("OAUTHD_LIVE_VENV"):
        return Path(given)
    folder = Path(tempfile.mkdtemp(prefix="oauthd-live-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)  # a daemon that changes its user must still reach it
    install(folder / "venv", folder / "source")
    return folder / "venv"


def install(venv: Path, copy: Path) -> None:
    """Make an environment with the wheel of this source."""
    copy.mkdir()
    for part in PARTS:
        place = SOURCE / part
        if place.is_dir():
            shutil.copytree(place, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, copy / part)
    run(interpreter(), "-m", "venv", str(venv))
    run(str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", str(copy))


def interpreter() -> str:
    """A Python that other users can reach, where there is one; else the one that runs the tests."""
    own = getattr(sys, "_base_executable", sys.executable)
    for candidate in (own, "/usr/bin/python3"):
        if reachable(Path(candidate)) and _is_new_enough(candidate):
            return candidate
    return str(own)


def reachable(path: Path) -> bool:
    """Can every user get there?"""
    real = path.resolve()
    return real.exists() and all(folder.stat().st_mode & 0o001 for folder in real.parents)


def _is_new_enough(python: str) -> bool:
    program = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([python, "-c", program], capture_output=True, check=False).returncode == 0


def run(*command: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Run a command that must succeed; what it printed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment() | dict(environ or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout}")
    return done.stdout


def environment() -> dict[str, str]:
    """The environment of a child: nothing of Python's, of ours or of a service manager's; pip's is kept."""
    return {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(("PIP_", "SSL_"))}


def twistd() -> str:
    """The `twistd` of the environment."""
    return str(installed() / "bin" / "twistd")


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait for something; what the condition returned in the end."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.01)
    return found


class Daemon:
    """One `twistd -n oauthd` in a folder of its own; it may be started again after its end.

    :ivar port: its first listener, on loopback.
    :ivar http: speaks to it.
    """

    def __init__(self, folder: Path, *flags: str, environ: Mapping[str, str] | None = None, listen: str = "") -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.data = folder / "data"
        self.port = free_port()
        self.listen = listen or f"tcp:{self.port}:interface=127.0.0.1"
        self.flags = flags
        self.environ = {**CHEAP, **(environ or {})}
        self.output_file = folder / "output.log"
        self.http = Http("127.0.0.1", self.port)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        """All that it printed, over all starts."""
        return self.output_file.read_text() if self.output_file.exists() else ""

    @property
    def issuer(self) -> str:
        """Its default issuer."""
        return f"http://localhost:{self.port}"

    @property
    def credentials(self) -> dict[str, str]:
        """The first administrator's."""
        found: dict[str, str] = json.loads((self.data / "admin-credentials.json").read_text())
        return found

    @property
    def command(self) -> list[str]:
        """The command line."""
        return [twistd(), "-n", "oauthd", "--data", str(self.data), "--listen", self.listen, *self.flags]

    def spawn(self, launcher: tuple[str, ...] = (), stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start it, and wait for nothing.

        :param launcher: a command to put in front.
        :param stdin: what it has as its standard input.
        """
        with self.output_file.open("ab") as output:
            self.process = subprocess.Popen(
                [*launcher, *self.command],
                cwd=self.folder,
                env={**environment(), "HOME": str(self.folder), **self.environ},
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 (see there)
            )
        return self.process

    def start(self) -> Daemon:
        """Start it, and wait until it serves."""
        self.spawn()
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Wait until it answers; fail with what it printed when it ends instead."""
        until(self._answers, f"{self.folder.name} serves")

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with status {self.process.returncode}:\n{self.output}")
        try:
            return self.http.get("/.well-known/openid-configuration").status == 200
        except Unreachable:
            return False

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """The process does nothing for a while; what is sent to it waits."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its status, when it has ended."""
        assert self.process is not None
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon does not end:\n{self.output[-4000:]}") from None

    def stop(self) -> int:
        """End it in order; its status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it at once, in whatever state it is."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def refused(self) -> str:
        """Start it when it must not start; what it printed. Its status is 1, and it says no more than it must."""
        before = len(self.output)
        self.spawn()
        status, said = self.wait(), self.output[before:]
        if status != 1 or "Traceback" in said:
            raise AssertionError(f"status {status}:\n{said}")
        return said

    @property
    def valkey_pid(self) -> int:
        """The process of its embedded Valkey, as it says itself."""
        found: int = json.loads((self.data / "valkey" / "valkey.lock").read_text())["pid"]
        return found


class LiveCase(SynchronousTestCase):
    """Tests with daemons; each has a folder, which others may enter, and all that it started ends with it."""

    traces_expected = False

    def setUp(self) -> None:
        """Make the folder."""
        self.folder = Path(tempfile.mkdtemp(prefix="oauthd-live-"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.daemons: list[Daemon] = []
        self.addCleanup(self._end)

    def prepared(self, *flags: str, name: str = "", listen: str = "", **environ: str) -> Daemon:
        """A daemon that has not been started; keywords are settings as `section_name`."""
        settings = {f"OAUTHD_{key.upper()}": value for key, value in environ.items()}
        folder = self.folder / (name or f"node{len(self.daemons)}")
        daemon = Daemon(folder, *flags, environ=settings, listen=listen)
        self.daemons.append(daemon)
        return daemon

    def daemon(self, *flags: str, name: str = "", **environ: str) -> Daemon:
        """A daemon that serves."""
        return self.prepared(*flags, name=name, **environ).start()

    def store(self, *settings: str, password: str = "") -> Store:
        """A Valkey of the test's own, outside of any daemon."""
        store = Store(password)
        self.addCleanup(store.close)
        store.begin(*settings)
        return store

    def _end(self) -> None:
        for daemon in self.daemons:
            daemon.kill()
        for daemon in self.daemons:
            self.assertNotIn("Traceback", daemon.output)
            self.assertNotIn("Unhandled", daemon.output)


class Store(OwnValkey):
    """A Valkey with an append-only file, reached by unix socket and by TCP."""

    def begin(self, *settings: str, wait: bool = True) -> None:
        """Start it, or start it again."""
        if not hasattr(self, "port"):
            self.port = free_port()
        always = ("--appendonly", "yes", "--port", str(self.port), "--bind", "127.0.0.1")
        self.start(*always, *settings, wait=wait)

    @property
    def url(self) -> str:
        """Its unix socket."""
        return f"unix://{f':{self.password}@' if self.password else ''}{self.path}"

    @property
    def tcp_url(self) -> str:
        """Its TCP port."""
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}"
