"""The embedded Valkey: a real ``valkey-server`` as our child, on a unix socket in the data folder, append-only file on.

It ends with us, comes back by itself when it dies, and is never run twice over the same files: the child inherits a
locked file (flock), and the kernel holds that lock until the last process which could still write is gone. What an
earlier, killed oauthd left running is shut down by the Valkey protocol before a new start, never by its pid.

Refused: a server that cannot begin (its last log lines are in the error), a folder whose server does not go away. Left
to others: what is stored, reconnecting (``stores``), the lock against a second oauthd (`data.DataFolder`).

``start`` runs on the reactor's thread, which must be the main thread, after any change of user.
"""

import errno
import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import attrs
import hiredis
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from oauthd.runtime.process import OPTIONS, Log, ValkeyError, choose_socket, find_binary, keep_private, spawn
from oauthd.runtime.question import ask

_LOADING_NEWS = 5.0  # seconds between two lines about reading the append-only file

log = Logger()


@attrs.frozen
class Patience:
    """How long each thing may take, in seconds."""

    answer: float = 2.0  # one command and its reply
    begin: float = 30.0  # from the start of the process to its first answer
    loading: float = 1800.0  # reading the append-only file back
    end: float = 20.0  # from SIGTERM to SIGKILL
    earlier: float = 30.0  # until a server left by an earlier run is gone
    look: float = 0.2  # between two looks at whether the child lives
    least: float = 0.1  # before the first new start after a death
    most: float = 5.0  # before the next one when they keep failing
    steady: float = 10.0  # a child that lived this long ended a row of failures


