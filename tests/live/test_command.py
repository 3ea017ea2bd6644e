"""The `oauthd` command as an installed process against a running daemon: every subcommand, as table and as JSON."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from attrs import frozen
from jwcrypto.jwk import JWK

from tests.live.daemon import Daemon, LiveCase, environment, installed
from tests.live.visitor import DEVICE_GRANT, App, Browser, Visitor, expect
from tests.live.visitor import PASSWORD as VISITORS

PASSWORD = "a long enough passphrase"
HOSTILE = "Nice\u200fapp"
"""A name that the server takes, and that would turn round what stands beside it."""


@frozen
class Ran:
    """How a command ended."""

    status: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        """What it printed for programs."""
        return json.loads(self.output)

    @property
    def rows(self) -> list[list[str]]:
        """What it printed as a table, without the head; cells are divided by two blanks."""
        return [re.split(" {2,}", line) for line in self.output.splitlines()[1:]]

    @property
    def members(self) -> dict[str, str]:
        """What it printed of one thing."""
        return {line.split()[0]: line[len(line.split()[0]) :].strip() for line in self.output.splitlines()}


class CommandCase(LiveCase):
    """Tests that run the command."""

    def serve(self, **settings: str) -> Daemon:
        """A daemon whose data folder the command will find in the environment."""
        daemon = self.daemon(**settings)
        self.http = daemon.http
        self.finding = {"OAUTHD_SERVER_DATA": str(daemon.data)}
        return daemon

    def process(self, *arguments: str, typed: str = "", **environ: str) -> Ran:
        """Run the command with just these variables of the environment."""
        done = subprocess.run(
            [str(installed() / "bin" / "oauthd"), *arguments],
            cwd=self.folder,
            env={**environment(), "HOME": str(self.folder), "PYTHONUTF8": "1", **environ},
            input=typed,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        self.assertNotIn("Traceback", done.stderr)
        return Ran(done.returncode, done.stdout, done.stderr)

    def oauthd(self, *arguments: str, typed: str = "") -> Ran:
        """Run it against the daemon; it must succeed."""
        ran = self.process(*arguments, typed=typed, **self.finding)
        self.assertEqual((ran.status, ran.errors), (0, ""), arguments)
        return ran

    def json(self, *arguments: str, typed: str = "") -> Any:
        """The same, for programs."""
        return self.oauthd("--json", *arguments, typed=typed).json

    def refused(self, *arguments: str, typed: str = "") -> str:
        """Run it; it must end with status 1 and one line, which is returned."""
        ran = self.process(*arguments, typed=typed, **self.finding)
        self.assertEqual((ran.status, ran.output), (1, ""), arguments)
        (line,) = ran.errors.splitlines()
        self.assertTrue(line.startswith("Error: ") and line.isprintable(), line)
        return line


class ClientTests(CommandCase):
    """`oauthd client`."""

    def test_life_of_a_client(self) -> None:
        """A client is created, listed, shown, given a new secret and deleted; each as table and as JSON."""
        self.serve()
        made = self.oauthd("client", "create", "--name", "Reports", "--grant", "client_credentials").members
        app = App(made["client_id"], made["client_secret"])
        self.assertEqual((made["name"], made["grant_types"]), ("Reports", "client_credentials"))
        self.assertIn([app.client_id, "Reports"], [row[:2] for row in self.oauthd("client", "list").rows])
        (listed,) = [one for one in self.json("client", "list") if one["client_id"] == app.client_id]
        self.assertEqual(self.json("client", "show", app.client_id), listed)
        self.assertEqual(self.oauthd("client", "show", app.client_id).members["name"], "Reports")
        self.assertNotIn(app.secret, self.oauthd("client", "show", app.client_id).output)

        rotated = self.json("client", "rotate", app.client_id)
        for secret in (app.secret, rotated["client_secret"]):  # the former one works for a while
            answer = self.http.post(
                "/oauth2/token", {"grant_type": "client_credentials"}, basic_auth=(app.client_id, secret)
            )
            token = expect(answer).json()["access_token"]
        self.assertEqual(len(rotated["secrets"]), 2)

        self.assertIn(app.client_id, self.oauthd("client", "delete", app.client_id, "--yes").output)
        self.assertEqual(self.json("token", "introspect", token), {"active": False})
        self.assertIn("404", self.refused("client", "show", app.client_id))
        self.assertIn("404", self.refused("client", "delete", app.client_id, "--yes"))

    def test_every_option(self) -> None:
        """What `client create` is told reaches the server."""
        self.serve()
        made = self.json(
            "client", "create", "--name", "Everything", "--client-id", "chosen", "--first-party",
            "--redirect-uri", "https://a.example/cb", "--redirect-uri", "https://b.example/cb",
            "--post-logout-redirect-uri", "https://a.example/", "--grant", "device_code", "--grant", "refresh_token",
            "--scope", "openid", "--scope", "email", "--default-scope", "openid",
            "--resource", "https://api.example", "--access-format", "opaque", "--pkce-required",
            "--id-token-algorithm", "ES256",
        )  # fmt: skip
        told = {
            "name": "Everything",
            "client_id": "chosen",
            "client_type": "confidential",
            "first_party": True,
            "redirect_uris": ["https://a.example/cb", "https://b.example/cb"],
            "post_logout_redirect_uris": ["https://a.example/"],
            "grant_types": [DEVICE_GRANT, "refresh_token"],
            "scopes": ["openid", "email"],
            "default_scopes": ["openid"],
            "resources": ["https://api.example"],
            "access_format": "opaque",
            "pkce_required": True,
            "id_token_algorithm": "ES256",
        }
        self.assertEqual({name: made[name] for name in told}, told)
        public = self.json("client", "create", "--name", "Public", "--public", "--grant", "device_code")
        self.assertEqual(public["client_type"], "public")
        self.assertNotIn("client_secret", public)

    def test_members_of_registration(self) -> None:
        """Members that clients register themselves are said by their own names, changed, and cleared."""
        self.serve()
        keys = self.folder / "keys.json"
        keys.write_text(json.dumps({"keys": [JWK.generate(kty="EC", crv="P-256").export_public(as_dict=True)]}))
        method = ("--token-endpoint-auth-method", "private_key_jwt", "--jwks", str(keys))
        more = ("--dpop-bound-access-tokens", "--contacts", "a", "--contacts", "b", "--default-max-age", "60")
        made = self.json("client", "create", "--name", "Keys", *method, *more)
        self.assertEqual((made["token_endpoint_auth_method"], made["contacts"]), ("private_key_jwt", ["a", "b"]))
        self.assertNotIn("client_secret", made)
        clear = ("--clear", "contacts", "--clear", "default-max-age")
        change = ("--name", "Other", "--no-dpop-bound-access-tokens", *clear)
        told = self.json("client", "update", made["client_id"], *change)
        changed = {"name": "Other", "dpop_bound_access_tokens": False, "contacts": [], "default_max_age": None}
        self.assertEqual(told, made | changed | {"updated_at": told["updated_at"]})
        self.assertIn("jwks", self.refused("client", "update", made["client_id"], "--clear", "jwks"))
        self.assertIn("nonsense", self.refused("client", "update", made["client_id"], "--clear", "nonsense"))

    def test_initial_access(self) -> None:
        """A token is issued, shown once, listed without its value, and taken back."""
        self.serve()
        made = self.json("initial-access", "issue", "--uses", "2", "--note", "lab", "--grant", "device_code")
        self.assertEqual((made["uses"], made["grant_types"]), (2, [DEVICE_GRANT]))
        listed = self.oauthd("initial-access", "list")
        self.assertEqual([row[0] for row in listed.rows], [made["token_id"]])
        self.assertNotIn(made["token"], listed.output)
        self.oauthd("initial-access", "revoke", made["token_id"])
        self.assertEqual(self.json("initial-access", "list"), [])
        self.assertIn("404", self.refused("initial-access", "revoke", made["token_id"]))

    def test_deleting_asks_first(self) -> None:
        """Without a yes nothing is deleted."""
        self.serve()
        client_id = self.json("client", "create", "--name", "Kept", "--grant", "client_credentials")["client_id"]
        ran = self.process("client", "delete", client_id, typed="n\n", **self.finding)
        self.assertEqual(ran.status, 1)
        self.oauthd("client", "show", client_id)
        self.oauthd("client", "delete", client_id, typed="y\n")

    def test_refusals(self) -> None:
        """What the server refuses is told in one line, with the field; so is an id that is none."""
        self.serve()
        self.assertIn("grant_types", self.refused("client", "create", "--name", "x", "--grant", "nonsense"))
        self.assertIn("redirect_uris", self.refused("client", "create", "--name", "x", "--redirect-uri", "x"))
        self.assertIn("409", self.refused("client", "create", "--name", "x", "--client-id", "admin"))
        for client_id in ("nobody", "", "..", "a/b", "%00", "\u202e"):
            self.assertIn("404", self.refused("client", "show", client_id))


class UserTests(CommandCase):
    """`oauthd user`."""

    def sign_in(self, username: str, password: str) -> str:
        """An access token for a username and password, or the error."""
        form = {"grant_type": "password", "username": username, "password": password}
        answer = self.http.post("/oauth2/token", form, basic_auth=self.app.auth)
        return str(answer.json().get("access_token", answer.error))

    def test_life_of_a_user(self) -> None:
        """A user is added, listed, given another password, deactivated and reactivated; tokens end where they must."""
        self.serve()
        made = self.json("client", "create", "--name", "App", "--grant", "password")
        self.app = App(made["client_id"], made["client_secret"])
        added = self.oauthd("user", "add", "ada", "--email", "ada@example.com", "--name", "Ada", typed=f"{PASSWORD}\n")
        self.assertNotIn(PASSWORD, added.output)
        self.assertEqual(added.members["email"], "ada@example.com")
        self.assertIn("Ada", added.members["claims"])
        listed = {row[1]: row for row in self.oauthd("user", "list").rows}
        self.assertEqual(set(listed), {"admin", "ada"})
        self.assertEqual(listed["ada"][0], added.members["user_id"])

        first = self.sign_in("ada", PASSWORD)
        self.oauthd("user", "passwd", "ada", typed="another passphrase\n")
        self.assertEqual(self.json("token", "introspect", first), {"active": False})
        self.assertEqual(self.sign_in("ada", PASSWORD), "invalid_grant")
        second = self.sign_in("ada", "another passphrase")
        self.assertTrue(self.json("token", "introspect", second)["active"])

        self.oauthd("user", "user-code", "ada", typed="246802\n")
        self.assertEqual([one["has_user_code"] for one in self.json("user", "list")], [False, True])
        self.oauthd("user", "user-code", "ada", "--none")
        self.assertEqual([one["has_user_code"] for one in self.json("user", "list")], [False, False])

        self.assertIn("ada", self.json("user", "deactivate", "ada")["done"])
        self.assertEqual(self.json("token", "introspect", second), {"active": False})
        self.assertEqual(self.sign_in("ada", "another passphrase"), "invalid_grant")
        (ada,) = [one for one in self.json("user", "list") if one["username"] == "ada"]
        self.assertIs(ada["is_active"], False)
        self.oauthd("user", "reactivate", "ada")
        self.assertTrue(self.json("token", "introspect", self.sign_in("ada", "another passphrase"))["active"])

    def test_administrator(self) -> None:
        """`--admin` makes an administrator; the last one stays."""
        self.serve()
        self.assertIn("409", self.refused("user", "deactivate", "admin"))
        self.assertEqual(self.json("user", "add", "boss", "--admin", typed=f"{PASSWORD}\n")["roles"], ["admin"])
        self.oauthd("user", "deactivate", "admin")

    def test_refusals(self) -> None:
        """No password, a short one, a name that is taken, a user that does not exist: a line each."""
        self.serve()
        self.assertIn("password", self.refused("user", "add", "ada"))
        self.assertIn("password", self.refused("user", "add", "ada", typed="\n"))
        self.assertIn("password", self.refused("user", "add", "ada", typed="short\n"))
        self.assertIn("409", self.refused("user", "add", "ADMIN", typed=f"{PASSWORD}\n"))
        for verb in ("passwd", "deactivate", "reactivate"):
            self.assertIn("there is no user nobody", self.refused("user", verb, "nobody", typed=f"{PASSWORD}\n"))


class ScopeTests(CommandCase):
    """`oauthd scope`."""

    def test_life_of_a_scope(self) -> None:
        """A scope is created, listed, updated and deleted."""
        self.serve()
        made = self.oauthd("scope", "create", "read_write", "--description", "Read and write", "--reserved").members
        self.assertEqual((made["description"], made["reserved"]), ("Read and write", "yes"))
        self.assertIn([made["scope_id"], "read_write"], [row[:2] for row in self.oauthd("scope", "list").rows])
        changed = self.json("scope", "update", "read_write", "--description", "Read and change")
        self.assertEqual(changed["description"], "Read and change")
        self.assertIn(changed, self.json("scope", "list"))
        self.assertIn("read_write", self.oauthd("scope", "delete", "read_write").output)
        self.assertNotIn("read_write", [one["name"] for one in self.json("scope", "list")])

    def test_refusals(self) -> None:
        """A name that is none, one that is taken, a scope that does not exist or that must stay: a line each."""
        self.serve()
        self.assertIn("name", self.refused("scope", "create", "two words"))
        self.assertIn("409", self.refused("scope", "create", "openid"))
        self.assertIn("there is no scope x", self.refused("scope", "update", "x", "--description", "y"))
        self.assertIn("there is no scope x", self.refused("scope", "delete", "x"))
        self.assertIn("409", self.refused("scope", "delete", "openid"))


class TokenTests(CommandCase):
    """`oauthd token`."""

    def setUp(self) -> None:
        """Make a client with a user's tokens."""
        super().setUp()
        daemon = self.serve()
        self.visitor = Visitor.of(daemon.http, daemon.credentials)
        self.app = self.visitor.client("App")
        self.user_id = self.visitor.user("alice")

    def issued(self) -> dict[str, Any]:
        """New tokens of the user."""
        code = self.visitor.code(Browser(self.http), self.app, scope="openid")
        return self.visitor.redeem(self.app, code)

    def active(self, token: str) -> bool:
        """What `token introspect` says, the token on standard input."""
        told = self.json("token", "introspect", "-", typed=f"{token}\n")
        return bool(told["active"])

    def test_get_and_introspect(self) -> None:
        """A token is printed alone, for scripts, or with all that came with it; introspection tells of it."""
        token = self.oauthd("token", "get").output.strip()
        told = self.json("token", "introspect", token)
        self.assertEqual((told["active"], told["scope"], told["client_id"]), (True, "admin", "admin"))
        self.assertEqual(self.oauthd("token", "introspect", token).members["scope"], "admin")
        self.assertEqual(self.http.get("/api/v1/users", bearer=token).status, 200)
        self.assertEqual(self.json("token", "get", "--scope", "openid email")["scope"], "openid email")
        self.assertEqual(self.oauthd("token", "introspect", "nonsense").members, {"active": "no"})
        self.assertIn("invalid_scope", self.refused("token", "get", "--scope", "nonsense"))

    def test_list(self) -> None:
        """Live tokens are listed, by client, user and kind; never their values, nor the command's own of before."""
        tokens = self.issued()
        ran = self.oauthd("token", "list", "--client", self.app.client_id)
        self.assertEqual(sorted(row[1] for row in ran.rows), ["access", "refresh"])
        self.assertNotIn(tokens["access_token"], ran.output)
        self.assertNotIn(tokens["refresh_token"], ran.output)
        (listed,) = self.json("token", "list", "--user", self.user_id, "--kind", "refresh")
        self.assertEqual((listed["kind"], listed["username"]), ("refresh", "alice"))
        self.assertEqual(self.json("token", "list", "--user", "alice", "--kind", "refresh"), [listed])
        own = [one for one in self.json("token", "list", "--client", "admin") if one["scope"] == "admin"]
        self.assertEqual(len(own), 2)  # the visitor's, and the one of this very request

    def test_revoke_one(self) -> None:
        """A token ends by its value, on the command line or from standard input, and by its id."""
        first, second, third = self.issued(), self.issued(), self.issued()
        self.oauthd("token", "revoke", first["access_token"])
        self.oauthd("token", "revoke", "-", typed=f"{second['access_token']}\n")
        self.assertFalse(self.active(first["access_token"]) or self.active(second["access_token"]))
        self.assertTrue(self.active(third["access_token"]))
        (listed,) = self.json("token", "list", "--client", self.app.client_id, "--kind", "access")
        self.assertEqual(self.json("token", "revoke", "--id", listed["token_id"]), {"done": "revoked"})
        self.assertFalse(self.active(third["access_token"]))
        self.assertIn("404", self.refused("token", "revoke", "--id", listed["token_id"]))

    def test_revoke_many(self) -> None:
        """All tokens of a user, of a client, or of everybody end at once."""
        for way in (("--user", self.user_id), ("--user", "alice"), ("--client", self.app.client_id), ("--all",)):
            tokens = self.issued()
            self.assertTrue(self.active(tokens["access_token"]))
            self.oauthd("token", "revoke", *way)
            self.assertFalse(self.active(tokens["access_token"]), way)
        self.assertEqual(self.http.get("/api/v1/users", bearer=self.visitor.token).status, 401)

    def test_revoke_a_grant(self) -> None:
        """A grant ends by the id that its tokens are listed with, with both of them."""
        tokens, others = self.issued(), self.issued()
        listed = self.json("token", "list", "--client", self.app.client_id)
        grant_id = next(one["grant_id"] for one in listed if one["kind"] == "access")
        self.oauthd("token", "revoke", "--grant", grant_id)
        left = {one["grant_id"] for one in self.json("token", "list", "--client", self.app.client_id)}
        self.assertEqual(left, {one["grant_id"] for one in listed} - {grant_id})
        alive = [self.active(one["access_token"]) for one in (tokens, others)]
        self.assertEqual(sorted(alive), [False, True])

    def test_revoke_a_session(self) -> None:
        """A browser that is signed in is listed, and ends by its id."""
        browser = Browser(self.http)
        expect(browser.finish(browser.open("/login"), "alice", VISITORS))
        (session,) = self.json("user", "sessions", "alice")
        self.assertEqual(session["user_id"], self.user_id)
        self.oauthd("token", "revoke", "--session", session["session_id"])
        self.assertEqual(self.json("user", "sessions", "alice"), [])
        self.assertIn("404", self.refused("token", "revoke", "--session", session["session_id"]))

    def test_revoke_for_a_resource(self) -> None:
        """Every access token for a resource ends."""
        self.json("client", "create", "--name", "Owner", "--resource", "https://api.example")
        asked = {"grant_type": "client_credentials", "resource": "https://api.example"}
        answer = self.http.post("/oauth2/token", asked, basic_auth=self.app.auth)
        self.assertTrue(self.visitor.is_active(self.app, answer.json()["access_token"]))
        self.oauthd("token", "revoke", "--resource", "https://api.example")
        self.assertFalse(self.visitor.is_active(self.app, answer.json()["access_token"]))

    def test_refusals(self) -> None:
        """Nothing to revoke, or two things at once, and users and clients that do not exist: a line each."""
        for wrong in ((), ("x", "--all"), ("--user", "a", "--client", "b"), ("",)):
            self.assertIn("name one thing to revoke", self.refused("token", "revoke", *wrong))
        for way, nobody in (
            ("--user", "nobody"), ("--client", "nobody"), ("--grant", "nobody"), ("--resource", "https://no.example"),
        ):  # fmt: skip
            self.assertIn("404", self.refused("token", "revoke", way, nobody))
        self.assertIn("404", self.refused("token", "list", "--user", "nobody"))


