"""Starting, what is said then, what stands in the way, and that a restart finds everything again."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import stat
import sys
import threading
from pathlib import Path
from unittest import skipUnless

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.certificates import self_signed
from tests.live.daemon import MASTER_KEY, Daemon, LiveCase, Store, until
from tests.live.visitor import Http, Visitor, expect
from tests.ports import free_port

OTHER_KEY = "YW5vdGhlciBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE"
PRESETS = {
    "administrator_username": "root",
    "administrator_password": "a password of the operator",
    "administrator_client_id": "scripts",
    "administrator_client_secret": "a-secret-that-the-operator-made-at-random",
}


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


class FirstStartTests(LiveCase):
    """What somebody sees who starts it for the first time."""

    def test_console(self) -> None:
        """It says what it serves and where it listens, and where data and credentials lie, but not what they are."""
        daemon = self.daemon()
        credentials = daemon.data / "admin-credentials.json"
        until(lambda: f"credentials are in {credentials}" in daemon.output, "the last line is written")
        for said in (daemon.issuer, f"listening on {daemon.listen}", f"data lies in {daemon.data}\n", str(credentials)):
            self.assertIn(said, daemon.output)
        self.assertEqual(mode(credentials), 0o600)
        self.assertEqual(mode(daemon.data), 0o700)
        self.assertEqual(mode(daemon.data / "master.key"), 0o600)
        self.assertEqual(sorted(daemon.credentials), ["client_id", "client_secret", "password", "username"])
        self.assertNotIn(daemon.credentials["password"], daemon.output)
        self.assertNotIn(daemon.credentials["client_secret"], daemon.output)

    def test_credentials_work(self) -> None:
        """Both the user and the client of the credentials are administrators."""
        daemon = self.daemon()
        who = daemon.credentials
        visitor = Visitor.of(daemon.http, who)
        self.assertEqual([user["username"] for user in visitor.api("GET", "/users")["users"]], [who["username"]])
        grant = {"grant_type": "password", "username": who["username"], "password": who["password"]}
        visitor.token = visitor.tokens(visitor.admin, scope="admin", **grant)["access_token"]
        self.assertEqual([one["client_id"] for one in visitor.api("GET", "/oauth/clients")["clients"]], ["admin"])

    @skipUnless(sys.platform == "linux", "threads have a niceness of their own only on Linux")
    def test_hashing_gives_way(self) -> None:
        """The thread that has hashed the first password is nicer than all the others."""
        daemon = self.daemon()
        assert daemon.process is not None
        threads = [int(task.name) for task in Path(f"/proc/{daemon.process.pid}/task").iterdir()]
        usual = os.getpriority(os.PRIO_PROCESS, daemon.process.pid)
        nicer = [one for one in (os.getpriority(os.PRIO_PROCESS, thread) for thread in threads) if one != usual]
        self.assertEqual(nicer, [min(usual + 10, 19)])

    def test_presets(self) -> None:
        """With credentials in the settings these are the administrator's, no file is written, and nothing is said."""
        daemon = self.daemon(**PRESETS)
        self.assertFalse((daemon.data / "admin-credentials.json").exists())
        until(lambda: "data lies in" in daemon.output, "it has said what it has to say")
        self.assertNotIn("credentials", daemon.output)
        names = [name.removeprefix("administrator_") for name in PRESETS]
        Visitor.of(daemon.http, dict(zip(names, PRESETS.values(), strict=True))).api("GET", "/users")
        for name in ("password", "client_secret"):
            self.assertNotIn(PRESETS[f"administrator_{name}"], daemon.output)

    def test_address_file(self) -> None:
        """While it runs, the data folder tells the command line where it is; afterwards it does not."""
        daemon = self.daemon()
        told = json.loads((daemon.data / "server.json").read_text())
        assert daemon.process is not None
        self.assertEqual(told, {"issuer": daemon.issuer, "listen": [daemon.listen], "pid": daemon.process.pid})
        daemon.stop()
        self.assertFalse((daemon.data / "server.json").exists())

    def test_settings_of_all_sources(self) -> None:
        """A file, the environment and flags are read, the later before the earlier."""
        file = self.folder / "oauthd.toml"
        file.write_text('[tokens]\naccess_lifetime = 60\naccess_format = "opaque"\n[log]\nlevel = "error"\n')
        daemon = self.prepared("--config", str(file), "--log-level", "info", tokens_access_lifetime="90").start()
        app = Visitor.of(daemon.http, daemon.credentials).admin
        answer = expect(daemon.http.post("/oauth2/token", {"grant_type": "client_credentials"}, basic_auth=app.auth))
        self.assertEqual(answer.json()["expires_in"], 90)
        self.assertNotIn(".", answer.json()["access_token"])
        until(lambda: "oauthd serves" in daemon.output, "it says so")

    def test_state_directory(self) -> None:
        """Without --data the service manager's STATE_DIRECTORY is used, and without that the user's data folder."""
        state = self.folder / "state"
        cases: list[tuple[dict[str, str], Path]] = [
            ({"STATE_DIRECTORY": str(state)}, state),
            ({}, Path(".local/share/oauthd")),
        ]
        for number, (environ, place) in enumerate(cases):
            daemon = WithoutData(self.folder / f"plain{number}")
            daemon.environ |= environ
            self.daemons.append(daemon)
            daemon.data = daemon.folder / place
            daemon.start()
            self.assertTrue((daemon.data / "master.key").exists())
            daemon.stop()


