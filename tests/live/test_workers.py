"""Several workers: one server towards the outside, whatever becomes of each of them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, field
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.certificates import self_signed
from tests.live.crew import (
    all_of,
    children,
    command_of,
    lines_to_all,
    lives,
    owner,
    owner_of,
    parent_of,
    replaced,
    workers,
)
from tests.live.daemon import MASTER_KEY, Daemon, LiveCase, until
from tests.live.visitor import App, Http, Line, Unreachable, Visitor, expect
from tests.ports import free_port

MACHINE = {"grant_type": "client_credentials"}
PATIENT = {"server_drain_grace": "5"}  # clients are threads of this process: on a busy machine they come to send late


class CrewCase(LiveCase):
    """Daemons with two workers."""

    def crew(self, *flags: str, **environ: str) -> Daemon:
        """It serves, by both."""
        daemon = self.daemon("--workers", "2", *flags, **environ)
        all_of(daemon, 2)
        return daemon

    def stop(self, pid: int) -> None:
        """Let a worker stand still; such a one would not even notice that its parent is gone."""
        self.addCleanup(_kill, pid)
        os.kill(pid, signal.SIGSTOP)

    def pid(self, daemon: Daemon) -> int:
        """The parent."""
        assert daemon.process is not None
        return daemon.process.pid


class OneServerTests(CrewCase):
    """Nobody outside sees that there are several."""

    def test_one_port(self) -> None:
        """Each worker gets connections of the one port, and they all have the same keys and the same records."""
        daemon = self.crew()
        visitor = Visitor.of(daemon.http, daemon.credentials)
        app = visitor.client()
        token = visitor.tokens(app, **MACHINE)["access_token"]
        lines = lines_to_all(daemon)
        keys = [expect(line.request("GET", "/oauth2/jwks")).body for (line, *_) in lines.values()]
        self.assertEqual(len(keys), 2)
        self.assertEqual(keys[0], keys[1])
        for line, *_ in lines.values():
            self.assertTrue(_active(line, app, token))
        told = json.loads((daemon.data / "server.json").read_text())
        self.assertEqual(told["pid"], self.pid(daemon))
        self.assertEqual(daemon.output.count("[oauthd#info] founded"), 1)
        self.assertEqual(daemon.stop(), 0)

    def test_revocation(self) -> None:
        """What one worker revokes, each other one answers as inactive, however often it was asked before."""
        daemon = self.crew()
        visitor = Visitor.of(daemon.http, daemon.credentials)
        app = visitor.client()
        (first, *_), (second, *_) = lines_to_all(daemon).values()
        for revoking, asked in ((first, second), (second, first)):
            token = visitor.tokens(app, **MACHINE)["access_token"]
            for _ in range(20):
                self.assertTrue(_active(asked, app, token))
            expect(revoking.request("POST", "/oauth2/revoke", form={"token": token}, basic_auth=app.auth))
            self.assertFalse(_active(revoking, app, token))
            until(partial(_inactive, asked, app, token), "it is heard of", 2.0)

    def test_secrets_stay_inside(self) -> None:
        """Neither command line nor environment of a worker has a secret of the settings."""
        store = self.store(password="hidden-word")
        daemon = self.crew("--redis", store.url, keys_master_keys=MASTER_KEY)
        for pid in (*workers(daemon).values(), *children(self.pid(daemon))):
            for place in ("cmdline", "environ"):
                content = Path(f"/proc/{pid}/{place}").read_bytes()
                self.assertNotIn(MASTER_KEY.encode(), content)
                self.assertNotIn(b"hidden-word", content)
        self.assertNotIn("hidden-word", daemon.output)
        self.assertEqual(daemon.stop(), 0)

    def test_auto(self) -> None:
        """`auto` means one worker for each core that the server may use, and with one core a single process."""
        daemon = self.daemon("--workers", "auto")
        cores = len(os.sched_getaffinity(0))
        if cores > 1:
            all_of(daemon, cores)
        daemon.stop()
        alone = self.prepared("--workers", "auto")
        one_core = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
        alone.spawn((sys.executable, "-c", f"import os, sys; {one_core}; os.execv(sys.argv[1], sys.argv[1:])"))
        alone.wait_until_ready()
        self.assertEqual(children(self.pid(alone)), [])
        self.assertEqual(alone.stop(), 0)

    def test_log(self) -> None:
        """The workers' lines stand in the one log, each with its worker's number."""
        daemon = self.crew()
        lines_to_all(daemon)
        for number in (1, 2):
            line = f"[oauthd#info worker {number}] GET /oauth2/jwks 200"
            until(partial(_has_said, daemon, line), line)
        self.assertEqual(daemon.stop(), 0)

    def test_json_log(self) -> None:
        """With log.json each line of each worker is an object that has its number."""
        daemon = self.daemon("--workers", "2", log_json="true")
        for _ in range(20):
            expect(daemon.http.get("/oauth2/jwks"))
        self.assertEqual(daemon.stop(), 0)
        told = [json.loads(line) for line in daemon.output.splitlines()]
        self.assertEqual({one.get("worker") for one in told}, {None, 1, 2})


class ListenerTests(CrewCase):
    """Each kind of listener can be served by several."""

    def test_unix_and_tls(self) -> None:
        """Behind TLS and a unix socket all workers serve; the socket keeps its mode until it goes with the server."""
        key, certificate = self.certificate()
        port, path = free_port(), self.folder / "web.sock"
        daemon = self.prepared(
            "--workers", "2", "--listen", f"unix:{path}:mode=600",
            listen=f"ssl:{port}:interface=127.0.0.1:privateKey={key}",
        )  # fmt: skip
        daemon.port = port
        daemon.http = Http("localhost", port, tls=ssl.create_default_context(cadata=certificate))
        daemon.start()
        key.unlink()  # it was read once; who replaces a worker has no need of it
        near = Http(path=str(path))
        for _ in range(2):
            lines_to_all(daemon)
            self.assertEqual(near.get("/oauth2/jwks").body, daemon.http.get("/oauth2/jwks").body)
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
            for number, pid in workers(daemon).items():
                os.kill(pid, signal.SIGKILL)
                replaced(daemon, number, pid)
        self.assertTrue(Visitor.of(near, daemon.credentials).token)
        self.assertEqual(daemon.stop(), 0)
        self.assertFalse(path.exists())

    def certificate(self) -> tuple[Path, str]:
        """A file with key and certificate that only we can read, and the certificate."""
        own = self_signed()
        private = own.privateKey.original.to_cryptography_key()
        file = self.folder / "server.pem"
        file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + own.dumpPEM())
        file.chmod(0o600)
        return file, own.dumpPEM().decode()

    def test_socket_activation(self) -> None:
        """A socket of the service manager is served by all workers, and is still open when they have ended."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            os.set_inheritable(listening.fileno(), True)
            daemon = self.prepared(
                "--workers", "2", "--issuer", "http://localhost", listen="systemd:domain=INET:name=web"
            )
            daemon.port = listening.getsockname()[1]
            daemon.http = Http("127.0.0.1", daemon.port)
            launcher = (
                "import os, sys; os.dup2(0, 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', "
                "LISTEN_FDNAMES='web'); os.execv(sys.argv[1], sys.argv[1:])"
            )
            daemon.spawn((sys.executable, "-c", launcher), stdin=listening.fileno())
            daemon.wait_until_ready()
            lines_to_all(daemon)
            self.assertEqual(daemon.stop(), 0)
            with socket.create_connection(("127.0.0.1", daemon.port)), listening.accept()[0]:
                pass

    def test_port_in_use(self) -> None:
        """A port that somebody else has is refused, even if he would share it, and even by another crew."""
        for share in (False, True):
            daemon = self.prepared("--workers", "2")
            with socket.socket() as taken:
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if share:
                    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                taken.bind(("127.0.0.1", daemon.port))
                taken.listen()
                self.assertRegex(daemon.refused(), f"cannot start: cannot listen on {daemon.listen}: .*in use")
        first = self.crew()
        second = self.prepared("--workers", "2", listen=first.listen)
        self.assertRegex(second.refused(), f"cannot start: cannot listen on {first.listen}: .*in use")
        self.assertEqual(first.stop(), 0)