class KeyTests(CommandCase):
    """`oauthd keys`."""

    def test_list_and_rotate(self) -> None:
        """Keys are listed with their stages; new ones are announced, or sign at once where that is asked for."""
        self.serve()
        before = self.json("keys", "list")
        self.assertEqual({key["stage"] for key in before}, {"signing"})
        self.assertNotIn('"d"', json.dumps(before))
        rows = self.oauthd("keys", "list").rows
        self.assertEqual([row[:3] for row in rows], [[key["kid"], key["algorithm"], "signing"] for key in before])
        announced = [row[:2] for row in self.oauthd("keys", "rotate").rows if row[2] == "announced"]
        self.assertEqual(len(announced), len(before))
        published = {key["kid"] for key in expect(self.http.get("/oauth2/jwks")).json()["keys"]}
        self.assertLessEqual({kid for kid, algorithm in announced if algorithm == "ES256"}, published)
        stages = {key["kid"]: key["stage"] for key in self.json("keys", "rotate", "--announce", "0")}
        self.assertEqual({stages[key["kid"]] for key in before}, {"retired"})


    def test_reseal_and_drop(self) -> None:
        """With one master key nothing is sealed anew; a key that is dropped is published no more, whatever its name."""
        self.serve()
        self.assertEqual(self.json("keys", "reseal"), {"keys": 0, "secrets": 0, "clients": 0})
        leaked = self.json("keys", "list")[0]["kid"]
        self.assertNotIn(leaked, [key["kid"] for key in self.json("keys", "drop", leaked)])
        published = [key["kid"] for key in expect(self.http.get("/oauth2/jwks")).json()["keys"]]
        self.assertNotIn(leaked, published)
        self.assertIn("404", self.refused("keys", "drop", "-no-such-key"))