class WithoutData(Daemon):
    """A daemon that is not told where its data lies."""

    @property
    def command(self) -> list[str]:
        """Without --data."""
        command = super().command
        at = command.index("--data")
        return command[:at] + command[at + 2 :]


class RestartTests(LiveCase):
    """The next start finds everything again."""

    def test_a_thousand_tokens(self) -> None:
        """A thousand tokens issued before a restart are active after it, and keys and people are the same."""
        daemon = self.daemon()
        visitor = Visitor.of(daemon.http, daemon.credentials)
        app = visitor.client()
        visitor.user()
        keys = daemon.http.get("/oauth2/jwks").json()
        line = daemon.http.line()
        form = {"grant_type": "client_credentials"}
        issued = [
            expect(line.request("POST", "/oauth2/token", form=form, basic_auth=app.auth)).json()["access_token"]
            for _ in range(1000)
        ]
        line.close()
        self.assertEqual(daemon.stop(), 0)
        daemon.start()
        self.assertEqual(daemon.http.get("/oauth2/jwks").json(), keys)
        line = daemon.http.line()
        for token in issued:
            answer = line.request("POST", "/oauth2/introspect", form={"token": token}, basic_auth=app.auth)
            self.assertTrue(expect(answer).json()["active"])
        line.close()
        visitor.tokens(app, grant_type="password", username="alice", password="correct horse battery")
        self.assertEqual(daemon.output.count("[oauthd#info] founded"), 1)