@define
class Load:
    """Clients that go on asking, each on a connection of its own that it opens again when told that it ends.

    :ivar once: a new connection for each request.
    :ivar answered: status of each answer.
    :ivar tokens: that were given.
    :ivar broken: what went wrong on a connection that had been made: the process that had accepted it, and how.
    """

    daemon: Daemon
    app: App
    once: bool = False
    answered: list[int] = field(factory=list)
    tokens: list[str] = field(factory=list)
    broken: list[tuple[int, str]] = field(factory=list)
    owned: dict[int, int] = field(factory=dict)
    _over: threading.Event = field(factory=threading.Event)
    _threads: list[threading.Thread] = field(factory=list)

    def begin(self, clients: int) -> Load:
        """Let so many ask."""
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()
        until(lambda: len(self.answered) > 10 * clients, "they are answered")
        return self

    def end(self) -> None:
        """Let them have their last answer."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._over.is_set():
            line = self.daemon.http.line()
            try:
                line.connection.connect()
            except OSError:  # it is not accepted: nothing was promised
                return
            with contextlib.closing(line):
                self._use(line)

    def _use(self, line: Line) -> None:
        process = 0
        while not self._over.is_set():
            try:
                answer = line.request("POST", "/oauth2/token", form=MACHINE, basic_auth=self.app.auth)
            except Unreachable as end:
                self.broken.append((process, str(end)))
                return
            self.answered.append(answer.status)
            if answer.status == 200:
                self.tokens.append(answer.json()["access_token"])
            if self.once or answer.header("connection") == "close":
                return
            process = process or (0 if self.daemon.http.path else owner_of(self.daemon, line))


class DeathTests(CrewCase):
    """What the death of one of them costs."""

    def test_killed_under_load(self) -> None:
        """Killed at once, a worker costs its own connections alone; those who come meanwhile wait and are served."""
        daemon = self.crew()
        app = Visitor.of(daemon.http, daemon.credentials).client()
        kept = lines_to_all(daemon, 4)
        load = Load(daemon, app).begin(4)
        new = Load(daemon, app, once=True)
        for number in (1, 2):
            before = workers(daemon)
            os.kill(before[number], signal.SIGKILL)
            new.begin(2)
            replaced(daemon, number, before[number])
            new.end()
            new = Load(daemon, app, once=True, broken=new.broken)
            for pid, lines in kept.items():
                works = [_works(line) for line in lines]
                self.assertEqual(works, [pid in workers(daemon).values()] * len(lines))
            del kept[before[number]]
            self.assertEqual(len(children(self.pid(daemon))) >= 2, True)
        load.end()
        dead = {int(pid) for pid in re.findall(r"\(process ([0-9]+)\) has ended, by signal 9", daemon.output)}
        self.assertEqual(len(dead), 2)
        self.assertEqual([one for one in load.broken if one[0] not in dead | {0}], [])
        self.assertEqual(set(load.answered), {200})
        self.assertEqual(daemon.stop(), 0)

    def test_those_who_wait(self) -> None:
        """Connections that wait at the socket of a worker that stands still are served by the one after it."""
        daemon = self.crew()
        number, pid = next(iter(workers(daemon).items()))
        self.stop(pid)
        waiting = [daemon.http.raw() for _ in range(16)]
        for connection in waiting:
            connection.sendall(b"GET /oauth2/jwks HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: sum(owner(daemon, one) == 0 for one in waiting) in range(1, 16), "some wait, some do not")
        os.kill(pid, signal.SIGKILL)
        for connection in waiting:
            with connection:
                self.assertTrue(connection.recv(12).endswith(b" 200"))
        replaced(daemon, number, pid)

    def test_again_and_again(self) -> None:
        """Who dies at once again and again is replaced after longer and longer, which the log says; others serve."""
        daemon = self.crew()
        for _ in range(4):
            pid = all_of(daemon, 2)[1]
            os.kill(pid, signal.SIGKILL)
            replaced(daemon, 1, pid)
        told = re.findall(r"worker 1 \(process [0-9]+\) has ended, by signal 9; it is replaced (.*)", daemon.output)
        self.assertEqual(told, ["at once", "in 0.25 s", "in 0.5 s", "in 1 s"])
        expect(daemon.http.get("/oauth2/jwks"))
        self.assertEqual(daemon.stop(), 0)

    def test_spare(self) -> None:
        """The process that waits to be a worker is replaced, too, and its end concerns nobody."""
        daemon = self.crew()
        (spare,) = until(lambda: set(children(self.pid(daemon))) - set(workers(daemon).values()), "one waits")
        os.kill(spare, signal.SIGKILL)
        until(lambda: set(children(self.pid(daemon))) - {*workers(daemon).values(), spare}, "another one waits")
        self.assertEqual(len(workers(daemon)), 2)
        self.assertIn("the process that waits to be a worker has ended, by signal 9", daemon.output)

    def test_valkey(self) -> None:
        """One Valkey serves them all; when it is started again, all of them find it, and none was replaced."""
        daemon = self.crew()
        app = Visitor.of(daemon.http, daemon.credentials).client()
        before, valkey = workers(daemon), daemon.valkey_pid
        self.assertEqual(parent_of(valkey), self.pid(daemon))
        os.kill(before[1], signal.SIGKILL)
        after = replaced(daemon, 1, before[1])
        self.assertEqual(daemon.valkey_pid, valkey)
        os.kill(valkey, signal.SIGKILL)
        for line, *_ in lines_to_all(daemon).values():
            until(partial(_issues, line, app), "it has the store again")
        self.assertEqual(workers(daemon), after)
        self.assertEqual(daemon.stop(), 0)

    def test_parent_killed(self) -> None:
        """When the parent is killed, neither a worker nor the Valkey stays, and the next start works at once."""
        daemon = self.crew()
        visitor = Visitor.of(daemon.http, daemon.credentials)
        app = visitor.client()
        load = Load(daemon, app).begin(4)
        left = [*until(lambda: len(now := children(self.pid(daemon))) == 3 and now, "all"), daemon.valkey_pid]
        daemon.kill()
        until(partial(_gone, left), "they end")
        load.end()
        daemon.start()
        self.assertTrue(load.tokens)
        self.assertEqual([token for token in load.tokens if not visitor.is_active(app, token)], [])
        self.assertEqual(daemon.stop(), 0)


class TermTests(CrewCase):
    """SIGTERM and SIGINT."""

    def test_under_load(self) -> None:
        """Every request whose connection was made is answered in full; what was answered is kept; the status is 0."""
        daemon = self.crew(**PATIENT)
        visitor = Visitor.of(daemon.http, daemon.credentials)
        app = visitor.client()
        idle = lines_to_all(daemon)
        for _ in range(2):
            kept, new = Load(daemon, app).begin(6), Load(daemon, app, once=True).begin(6)
            self.assertEqual(daemon.stop(), 0)
            kept.end()
            new.end()
            self.assertEqual(kept.broken + new.broken, [])
            self.assertEqual(set(kept.answered + new.answered), {200})
            daemon.start()
            lost = [token for token in (kept.tokens + new.tokens) if not visitor.is_active(app, token)]
            self.assertEqual(lost, [])
        for line, *_ in idle.values():
            self.assertEqual(line.connection.sock.recv(1), b"")
        self.assertEqual(daemon.stop(), 0)

    def test_under_load_by_unix_socket(self) -> None:
        """The same by unix socket, with several workers and with one."""
        path = self.folder / "web.sock"
        for count in ("2", "1"):
            flags = ("--workers", count, "--issuer", "http://localhost")
            daemon = self.prepared(*flags, listen=f"unix:{path}", **PATIENT)
            daemon.http = Http(path=str(path))
            daemon.start()
            visitor = Visitor.of(daemon.http, daemon.credentials)
            app = visitor.client()
            kept, new = Load(daemon, app).begin(4), Load(daemon, app, once=True).begin(4)
            self.assertEqual(daemon.stop(), 0)
            kept.end()
            new.end()
            self.assertEqual(kept.broken + new.broken, [])
            self.assertEqual(set(kept.answered + new.answered), {200})
            self.assertFalse(path.exists())

    def test_while_one_still_starts(self) -> None:
        """What the first worker has accepted is answered, though the other one has not come to serve."""
        path = self.folder / "web.sock"  # one for both: whoever serves takes all
        daemon = self.prepared("--workers", "2", "--issuer", "http://localhost", listen=f"unix:{path}", **PATIENT)
        daemon.http = Http(path=str(path))
        daemon.start()
        app = Visitor.of(daemon.http, daemon.credentials).client()
        self.assertEqual(daemon.stop(), 0)
        before = len(daemon.output)
        daemon.spawn()
        both = until(lambda: len(now := children(self.pid(daemon))) >= 2 and now, "both begin to start")
        self.stop(both[-1])
        until(lambda: " serves" in daemon.output[before:], "one of them serves")
        load = Load(daemon, app).begin(4)
        daemon.signal(signal.SIGTERM)
        time.sleep(0.5)
        os.kill(both[-1], signal.SIGCONT)
        self.assertEqual(daemon.wait(), 0)
        load.end()
        self.assertEqual(load.broken, [])
        self.assertEqual(set(load.answered), {200})

    def test_while_one_is_replaced(self) -> None:
        """Those who wait at the socket of a worker that has just died are answered even when all are told to end."""
        daemon = self.crew()
        pid = workers(daemon)[1]
        self.stop(pid)
        waiting = [daemon.http.raw() for _ in range(16)]
        for connection in waiting:
            connection.sendall(b"GET /oauth2/jwks HTTP/1.1\r\nHost: a\r\n\r\n")
        os.kill(pid, signal.SIGKILL)
        daemon.signal(signal.SIGTERM)
        for connection in waiting:
            with connection:
                self.assertTrue(connection.recv(12).endswith(b" 200"))
        self.assertEqual(daemon.wait(), 0)

    def test_nobody_stays(self) -> None:
        """The end leaves no worker, no Valkey, no address and no unix socket; a second signal changes nothing."""
        path = self.folder / "web.sock"
        daemon = self.crew("--listen", f"unix:{path}")
        left = [*children(self.pid(daemon)), daemon.valkey_pid]
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            daemon.signal(number)
            time.sleep(0.05)
        self.assertEqual(daemon.wait(), 0)
        self.assertEqual([pid for pid in left if lives(pid)], [])
        self.assertFalse((daemon.data / "server.json").exists())
        self.assertFalse(path.exists())
        with self.assertRaises(ConnectionRefusedError):
            daemon.http.raw()

    def test_whole_group(self) -> None:
        """Ctrl-C, which the terminal sends to all of them, ends them in order: what is in flight is answered."""
        slow = {"users_hash_time": "40", "users_hash_memory": "32768", "server_answer_timeout": "60"}
        daemon = self.crew(**slow, server_drain_timeout="60")
        visitor = Visitor.of(daemon.http, daemon.credentials)
        app = visitor.client()
        visitor.user()
        form = {"grant_type": "password", "username": "alice", "password": "correct horse battery"}
        line = daemon.http.line()
        line.ask("POST", "/oauth2/token", form=form, basic_auth=app.auth)
        until(lambda: owner_of(daemon, line), "it is accepted")
        os.killpg(self.pid(daemon), signal.SIGINT)
        self.assertEqual(line.answer().status, 200)
        self.assertEqual(daemon.wait(), 0)

    def test_stuck_worker(self) -> None:
        """A worker that does not end is killed when its time is over, and holds nobody up any longer."""
        daemon = self.crew(server_drain_timeout="0.2")
        pid = workers(daemon)[2]
        self.stop(pid)
        self.assertEqual(daemon.stop(), 0)
        self.assertFalse(lives(pid))
        self.assertIn(f"worker 2 (process {pid}) does not end: killed", daemon.output)

    def test_while_starting(self) -> None:
        """A signal at any moment of the start ends it in order, and leaves nobody behind."""
        for moment in _moments():
            daemon = self.prepared("--workers", "2")
            daemon.spawn()
            until(partial(moment, daemon), "that far")
            left = children(self.pid(daemon))
            status = daemon.stop()
            self.assertIn(status, (0, 128 + signal.SIGTERM, -signal.SIGTERM), daemon.output)
            until(partial(_gone, left), "they end")


def _moments() -> Iterator[Callable[[Daemon], Any]]:
    yield lambda daemon: (daemon.data / "admin-credentials.json").exists()
    yield lambda daemon: daemon.process is not None and children(daemon.process.pid)
    yield workers


def _works(line: Line) -> bool:
    try:
        return line.request("GET", "/oauth2/jwks").status == 200
    except Unreachable:
        return False


def _issues(line: Line, app: App) -> bool:
    return line.request("POST", "/oauth2/token", form=MACHINE, basic_auth=app.auth).status == 200


def _has_said(daemon: Daemon, line: str) -> bool:
    return line in daemon.output


def _kill(pid: int) -> None:
    with contextlib.suppress(OSError):
        if "oauthd.runtime.worker" in command_of(pid):
            os.kill(pid, signal.SIGKILL)


def _gone(pids: Iterable[int]) -> bool:
    return not any(lives(pid) for pid in pids)


def _active(line: Line, app: App, token: str) -> bool:
    answer = line.request("POST", "/oauth2/introspect", form={"token": token}, basic_auth=app.auth)
    return bool(expect(answer).json()["active"])


def _inactive(line: Line, app: App, token: str) -> bool:
    return not _active(line, app, token)
