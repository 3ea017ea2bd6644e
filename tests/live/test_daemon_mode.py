"""In the background: pid file, log file, another user; the second start works, and the pid file's process ends it."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import ssl
import subprocess
from pathlib import Path
from unittest import SkipTest

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.certificates import self_signed
from tests.live.crew import children
from tests.live.daemon import Daemon, LiveCase, environment, installed, reachable, twistd, until
from tests.live.visitor import Unreachable, Visitor, expect

USER = "nobody"


class Background(Daemon):
    """A daemon that goes into the background; its process is not our child.

    :ivar twistd_flags: flags of twistd itself.
    :ivar user: who starts it; None for us.
    """

    twistd_flags: tuple[str, ...] = ()
    user: pwd.struct_passwd | None = None

    @property
    def command(self) -> list[str]:
        """Without -n."""
        mine = ["--pidfile", "oauthd.pid", "--logfile", "oauthd.log", *self.twistd_flags]
        return [twistd(), *mine, *super().command[2:]]

    @property
    def pid(self) -> int:
        """As the pid file says."""
        return int((self.folder / "oauthd.pid").read_text())

    @property
    def log(self) -> str:
        """What it wrote, over all starts."""
        return (self.folder / "oauthd.log").read_text()

    def launch(self) -> subprocess.CompletedProcess[str]:
        """Start it; what the terminal showed, and the status, when twistd gives the terminal back."""
        return subprocess.run(
            self.command,
            cwd=self.folder,
            env={**environment(), "HOME": str(self.folder), **self.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
            user=self.user and self.user.pw_uid,
            group=self.user and self.user.pw_gid,
            extra_groups=() if self.user else None,
        )

    def start(self) -> Background:
        """Start it, and wait until it serves."""
        done = self.launch()
        if done.returncode:
            raise AssertionError(f"status {done.returncode}: {done.stdout}")
        self.wait_until_ready()
        return self

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it by its pid file, and wait until it is gone."""
        pid = self.pid
        os.kill(pid, number)
        until(lambda: not _lives(pid), "it ends")

    def kill(self) -> None:
        """End it at once, if it runs."""
        if (self.folder / "oauthd.pid").exists() and _lives(self.pid):
            self.end(signal.SIGKILL)