class EmbeddedValkey:
    """One Valkey process over one folder, for as long as the server runs.

    :param folder: its own folder inside the data folder; made (0700) at `start`. The data folder must be locked.
    :param reactor: the reactor; it must offer unix sockets.
    :param binary: the program, None to look for one.
    :param options: Valkey's own settings, added to `OPTIONS` or put in their place.
    :param died: called with the exit status each time the process ends unasked.
    :param returned: called when it answers again after that.
    """

    def __init__(
        self,
        folder: Path,
        reactor: IReactorTime,
        *,
        binary: str | None = None,
        options: Mapping[str, str] = MappingProxyType({}),
        died: Callable[[int], None] | None = None,
        returned: Callable[[], None] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._folder = folder
        self._reactor = reactor
        self._binary = binary
        self._options = {**OPTIONS, **options}
        self._died = died or (lambda status: None)
        self._returned = returned or (lambda: None)
        self._patience = patience or Patience()
        self._socket: str | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._work: Deferred[None] | None = None
        self._next_look: IDelayedCall | None = None
        self._stopping = False
        self._delay = self._patience.least
        self._since = 0.0
        self._log = Log(folder)

    @property
    def socket_path(self) -> str:
        """The path of its socket; the same from the first `start` on, over all deaths."""
        if self._socket is None:
            raise RuntimeError("the embedded Valkey has not been started")
        return self._socket

    @property
    def url(self) -> str:
        """The socket as ``unix:///path``, percent-encoded."""
        return "unix://" + quote(self.socket_path)

    @property
    def pid(self) -> int | None:
        """The process that runs now, None while there is none."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def start(self) -> Deferred[None]:
        """Start it; fires when it answers.

        :returns: fails with `ValkeyError`, then nothing of it is left running; `CancelledError` after `stop`.
        """
        if self._work is not None:
            raise RuntimeError("the embedded Valkey has been started already")
        self._stopping = False
        self._work = Deferred.fromCoroutine(self._begin())
        return self._work

    def stop(self) -> Deferred[None]:
        """Stop it, at any moment; fires when the process is gone and everything is on the disk. Never fails."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._stopping = True
        if self._next_look is not None and self._next_look.active():
            self._next_look.cancel()
        if self._work is not None:
            self._work.cancel()
        if self._child is not None:
            await self._end(self._child)
        path, self._socket = self._socket, None
        if path is not None:
            self._remove_socket(path)
        self._work = self._child = None

    # --- one start ---

    async def _begin(self) -> None:
        lock = -1
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(self._folder / "valkey.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            await self._wait_for_folder(lock)
            self._child = self._spawn(lock)
            self._since = time.monotonic()
        except (OSError, subprocess.SubprocessError) as problem:
            raise ValkeyError(f"the embedded Valkey cannot be started in {self._folder}: {problem}") from problem
        finally:
            if lock >= 0:
                os.close(lock)  # the child has it too, and now it alone
        try:
            await self._wait_until_ready(self._child)
        except CancelledError:
            raise  # stop() ends the child
        except Exception:
            await self._end(self._child)
            raise
        self._next_look = self._reactor.callLater(self._patience.look, self._look)

    async def _wait_for_folder(self, lock: int) -> None:
        """Hold the lock of the folder, after whatever an earlier run left there has ended."""
        earlier = _read_record(lock)
        self._socket = self._socket or choose_socket(self._folder)
        deadline = time.monotonic() + self._patience.earlier
        told = False
        while True:
            gone = [await self._dismiss(path) for path in {self._socket, earlier.get("socket") or self._socket}]
            if all(gone) and _take(lock):
                return
            if not told:
                log.info("waiting for the Valkey of an earlier run in {folder} to end", folder=str(self._folder))
                told = True
            if time.monotonic() > deadline:
                raise ValkeyError(
                    f"a Valkey of an earlier run (process {earlier.get('pid', 'unknown')}) still uses {self._folder} "
                    f"and does not end within {self._patience.earlier:g} s: end it by hand"
                )
            await self._pause(0.05)

    async def _dismiss(self, path: str) -> bool:
        """Have the Valkey at this socket end, if it is one over our files; False while it may still be there."""
        try:
            reply = await ask(self._reactor, path, "CONFIG GET dir", self._patience.answer)
            if not self._is_ours(reply):  # as the socket of a server whose data folder was copied here
                log.debug("left alone: the server at {path}, not over {folder}", path=path, folder=str(self._folder))
                return True
            log.warn("shutting down the Valkey that an earlier run left at {path}", path=path)
            # Without a dump; the append-only file is flushed and synced all the same.
            refusal = await ask(self._reactor, path, "SHUTDOWN NOSAVE", self._patience.end)
            log.error("it refuses: {refusal}", refusal=str(refusal))
        except ConnectionClosed:
            self._remove_socket(path)
            return True  # it closes this connection by its exit
        except ConnectError as problem:
            if problem.osError not in (errno.ECONNREFUSED, errno.ENOENT):
                return False
            self._remove_socket(path)  # nobody listens: left by a process that is no more
            return True
        except TimeoutError:
            pass
        return False

    def _is_ours(self, reply: object) -> bool:
        """Whether the reply to CONFIG GET dir names our folder; Valkey asks the kernel, so a moved one is ours."""
        match reply:
            case [b"dir", bytes(place)]:
                with suppress(OSError):
                    return os.path.samefile(place, self._folder)
        return False

    def _remove_socket(self, path: str) -> None:
        """Remove a socket that nobody listens on, and the temporary folder made for it once it is not needed."""
        with suppress(OSError):
            os.unlink(path)
        if path != self._socket and os.path.dirname(path) != str(self._folder):
            with suppress(OSError):
                os.rmdir(os.path.dirname(path))

    def _spawn(self, lock: int) -> subprocess.Popen[bytes]:
        # What a rewriting of the append-only file had begun when it was killed; it would lie there for ever.
        for left in self._folder.glob("temp-*"):
            left.unlink()
        with self._log.open() as output:
            if (place := os.path.dirname(self.socket_path)) != str(self._folder):
                keep_private(place)
            child = spawn(find_binary(self._binary), self._folder, self.socket_path, self._options, output, lock)
        # For the next run, should this one be killed. On a full disk the lock and the usual path still do.
        with suppress(OSError):
            os.ftruncate(lock, 0)
            os.pwrite(lock, json.dumps({"pid": child.pid, "socket": self.socket_path}).encode(), 0)
        return child

    async def _wait_until_ready(self, child: subprocess.Popen[bytes]) -> None:
        """Return when the child answers PING; a long append-only file may take it a while."""
        begun = told = time.monotonic()
        limit = self._patience.begin
        while True:
            reply: object = None
            with suppress(ConnectError, ConnectionClosed, TimeoutError):  # no socket yet, or busy
                reply = await ask(self._reactor, self.socket_path, "PING", self._patience.answer)
            if reply == b"PONG":
                return
            now = time.monotonic()
            if isinstance(reply, hiredis.ReplyError):
                if not str(reply).startswith("LOADING"):
                    raise ValkeyError(f"the embedded Valkey answers PING with {reply}")
                limit = self._patience.loading
                if now - told > _LOADING_NEWS:
                    told = now
                    log.info("the embedded Valkey is reading its append-only file since {s:.0f} s", s=now - begun)
            if child.poll() is not None:
                raise ValkeyError(f"the embedded Valkey ended, {_ending(child.returncode)}:\n{self._log.tail()}")
            if now - begun > limit:
                raise ValkeyError(f"the embedded Valkey does not answer after {limit:g} s:\n{self._log.tail()}")
            await self._pause(0.02)

    async def _pause(self, seconds: float) -> None:
        # Not every step that stop() cancels says so: connecting may fail in a way of its own.
        if self._stopping:
            raise CancelledError
        await deferLater(self._reactor, seconds)

    async def _end(self, child: subprocess.Popen[bytes]) -> None:
        """End our own child: SIGTERM, on which it syncs its file; SIGKILL only when that does not work."""
        if child.poll() is None:
            child.terminate()
        limit = time.monotonic() + self._patience.end
        killed = False
        while child.poll() is None:
            if time.monotonic() > limit:
                if killed:
                    log.error("the embedded Valkey (process {pid}) does not end", pid=child.pid)
                    return
                log.error("the embedded Valkey (process {pid}) does not stop: killed", pid=child.pid)
                child.kill()
                killed = True
                limit = time.monotonic() + self._patience.answer
            await deferLater(self._reactor, 0.02)

    # --- while it runs ---

    def _look(self) -> None:
        """See whether the child lives. Asked a few times a second: SIGCHLD and its one handler are Twisted's."""
        child = self._child
        if child is None or child.poll() is None:
            self._next_look = self._reactor.callLater(self._patience.look, self._look)
            return
        status = child.returncode
        log.error(
            "the embedded Valkey (process {pid}) has ended, {how}; it is started again\n{lines}",
            pid=child.pid,
            how=_ending(status),
            lines=self._log.tail(),
        )
        if time.monotonic() - self._since > self._patience.steady:
            self._delay = self._patience.least
        self._work = Deferred.fromCoroutine(self._begin_again())
        self._work.addErrback(_expect_cancel)
        self._tell(lambda: self._died(status))

    async def _begin_again(self) -> None:
        """Start it until it runs: whatever stands in the way (a full disk) may go away."""
        while True:
            await self._pause(self._delay)
            self._delay = min(self._delay * 2, self._patience.most)
            try:
                await self._begin()
            except CancelledError:
                raise
            except Exception as problem:
                log.error("{problem}; next try in {delay:g} s", problem=problem, delay=self._delay)
            else:
                break
        log.info("the embedded Valkey runs again (process {pid})", pid=self.pid)
        self._tell(self._returned)

    def _tell(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:
            log.failure("a callback of the embedded Valkey failed")


def _expect_cancel(failure: Failure) -> None:
    failure.trap(CancelledError)  # type: ignore[no-untyped-call]


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_record(lock: int) -> dict[str, Any]:
    """What the run before wrote into the lock file; empty where there is nothing that can be read."""
    with suppress(ValueError):
        record = json.loads(os.pread(lock, 4096, 0))
        if isinstance(record, dict):
            return record
    return {}


def _ending(status: int) -> str:
    return f"by signal {-status}" if status < 0 else f"with status {status}"
