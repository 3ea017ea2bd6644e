"""How it ends, in order and at once: what was begun is answered, what was answered is kept, the next start works."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from tests.live.daemon import Daemon, LiveCase, Store, until
from tests.live.visitor import PASSWORD, App, Unreachable, Visitor, expect
from tests.wire import Answer, basic, encoded

# A second or so for a password; on a busy machine many times as long, which no time-out of the server may end.
SLOW = {
    "users_hash_time": "40",
    "users_hash_memory": "32768",
    "server_answer_timeout": "60",
    "server_drain_timeout": "60",
}
MACHINE = {"grant_type": "client_credentials"}
PERSON = {"grant_type": "password", "username": "alice", "password": PASSWORD}


class EndCase(LiveCase):
    """A daemon with a client and a user."""

    def peopled(self, *flags: str, **environ: str) -> tuple[Daemon, Visitor, App]:
        """It serves."""
        daemon = self.daemon(*flags, **environ)
        visitor = Visitor.of(daemon.http, daemon.credentials)
        app = visitor.client()
        visitor.user()
        return daemon, visitor, app

    def assert_all_active(self, visitor: Visitor, app: App, tokens: list[str]) -> None:
        """Nothing that was answered is lost."""
        self.assertTrue(tokens)
        lost = [number for number, token in enumerate(tokens) if not visitor.is_active(app, token)]
        self.assertEqual(lost, [])

    @contextlib.contextmanager
    def in_flight(self, daemon: Daemon, app: App) -> Iterator[Future[Answer]]:
        """A sign-in that the daemon has read and cannot have answered yet."""
        with ThreadPoolExecutor(1) as pool, contextlib.closing(daemon.http.line()) as line:
            line.ask("POST", "/oauth2/token", form=PERSON, basic_auth=app.auth)
            until(lambda: _is_read(daemon), "the sign-in is read")
            asked = pool.submit(line.answer)
            yield asked


def _is_read(daemon: Daemon) -> bool:
    """Has the daemon taken all that was sent to it?"""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    mine = [row for row in rows if row[1].endswith(f":{daemon.port:04X}") and row[3] == "01"]
    return bool(mine) and all(row[4].endswith(":00000000") for row in mine)


class TermTests(EndCase):
    """SIGTERM and SIGINT: the orderly end."""

    def test_nothing_is_cut(self) -> None:
        """A request in flight and a half-sent one are answered, an idle connection is closed, the status is 0."""
        daemon, visitor, app = self.peopled(**SLOW, server_drain_grace="0.1")  # which a password outlasts
        idle = daemon.http.raw()
        idle.sendall(b"GET /oauth2/jwks HTTP/1.1\r\nHost: a\r\n\r\n")
        _read_answer(idle)
        body = encoded(MACHINE).encode()
        half = daemon.http.raw()
        half.sendall(_head(app, len(body)) + body[:5])
        with self.in_flight(daemon, app) as asked:
            daemon.signal(signal.SIGTERM)
            self.assertEqual(idle.recv(1), b"")  # closed without a word, while the others are still served
            self.assertFalse(asked.done())
            self.assert_refuses(daemon)
            half.sendall(body[5:])
            machine = _read_answer(half)
            self.assertEqual(half.recv(1), b"")
            person = expect(asked.result())
        self.assertEqual(machine.header("connection"), "close")
        self.assertEqual(person.header("connection"), "close")
        self.assertEqual(daemon.wait(), 0)
        daemon.start()
        tokens = [expect(machine).json()["access_token"], person.json()["access_token"]]
        self.assert_all_active(visitor, app, tokens)
        self.assertEqual(daemon.stop(), 0)

    def assert_refuses(self, daemon: Daemon) -> None:
        """It takes no new connections."""
        with self.assertRaises(ConnectionRefusedError):
            daemon.http.raw()

    def test_store_stands_still(self) -> None:
        """A request that waits for the store is answered when the store goes on."""
        store = self.store()
        slack = {"store_reply_timeout": "9", "cache_max_staleness": "9.5", "server_drain_grace": "0.1"}
        daemon, visitor, app = self.peopled("--redis", store.url, **slack)
        store.signal(signal.SIGSTOP)
        with ThreadPoolExecutor(1) as pool, contextlib.closing(daemon.http.line()) as line:
            line.ask("POST", "/oauth2/token", form=MACHINE, basic_auth=app.auth)
            until(lambda: _is_read(daemon), "the request is read")
            asked = pool.submit(line.answer)
            daemon.signal(signal.SIGTERM)
            time.sleep(0.5)  # longer than idle connections are given
            self.assertFalse(asked.done())
            store.signal(signal.SIGCONT)
            token = expect(asked.result()).json()["access_token"]
        self.assertEqual(daemon.wait(), 0)
        daemon.start()
        self.assert_all_active(visitor, app, [token])

    def test_twice(self) -> None:
        """A second signal changes nothing: what is in flight is answered, and the status is 0."""
        daemon, _, app = self.peopled(**SLOW)
        with self.in_flight(daemon, app) as asked:
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
                daemon.signal(number)
                time.sleep(0.05)
            expect(asked.result())
        self.assertEqual(daemon.wait(), 0)

    def test_readiness_first(self) -> None:
        """For the time of server.drain_delay it says that it is not ready, and accepts and serves all the same."""
        for count in ("1", "2"):
            daemon, visitor, app = self.peopled("--workers", count, server_drain_delay="4")
            expect(daemon.http.get("/health/ready"))
            with contextlib.closing(daemon.http.line()) as kept:
                daemon.signal(signal.SIGTERM)
                until(lambda d=daemon: d.http.get("/health/ready").status == 503, "it says so")  # type: ignore[misc]
                token = visitor.tokens(app, **MACHINE)["access_token"]
                answer = kept.request("POST", "/oauth2/introspect", form={"token": token}, basic_auth=app.auth)
            self.assertTrue(expect(answer).json()["active"])
            self.assertEqual(answer.header("connection"), "")
            expect(daemon.http.get("/health/live"))
            self.assertEqual(daemon.wait(), 0)
            self.assert_refuses(daemon)

    def test_drain_ends(self) -> None:
        """Whoever never finishes a request is told so when the time is over, and holds nobody up."""
        daemon, _, app = self.peopled(server_drain_timeout="0.5")
        half = daemon.http.raw()
        half.sendall(_head(app, 99))
        until(lambda: _is_read(daemon), "the head is read")
        daemon.signal(signal.SIGTERM)
        told = _read_answer(half)
        self.assertEqual((told.status, told.error), (503, "temporarily_unavailable"))
        half.close()
        self.assertEqual(daemon.wait(), 0)

    def test_many_clients(self) -> None:
        """Among clients that go on asking, none gets half an answer, and every token that was given is there."""
        daemon, visitor, app = self.peopled()
        tokens: list[str] = []
        odd: list[str] = []

        def ask() -> None:
            while True:
                try:
                    answer = daemon.http.post("/oauth2/token", MACHINE, basic_auth=app.auth)
                except Unreachable as end:
                    if "ConnectionRefusedError" not in str(end):
                        odd.append(str(end))
                    return
                tokens.append(expect(answer).json()["access_token"])

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: len(tokens) > 100, "they ask")
        self.assertEqual(daemon.stop(), 0)
        for thread in threads:
            thread.join()
        self.assertEqual(odd, [])
        daemon.start()
        self.assert_all_active(visitor, app, tokens)

    def test_interrupt(self) -> None:
        """Ctrl-C, which the terminal sends to the whole group, ends it in order, and its Valkey after it."""
        daemon, visitor, app = self.peopled(**SLOW)
        with self.in_flight(daemon, app) as asked:
            assert daemon.process is not None
            os.killpg(daemon.process.pid, signal.SIGINT)
            token = expect(asked.result()).json()["access_token"]
        self.assertEqual(daemon.wait(), 0)
        daemon.start()
        self.assert_all_active(visitor, app, [token])

    def test_valkey_ends_in_order(self) -> None:
        """The embedded Valkey is gone when the daemon is, by its own decision, and has left no socket."""
        daemon = self.daemon()
        pid = daemon.valkey_pid
        self.assertTrue(_lives(pid))
        self.assertEqual(daemon.stop(), 0)
        self.assertFalse(_lives(pid))
        self.assertIn("ready to exit", (daemon.data / "valkey" / "valkey.log").read_text())
        self.assertFalse((daemon.data / "valkey" / "valkey.sock").exists())

    def test_while_starting(self) -> None:
        """A signal at any moment of the first start ends it in order, and the next start works."""
        for moment in ("oauthd.lock", "valkey", "valkey/valkey.sock", "master.key", "admin-credentials.json"):
            daemon = self.prepared()
            daemon.spawn()
            until((daemon.data / moment).exists, moment)
            status = daemon.stop()
            self.assertIn(status, (0, 128 + signal.SIGTERM, -signal.SIGTERM), daemon.output)
            daemon.start()
            Visitor.of(daemon.http, daemon.credentials)
            self.assertEqual(daemon.stop(), 0)

    def test_while_waiting_for_the_store(self) -> None:
        """A server that waits for its store at the start can be ended."""
        store = self.store()
        store.signal(signal.SIGSTOP)
        daemon = self.prepared("--redis", store.url)
        daemon.spawn()
        until(lambda: "no reply within" in daemon.output, "it waits")
        self.assertEqual(daemon.stop(), 0)
        self.assertNotIn("cannot start", daemon.output)

    def test_without_its_store(self) -> None:
        """A server whose store is gone, or stands still, ends in order all the same."""
        for away in (Store.kill, lambda store: store.signal(signal.SIGSTOP)):
            store = self.store()
            daemon = self.daemon("--redis", store.url)
            away(store)
            expect(daemon.http.get("/login"), 503)
            self.assertEqual(daemon.stop(), 0)


class KillTests(EndCase):
    """SIGKILL: whatever was answered is there, and nothing stands in the way of the next start."""

    def killed_while_issuing(self, daemon: Daemon, app: App, also: int = 0) -> list[str]:
        """The tokens that were answered before the kill."""
        tokens: list[str] = []

        def ask() -> None:
            line = daemon.http.line()
            with contextlib.suppress(Unreachable):
                while True:
                    answer = line.request("POST", "/oauth2/token", form=MACHINE, basic_auth=app.auth)
                    if answer.status == 200:  # when the store is gone first: 503
                        tokens.append(answer.json()["access_token"])
            line.close()

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(tokens) > 50, "they ask")
        if also:
            os.kill(also, signal.SIGKILL)
        daemon.kill()
        for thread in threads:
            thread.join()
        return tokens

    def test_daemon(self) -> None:
        """The daemon alone: its Valkey does not block the next start, and has lost nothing."""
        daemon, visitor, app = self.peopled()
        tokens = self.killed_while_issuing(daemon, app)
        daemon.start()
        self.assert_all_active(visitor, app, tokens)
        self.assertEqual(daemon.stop(), 0)

    def test_both(self) -> None:
        """Daemon and Valkey at once: the append-only file has everything that was answered."""
        daemon, visitor, app = self.peopled()
        tokens = self.killed_while_issuing(daemon, app, also=daemon.valkey_pid)
        daemon.start()
        self.assert_all_active(visitor, app, tokens)

    def test_valkey_alone(self) -> None:
        """A Valkey that dies is started again, without a restart of the daemon and without a loss."""
        daemon, visitor, app = self.peopled()
        tokens = [visitor.tokens(app, **MACHINE)["access_token"] for _ in range(20)]
        os.kill(daemon.valkey_pid, signal.SIGKILL)
        until(lambda: daemon.http.post("/oauth2/token", MACHINE, basic_auth=app.auth).status == 200, "it is back")
        self.assert_all_active(visitor, app, tokens)
        self.assertEqual(daemon.stop(), 0)

    def test_while_founding(self) -> None:
        """A first start that is killed anywhere is done again at once, and the credentials on the disk are right."""
        for moment in ("master.key", "admin-credentials.json"):
            daemon = self.prepared()
            daemon.spawn()
            until((daemon.data / moment).exists, moment)
            daemon.kill()
            begun = time.monotonic()
            daemon.start()
            self.assertNotIn("another node is founding", daemon.output)
            self.assertLess(time.monotonic() - begun, 25)  # nobody's turn was waited for
            who = daemon.credentials
            Visitor.of(daemon.http, who).api("GET", "/users")
            form = {"grant_type": "password", "username": who["username"], "password": who["password"]}
            expect(daemon.http.post("/oauth2/token", form, basic_auth=(who["client_id"], who["client_secret"])))

    def test_again_and_again(self) -> None:
        """Five kills in a row leave five times nothing behind: one Valkey, one lock, one set of keys."""
        daemon = self.daemon()
        keys = daemon.http.get("/oauth2/jwks").json()
        for _ in range(5):
            daemon.kill()
            daemon.start()
            self.assertEqual(daemon.http.get("/oauth2/jwks").json(), keys)
        self.assertEqual(len(_processes_in(str(daemon.data))), 1)
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(_processes_in(str(daemon.data)), [])
        told = json.loads((daemon.data / "valkey" / "valkey.lock").read_text())
        self.assertFalse(_lives(told["pid"]))


def _head(app: App, length: int) -> bytes:
    fields = f"Host: a\r\nAuthorization: {basic(*app.auth)}\r\nContent-Length: {length}\r\n"
    kind = "Content-Type: application/x-www-form-urlencoded\r\n"
    return f"POST /oauth2/token HTTP/1.1\r\n{fields}{kind}\r\n".encode()


def _read_answer(connection: socket.socket) -> Answer:
    data = b""
    while b"\r\n\r\n" not in data:
        data += (more := connection.recv(65536))
        if not more:
            raise AssertionError(f"the connection ended after {data!r}")
    head, _, body = data.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: (\d+)", head)
    assert found is not None
    while len(body) < int(found[1]):
        body += connection.recv(65536)
    line, *lines = head.decode("latin-1").split("\r\n")
    fields = tuple((name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines))
    return Answer(int(line.split()[1]), fields, body)


def _lives(pid: int) -> bool:
    """Is there such a process, and not just its remains?"""
    try:
        with open(f"/proc/{pid}/stat") as facts:
            return facts.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _processes_in(folder: str) -> list[str]:
    """The Valkey servers that run over a folder."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline") as words:
            line = words.read()
            if "valkey-server" in line and folder in line:
                found.append(entry)
    return found