class BackgroundTests(LiveCase):
    """Without -n."""

    def background(self, *twistd_flags: str, **environ: str) -> Background:
        """One that has not been started."""
        settings = {f"OAUTHD_{key.upper()}": value for key, value in environ.items()}
        daemon = Background(self.folder / f"node{len(self.daemons)}", environ=settings)
        daemon.twistd_flags = twistd_flags
        self.daemons.append(daemon)
        return daemon

    def test_twice(self) -> None:
        """It writes its pid and its log, ends in order on SIGTERM, and the second start finds everything again."""
        daemon = self.background().start()
        self.assertTrue(_lives(daemon.pid))
        visitor = Visitor.of(daemon.http, daemon.credentials)
        app = visitor.client()
        token = visitor.tokens(app, grant_type="client_credentials")["access_token"]
        valkey = daemon.valkey_pid
        daemon.end()
        self.assertFalse((daemon.folder / "oauthd.pid").exists())
        self.assertFalse(_lives(valkey))
        with self.assertRaises(Unreachable):
            daemon.http.get("/")
        daemon.start()
        self.assertTrue(visitor.is_active(app, token))
        daemon.end()
        self.assertEqual(daemon.log.count("#info] oauthd serves"), 2)
        self.assertIn(str(daemon.data / "admin-credentials.json"), daemon.log)
        self.assertNotIn("Traceback", daemon.log)

    def test_private_files(self) -> None:
        """Nothing that it writes can be read by others."""
        daemon = self.background().start()
        for path in (daemon.folder / "oauthd.log", *daemon.data.rglob("*")):
            self.assertEqual(path.lstat().st_mode & 0o037, 0, path)  # a group may read the log
        daemon.end()

    def test_hindrance(self) -> None:
        """What stands in the way at once is told to the terminal, with status 1, and to the log in full."""
        daemon = self.background()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", daemon.port))
            taken.listen()
            done = daemon.launch()
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot listen on", done.stdout)
        self.assertRegex(daemon.log, f"oauthd cannot start: cannot listen on {daemon.listen}: .*in use")
        until(lambda: not (daemon.folder / "oauthd.pid").exists(), "it has left no pid file")
        daemon.start().end()

    def test_new_log_file(self) -> None:
        """SIGUSR1 begins a new log file: what happened before is in the old one, what happens then in the new one."""
        daemon = self.background().start()
        daemon.http.get("/login/before")
        os.kill(daemon.pid, signal.SIGUSR1)
        old = daemon.folder / "oauthd.log.1"
        until(old.exists, "the old file is there")
        self.assertIn("GET - 404", old.read_text())
        until(lambda: daemon.http.get("/login/after").status == 404 and "GET - 404" in daemon.log, "it is written")
        self.assertNotIn("starting up", daemon.log)
        self.assertEqual((daemon.folder / "oauthd.log").stat().st_mode & 0o777, 0o640)
        daemon.end()
        self.assertIn("Server Shut Down", daemon.log)

    def test_settings(self) -> None:
        """Settings that are not in order are told to the terminal, each in a line."""
        done = self.background(tokens_access_lifetime="soon").launch()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"\Aoauthd: OAUTHD_TOKENS_ACCESS_LIFETIME: [^\n]*\n\Z")

    def test_json_log(self) -> None:
        """With log.json each line of the log is an object."""
        daemon = self.background(log_json="true", log_level="warn").start()
        daemon.end()
        self.assertEqual([line for line in daemon.log.splitlines() if not line.startswith("{")], [])
        self.assertNotIn("oauthd serves", daemon.log)

    def test_another_user(self) -> None:
        """Started by root with --uid, it runs as that user, who owns all its data and can start it, too."""
        if os.getuid() != 0:
            raise SkipTest("only root can change the user")
        if not reachable(installed() / "bin" / "python"):
            raise SkipTest("the interpreter lies where that user cannot reach it")
        somebody = pwd.getpwnam(USER)
        daemon = self.background("--uid", USER, "--gid", str(somebody.pw_gid))
        os.chown(daemon.folder, somebody.pw_uid, somebody.pw_gid)
        daemon.start()
        visitor = Visitor.of(daemon.http, daemon.credentials)
        app = visitor.client()
        token = visitor.tokens(app, grant_type="client_credentials")["access_token"]
        self.assertEqual(_users_of(daemon.pid), {somebody.pw_uid})
        self.assertEqual(_users_of(daemon.valkey_pid), {somebody.pw_uid})
        self.assertEqual(_owners(daemon.data), {(somebody.pw_uid, somebody.pw_gid)})
        daemon.end()
        daemon.start()
        self.assertTrue(visitor.is_active(app, token))
        daemon.end()
        self.assertFalse((daemon.folder / "oauthd.pid").exists())
        os.chown(daemon.folder / "oauthd.log", somebody.pw_uid, somebody.pw_gid)  # it was root who opened that
        daemon.user, daemon.twistd_flags = somebody, ()
        daemon.start()
        self.assertTrue(visitor.is_active(app, token))
        daemon.end()
        self.assertNotIn("Traceback", daemon.log)

    def test_workers_of_another_user(self) -> None:
        """Workers run as that user, too, behind a low port and TLS with a key that only root can read."""
        if os.getuid() != 0 or not reachable(installed() / "bin" / "python"):
            raise SkipTest("only root can change the user")
        own, key = self_signed(), self.folder / "server.pem"
        private = own.privateKey.original.to_cryptography_key()
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + own.dumpPEM())
        key.chmod(0o600)
        daemon = self.background("--uid", USER, server_workers="2")
        port = next(port for port in range(600, 1024) if _free(port))
        daemon.listen = f"ssl:{port}:interface=127.0.0.1:privateKey={key}"
        daemon.port = port
        tls = ssl.create_default_context(cadata=own.dumpPEM().decode())
        daemon.http = type(daemon.http)("localhost", port, tls=tls)
        daemon.start()
        first = until(lambda: len(now := children(daemon.pid)) == 3 and now, "two and one that waits")
        self.assertEqual({user for pid in first for user in _users_of(pid)}, {pwd.getpwnam(USER).pw_uid})
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        for _ in range(20):
            expect(daemon.http.get("/oauth2/jwks"))
        daemon.end()
        self.assertNotIn("Traceback", daemon.log)

    def test_low_port(self) -> None:
        """A port below 1024 is bound before the user changes."""
        if os.getuid() != 0 or not reachable(installed() / "bin" / "python"):
            raise SkipTest("only root can change the user")
        daemon = self.background("--uid", USER)
        daemon.port = next(port for port in range(600, 1024) if _free(port))
        daemon.listen = f"tcp:{daemon.port}:interface=127.0.0.1"
        daemon.http = type(daemon.http)("127.0.0.1", daemon.port)
        daemon.start()
        expect(daemon.http.get("/"))
        daemon.end()


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _lives(pid: int) -> bool:
    """Is there such a process, and not just its remains?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _users_of(pid: int) -> set[int]:
    """The real, effective, saved and file system users of a process."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Uid:"))
    return {int(word) for word in line.split()[1:]}


def _owners(folder: Path) -> set[tuple[int, int]]:
    """Who owns a folder and all in it."""
    return {(found.st_uid, found.st_gid) for found in (path.lstat() for path in (folder, *folder.rglob("*")))}