class ConfigTests(CommandCase):
    """`oauthd config`, which needs no server; what it says of problems and secrets is tested without a process."""

    def test_check(self) -> None:
        """The settings of the environment and of a file are checked."""
        file = self.folder / "oauthd.toml"
        file.write_text("[device]\ninterval = 7\n")
        self.assertIn("in order", self.process("config", "check", "-c", str(file)).output)
        file.write_text("[device]\nintervall = 7\n")
        ran = self.process("config", "check", "-c", str(file))
        self.assertEqual((ran.status, ran.output), (1, ""))
        self.assertIn("did you mean interval?", ran.errors)

    def test_show(self) -> None:
        """The settings in force are shown, secrets masked."""
        told = {"OAUTHD_DEVICE_INTERVAL": "7", "OAUTHD_STORE_REDIS": "redis://:hush-hush@127.0.0.1/"}
        ran = self.process("--json", "config", "show", **told)
        self.assertEqual(ran.json["device"]["interval"], 7)
        self.assertNotIn("hush-hush", ran.output + self.process("config", "show", **told).output)


class FindingTests(CommandCase):
    """How the command finds the server, and what it says when it does not."""

    def test_environment(self) -> None:
        """Address and credentials from the environment are enough; nothing is read from a folder."""
        daemon = self.serve()
        told = {
            "OAUTHD_URL": f"http://localhost:{daemon.port}",
            "OAUTHD_CLIENT_ID": daemon.credentials["client_id"],
            "OAUTHD_CLIENT_SECRET": daemon.credentials["client_secret"],
        }
        self.assertEqual(self.process("--json", "user", "list", **told).json[0]["username"], "admin")
        ran = self.process("user", "list", **{**told, "OAUTHD_CLIENT_SECRET": "wrong"})
        self.assertEqual((ran.status, ran.output), (1, ""))
        self.assertIn("(401 invalid_client)", ran.errors)

    def test_options(self) -> None:
        """The folder may be named on the command line, and is found where the server puts it by itself."""
        daemon = self.serve()
        self.assertEqual(self.process("--data", str(daemon.data), "user", "list").status, 0)
        usual = Path(self.folder) / ".local" / "share"
        usual.mkdir(parents=True)
        (usual / "oauthd").symlink_to(daemon.data)
        self.assertEqual(self.process("user", "list").status, 0)

    def test_client_without_the_right(self) -> None:
        """A client that may not administer is told so."""
        daemon = self.serve()
        visitor = Visitor.of(daemon.http, daemon.credentials)
        app = visitor.client("App")
        own = {**self.finding, "OAUTHD_CLIENT_ID": app.client_id, "OAUTHD_CLIENT_SECRET": app.secret}
        ran = self.process("user", "list", **own)
        self.assertEqual((ran.status, len(ran.errors.splitlines())), (1, 1))
        self.assertIn("invalid_scope", ran.errors)

    def test_no_server(self) -> None:
        """Without any server somebody reads how to start one; after its end, that it is not there any more."""
        ran = self.process("client", "list")
        self.assertEqual((ran.status, ran.output), (1, ""))
        self.assertIn("twistd -n oauthd", ran.errors)
        daemon = self.serve()
        daemon.kill()  # what it left behind still names its address
        self.assertIn(f"127.0.0.1:{daemon.port} does not answer: Connection refused", self.refused("client", "list"))
        daemon.start()
        daemon.stop()
        self.assertIn("no server runs", self.refused("client", "list"))

    def test_wrong_usage(self) -> None:
        """Words that are no command, and options without their value, end with status 2 and a line that says so."""
        for arguments in (
            ["nonsense"], ["client", "nonsense"], ["client", "create"], ["user", "add"], ["client", "show"],
            ["token", "list", "--kind", "x"], ["keys", "rotate", "--announce", "-1"], ["--nonsense"],
        ):  # fmt: skip
            ran = self.process(*arguments)
            self.assertEqual((ran.status, ran.output), (2, ""), arguments)
            self.assertTrue(ran.errors.splitlines()[-1].startswith("Error: "), ran.errors)

    def test_hostile_names(self) -> None:
        """Words that somebody gave to a user or a scope cannot steer the terminal; programs see them as they are."""
        daemon = self.serve()
        visitor = Visitor.of(daemon.http, daemon.credentials)
        visitor.user(HOSTILE, email="mallory@example.com")
        self.json("scope", "create", "hostile", "--description", HOSTILE)
        for arguments in (("scope", "list"), ("user", "list")):
            output = self.oauthd(*arguments).output
            self.assertTrue(output.replace("\n", "").isprintable(), output)
            self.assertIn("Nice\ufffdapp", output)
        self.assertIn(HOSTILE, [one["description"] for one in self.json("scope", "list")])
        self.refused("client", "create", "--name", HOSTILE, "--grant", "client_credentials")
        self.refused("user", "passwd", "no\x1b[2Jbody")