class HindranceTests(LiveCase):
    """What stands in the way is said in words, with status 1 and without a trace."""

    def test_second_server(self) -> None:
        """A second server on the same data folder is refused, and the first one goes on as if nothing had been."""
        daemon = self.daemon()
        second = self.prepared()
        second.data = daemon.data
        said = second.refused()
        assert daemon.process is not None
        self.assertIn(f"{daemon.data} is in use by another oauthd (process {daemon.process.pid})", said)
        self.assertTrue((daemon.data / "server.json").exists())
        Visitor.of(daemon.http, daemon.credentials)
        self.assertEqual(daemon.stop(), 0)

    def test_port_in_use(self) -> None:
        """A port that somebody else has is named, and nothing is left behind."""
        daemon = self.prepared()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", daemon.port))
            taken.listen()
            self.assertRegex(daemon.refused(), f"cannot start: cannot listen on {daemon.listen}: .*in use")
        self.assertEqual(sorted(path.name for path in daemon.folder.iterdir()), ["data", "output.log"])
        daemon.start()

    def test_settings(self) -> None:
        """Each problem of the settings has a line of its own that names its source."""
        file = self.folder / "oauthd.toml"
        file.write_text('[server]\nlisten = ["tpc:80"]\n[tokens]\naccess_lifetim = 5\n')
        daemon = self.prepared("--config", str(file), "--workers", "0", store_reply_timeout="soon")
        said = daemon.refused().splitlines()
        self.assertEqual(len(said), 4, said)
        self.assertIn(f"oauthd: {file}: server.listen: ", said[0])
        self.assertIn("did you mean access_lifetime?", said[1])
        self.assertIn("oauthd: OAUTHD_STORE_REPLY_TIMEOUT: ", said[2])
        self.assertIn("oauthd: --workers: ", said[3])

    def test_flags(self) -> None:
        """An unknown flag and a missing value end with status 1, too."""
        self.assertEqual(
            self.prepared("--isuer", "x").refused().strip(),
            "oauthd: option --isuer not recognized (twistd oauthd --help lists all flags)",
        )
        self.assertIn("option --issuer requires argument", self.prepared("--issuer").refused())

    def test_issuer(self) -> None:
        """Away from loopback an issuer is required, and it is https unless that was waived."""
        anywhere = f"tcp:{free_port()}"
        self.assertIn("issuer is required", self.prepared(listen=anywhere).refused())
        told = ("--issuer", "http://login.example.org")
        self.assertIn("must be https", self.prepared(*told, listen=anywhere).refused())
        daemon = self.prepared(*told, "--insecure-issuer").start()
        self.assertEqual(daemon.http.get("/.well-known/openid-configuration").json()["issuer"], told[1])

    def test_endpoints(self) -> None:
        """A socket that no service manager passed, a missing key file and a missing folder are named."""
        for listen, reason in (
            ("systemd:domain=INET:index=0", "the service manager has passed no such socket"),
            ("systemd:domain=INET:name=web", "the service manager has passed no such socket"),
            ("ssl:8443:interface=127.0.0.1:privateKey=/nowhere/key.pem", "/nowhere/key.pem"),
            ("unix:/nowhere/at/all.sock", "No such file or directory"),
        ):
            said = self.prepared("--issuer", "http://localhost", listen=listen).refused()
            self.assertIn(f"cannot start: cannot listen on {listen}: ", said)
            self.assertIn(reason, said)

    def test_store_away(self) -> None:
        """A store that is not there is named without its password."""
        port = free_port()
        said = self.prepared("--redis", f"redis://:hidden-word@127.0.0.1:{port}/3").refused()
        self.assertIn(f"cannot start: the store at redis://127.0.0.1:{port}/3 does not answer", said)
        self.assertNotIn("hidden-word", said)

    def test_store_password(self) -> None:
        """A wrong password for the store is said to be one."""
        store = self.store(password="right")
        said = self.prepared("--redis", f"unix://:wrong@{store.path}").refused()
        self.assertIn("WRONGPASS", said)
        self.assertNotIn(":wrong@", said)

    def test_dangerous_store(self) -> None:
        """A store that may forget is refused with each reason; what the operator accepts is said at each start."""
        store = self.store("--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
        said = self.prepared("--redis", store.url).refused()
        self.assertIn("appendonly no", said)
        self.assertIn("allkeys-lru", said)
        said = self.prepared("--redis", store.url, store_accept="persistence").refused()
        self.assertIn("cannot be used: the store has maxmemory-policy allkeys-lru", said)
        daemon = self.daemon("--redis", store.url, store_accept="persistence,eviction")
        self.assertEqual(daemon.output.count("(accepted by store.accept)"), 2)

    def test_authorities(self) -> None:
        """A file of authorities that is not there is named."""
        said = self.prepared("--redis", "rediss://127.0.0.1:6390?ca_file=/nowhere/ca.pem").refused()
        self.assertIn("/nowhere/ca.pem", said)

    def test_master_key(self) -> None:
        """A store sealed with another master key is left alone, with the reason; with the right one it opens."""
        store = self.store()
        first = self.daemon("--redis", store.url, keys_master_keys=MASTER_KEY)
        self.assertEqual(first.stop(), 0)
        said = self.prepared("--redis", store.url, keys_master_keys=OTHER_KEY).refused()
        self.assertRegex(said, "cannot start: .*master key")
        self.assertNotIn(OTHER_KEY, said)
        both = self.prepared("--redis", store.url, keys_master_keys=f"{OTHER_KEY},{MASTER_KEY}").start()
        self.assertEqual(both.stop(), 0)

    def test_damaged_master_key(self) -> None:
        """A key file that holds no key is named, and not replaced."""
        daemon = self.daemon()
        daemon.stop()
        (daemon.data / "master.key").write_text("nonsense\n")
        self.assertIn(f"{daemon.data / 'master.key'} does not hold a master key", daemon.refused())
        self.assertEqual((daemon.data / "master.key").read_text(), "nonsense\n")


class ListenerTests(LiveCase):
    """Where it can listen."""

    def test_several(self) -> None:
        """TCP, TLS and a unix socket at once; the issuer is that of the first on loopback."""
        key = self.folder / "server.pem"
        own = self_signed()
        private = own.privateKey.original.to_cryptography_key()
        secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key.write_bytes(secret + own.dumpPEM())
        port = free_port()
        path = self.folder / "web.sock"
        daemon = self.prepared(
            "--listen", f"unix:{path}", "--listen", f"tcp:{free_port()}:interface=127.0.0.1",
            listen=f"ssl:{port}:interface=127.0.0.1:privateKey={key}",
        )  # fmt: skip
        context = ssl.create_default_context(cadata=own.dumpPEM().decode())
        secure = daemon.http = Http("localhost", port, tls=context)
        daemon.start()
        self.assertEqual(secure.get("/.well-known/openid-configuration").json()["issuer"], f"https://localhost:{port}")
        self.assertEqual(Http(path=str(path)).get("/oauth2/jwks").body, secure.get("/oauth2/jwks").body)
        self.assertTrue(Visitor.of(secure, daemon.credentials).token)
        self.assertEqual(daemon.stop(), 0)
        self.assertFalse(path.exists())

    def test_unix_after_a_kill(self) -> None:
        """A socket file that a killed server left does not stand in the way."""
        path = self.folder / "web.sock"
        daemon = self.prepared("--issuer", "http://localhost", listen=f"unix:{path}")
        daemon.http = Http(path=str(path))
        daemon.start()
        daemon.kill()
        self.assertTrue(path.exists())
        daemon.start()
        self.assertEqual(daemon.stop(), 0)

    def test_socket_activation(self) -> None:
        """A socket that the service manager opened, and passed with its name, is served."""
        daemon = self.prepared("--issuer", "http://localhost", listen="systemd:domain=INET:name=web")
        # The service manager's part (sd_listen_fds(3)): descriptor 3 listens, and three variables say so.
        launcher = (
            "import os, socket, sys; s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(); "
            "os.dup2(s.fileno(), 9); os.dup2(9, 3); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='web'); "
            "os.execv(sys.argv[2], sys.argv[2:])"
        )
        daemon.spawn((sys.executable, "-c", launcher, str(daemon.port)))
        daemon.wait_until_ready()
        self.assertEqual(daemon.stop(), 0)


class StoreTests(LiveCase):
    """A store of one's own."""

    def served(self, url: str) -> Daemon:
        """A daemon on that store has done its work there."""
        daemon = self.daemon("--redis", url)
        Visitor.of(daemon.http, daemon.credentials).client()
        self.assertFalse((daemon.data / "valkey").exists())
        self.assertEqual(daemon.stop(), 0)
        return daemon

    def test_tcp(self) -> None:
        """By TCP with a password, in a database of one's choice."""
        store = self.store(password="s3cret/word")
        self.served(f"redis://:s3cret%2Fword@127.0.0.1:{store.port}/5")
        self.assertIn(b"db5:keys=", _bytes(store.say("INFO", "keyspace")))
        self.assertNotIn(b"db0:", _bytes(store.say("INFO", "keyspace")))

    def test_user(self) -> None:
        """As a named user, and by unix socket."""
        store = self.store()
        store.say("ACL", "SETUSER", "oauthd", "on", ">its-own-word", "~*", "&*", "+@all", "-@dangerous", "+role")
        self.served(f"unix://oauthd:its-own-word@{store.path}")

    def test_tls(self) -> None:
        """By TLS, with an authority of one's own; without it the store is not trusted."""
        store = self.store()
        port, authority = self.terminator(store)
        self.served(f"rediss://localhost:{port}?ca_file={authority}")
        self.assertIn("does not answer", self.prepared("--redis", f"rediss://localhost:{port}").refused())

    def terminator(self, store: Store) -> tuple[int, Path]:
        """A port that speaks TLS and passes everything on to the store, and the authority it is known by.

        The Valkey that comes with the tests has no TLS of its own.
        """
        own = self_signed()
        file = self.folder / "store.pem"
        private = own.privateKey.original.to_cryptography_key()
        secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(secret + own.dumpPEM())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        threading.Thread(target=_terminate, args=(listening, context, store.path), daemon=True).start()
        number: int = listening.getsockname()[1]
        return number, file


def _terminate(listening: socket.socket, context: ssl.SSLContext, path: str) -> None:
    while True:
        try:
            near, _ = listening.accept()
        except OSError:  # the test is over
            return
        threading.Thread(target=_serve, args=(near, context, path), daemon=True).start()


def _serve(plain: socket.socket, context: ssl.SSLContext, path: str) -> None:
    try:
        near = context.wrap_socket(plain, server_side=True)
    except OSError:  # it does not trust us
        plain.close()
        return
    far = socket.socket(socket.AF_UNIX)
    far.connect(path)
    # One thread a direction; OpenSSL lets one read while another writes.
    threading.Thread(target=_pour, args=(far, near), daemon=True).start()
    _pour(near, far)


def _pour(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _bytes(reply: object) -> bytes:
    assert isinstance(reply, bytes)
    return reply
