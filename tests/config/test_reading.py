"""Settings from file, environment and flags: precedence, refusals with their sources, secrets in files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial import unittest

from oauthd import config
from oauthd.config.setting import declared

NAMES = sorted(one.variable for section in declared(config.Settings).values() for one in section)


class Sources(unittest.SynchronousTestCase):
    """Reads settings from given sources."""

    def file(self, text: str | bytes, name: str = "oauthd.toml") -> str:
        """The path of a new file with this content."""
        folder = self.mktemp()
        os.makedirs(folder)
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        return path

    def read(
        self,
        toml: str | None = None,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, object] | None = None,
    ) -> config.Settings:
        """The settings that these sources give."""
        return config.load(None if toml is None else self.file(toml), environ or {}, flags or {})

    def problems(
        self,
        toml: str | bytes | None = None,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, object] | None = None,
    ) -> list[str]:
        """The problems of these sources, with the folder of the file left out."""
        path = None if toml is None else self.file(toml)
        with self.assertRaises(config.SettingsError) as caught:
            config.load(path, environ or {}, flags or {})
        folder = "" if path is None else os.path.dirname(path) + "/"
        return [problem.replace(folder, "") if folder else problem for problem in caught.exception.problems]


class PrecedenceTests(Sources):
    """Default, file, environment, flag: the later wins."""

    def test_nothing_given(self) -> None:
        """Without any source the defaults hold, and they keep every rule."""
        self.assertEqual(self.read(), config.Settings())
        self.assertEqual(self.read(""), config.Settings())

    def test_each_source_beats_the_one_before(self) -> None:
        """A flag beats the environment, which beats the file, which beats the default."""
        toml = '[log]\nlevel = "warn"\n[server]\ndata = "/file"\nissuer = "http://localhost:1"\n'
        environ = {"OAUTHD_SERVER_DATA": "/environment", "OAUTHD_SERVER_ISSUER": "http://localhost:2"}
        settings = self.read(toml, environ, {"issuer": "http://localhost:3"})
        self.assertEqual(
            (settings.log.level, settings.server.data, settings.server.issuer, settings.tokens.access_lifetime),
            ("warn", "/environment", "http://localhost:3", 1800),
        )

    def test_flags_that_were_not_given(self) -> None:
        """What a parser of flags holds for flags that nobody gave changes nothing."""
        toml = '[server]\nlisten = ["tcp:1:interface=127.0.0.1"]\n[log]\njson = true\n'
        flags: dict[str, object] = {"listen": [], "issuer": None, "log-json": 0, "config": "x", "workers": None}
        settings = self.read(toml, {}, flags)
        self.assertEqual(settings.server.listen, ("tcp:1:interface=127.0.0.1",))
        self.assertTrue(settings.log.json)

    def test_flags_of_each_kind(self) -> None:
        """Repeated flags replace the whole list and are not cut at commas; boolean ones switch on."""
        flags = {"listen": ["unix:/a,b", "tcp:1:interface=127.0.0.1"], "log-json": 1, "workers": "1"}
        settings = self.read('[server]\nlisten = ["unix:/c"]\n', {}, flags)
        self.assertEqual(settings.server.listen, ("unix:/a,b", "tcp:1:interface=127.0.0.1"))
        self.assertTrue(settings.log.json)

    def test_empty_text_takes_back(self) -> None:
        """An empty environment variable takes back an optional setting of the file."""
        settings = self.read('[server]\ndata = "/file"\n', {"OAUTHD_SERVER_DATA": ""})
        self.assertIsNone(settings.server.data)

    @given(st.integers(1, 2592000), st.integers(1, 2592000))
    def test_environment_reads_what_the_file_reads(self, in_file: int, in_environment: int) -> None:
        """A number is the same from the file and from the environment, and the environment's counts."""
        path = self.file(f"[tokens]\naccess_lifetime = {in_file}\n")
        self.assertEqual(config.load(path, {}, {}).tokens.access_lifetime, in_file)
        environ = {"OAUTHD_TOKENS_ACCESS_LIFETIME": str(in_environment)}
        self.assertEqual(config.load(path, environ, {}).tokens.access_lifetime, in_environment)


class RefusalTests(Sources):
    """Every problem is collected and names its source."""

    def test_all_problems_at_once(self) -> None:
        """Problems of all sources come together, values that a later source replaces included."""
        self.assertEqual(
            self.problems(
                "[tokens]\ncode_lifetime = 0\naccess_lifetime = '1'\n",
                {"OAUTHD_TOKENS_CODE_LIFETIME": "60", "OAUTHD_LOG_LEVEL": "loud"},
                {"workers": "0"},
            ),
            [
                "oauthd.toml: tokens.code_lifetime: must be from 1 to 600, is 0",
                "oauthd.toml: tokens.access_lifetime: must be a whole number, is '1'",
                'OAUTHD_LOG_LEVEL: must be "debug", "info", "warn", "error" or "critical", is \'loud\'',
                "--workers: must be from 1 to 256, is 0",
            ],
        )

    def test_the_error_text_is_the_problems(self) -> None:
        """The exception's text holds each problem in a line."""
        error = config.SettingsError(["one", "two"])
        self.assertEqual((str(error), error.problems), ("one\ntwo", ("one", "two")))

    def test_workers(self) -> None:
        """A number of workers or the word auto, and nothing else."""
        self.assertEqual(config.load(self.file('[server]\nworkers = "auto"\n'), {}, {}).server.workers, "auto")
        self.assertEqual(config.load(None, {}, {"workers": "12"}).server.workers, 12)
        self.assertEqual(
            self.problems('[server]\nworkers = "many"\n'),
            ["oauthd.toml: server.workers: must be a whole number or \"auto\", is 'many'"],
        )

    def test_unknown_names(self) -> None:
        """Unknown sections and keys are refused with the nearest name or the section they belong to."""
        self.assertEqual(
            self.problems(
                "acess_lifetime = 1\nfrob = 1\n[tokens]\nacces_lifetime = 1\ninterval = 5\nfrob = 1\n[log.x]\n"
            ),
            [
                "oauthd.toml: acess_lifetime: stands outside of any section; "
                "did you mean access_lifetime under [tokens]?",
                "oauthd.toml: frob: no such section",
                "oauthd.toml: tokens.acces_lifetime: no such setting; did you mean access_lifetime?",
                "oauthd.toml: tokens.interval: no such setting here; it belongs under [device]",
                "oauthd.toml: tokens.frob: no such setting",
                "oauthd.toml: log.x: no such setting",
            ],
        )
        self.assertEqual(self.problems("[token]\n"), ["oauthd.toml: token: no such section; did you mean tokens?"])

    def test_section_that_is_none(self) -> None:
        """A value in the place of a section is refused."""
        for toml in ("tokens = 1\n", "[[tokens]]\n"):
            self.assertEqual(
                self.problems(toml), ["oauthd.toml: tokens: is a section, to be written as [tokens]"], toml
            )

    def test_unreadable_files(self) -> None:
        """A file that is absent, not UTF-8, not TOML or too much for the parser is one problem."""
        with self.assertRaises(config.SettingsError) as caught:
            config.load("/nowhere/oauthd.toml", {}, {})
        self.assertEqual(
            caught.exception.problems, ("/nowhere/oauthd.toml: cannot be read: No such file or directory",)
        )
        self.assertEqual(self.problems(b"\xff"), ["oauthd.toml: is not UTF-8"])
        for toml in ("[tokens\n", "a = 1\na = 2\n", "a = " + "9" * 5000, "a = " + "[" * 5000):
            (problem,) = self.problems(toml)
            self.assertTrue(problem.startswith("oauthd.toml: is not TOML: "), problem)

    def test_unknown_variables(self) -> None:
        """A variable of a known section, or near to a known one, is refused with the nearest name."""
        self.assertEqual(
            self.problems(
                None, {"OAUTHD_SERVER_LISTN": "x", "OAUTHD_TOKEN_ACCESS_LIFETIME": "1", "OAUTHD_LOG_X_Y_Z": ""}
            ),
            [
                "OAUTHD_LOG_X_Y_Z: no such setting",
                "OAUTHD_SERVER_LISTN: no such setting; did you mean OAUTHD_SERVER_LISTEN?",
                "OAUTHD_TOKEN_ACCESS_LIFETIME: no such setting; did you mean OAUTHD_TOKENS_ACCESS_LIFETIME?",
            ],
        )

    def test_variables_of_others(self) -> None:
        """Variables of the command, and what an orchestrator makes of a service's name, are left alone."""
        environ = {
            "OAUTHD_URL": "https://login.example.org",
            "OAUTHD_CLIENT_ID": "scripts",
            "OAUTHD_CLIENT_SECRET": "x",
            "OAUTHD_SERVICE_HOST": "10.0.0.7",
            "OAUTHD_PORT": "tcp://10.0.0.7:8000",
            "OAUTHD_SERVER_SERVICE_HOST": "10.0.0.7",
            "OAUTHD_SERVER_SERVICE_PORT_HTTP": "8000",
            "OAUTHD_STORE_PORT": "tcp://10.0.0.8:6379",
            "OAUTHD_STORE_PORT_6379_TCP_ADDR": "10.0.0.8",
            "OAUTHD_STORE_PORT_6379_TCP": "tcp://10.0.0.8:6379",
            "PATH": "/bin",
        }
        self.assertEqual(self.read(None, environ), config.Settings())

    def test_port_that_somebody_meant(self) -> None:
        """A port that a person set is not taken for one that an orchestrator made."""
        (problem,) = self.problems(None, {"OAUTHD_SERVER_PORT": "9000"})
        self.assertTrue(problem.startswith("OAUTHD_SERVER_PORT: no such setting"), problem)

    def test_every_misspelt_variable(self) -> None:
        """One letter lost anywhere in the name of a variable never goes unnoticed."""
        for name in NAMES:
            for place in range(len("OAUTHD_"), len(name)):
                with self.assertRaises(config.SettingsError, msg=f"{name} at {place}"):
                    config.load(None, {name[:place] + name[place + 1 :]: "any"}, {})


class RuleTests(Sources):
    """Rules over several settings, each broken by the sources it names."""

    def test_each_rule(self) -> None:
        """Settings that contradict one another are refused with both names and the source."""
        for toml, expected in (
            (
                "[server]\nanswer_timeout = 1\n[fetch]\ntimeout = 0.5\n",
                "store.reply_timeout (1.0) must be below server.answer_timeout (1.0)",
            ),
            ("[store]\nreply_timeout = 2\n", "store.reply_timeout (2.0) must be below cache.max_staleness (2.0)"),
            ("[fetch]\ntimeout = 10\n", "fetch.timeout (10.0) must be below server.answer_timeout (10.0)"),
            ("[fetch]\nlongest = 30\n", "fetch.shortest (60.0) must not be above fetch.longest (30.0)"),
            (
                '[mtls]\nbase = "https://mtls.example"\n',
                "mtls.base needs mtls.listen or mtls.proxy_header: nobody asks for certificates there",
            ),
            (
                '[mtls]\nproxy_header = "Client-Cert"\n',
                "mtls.proxy_header needs server.trusted_proxies or server.trust_unix: nobody is believed",
            ),
            (
                "[tokens]\nrefresh_absolute = 60\n",
                "tokens.refresh_idle (604800) must not be above tokens.refresh_absolute (60)",
            ),
            ("[tokens]\nrefresh_idle = 10\n", "tokens.refresh_grace (10) must be below tokens.refresh_idle (10)"),
            ("[device]\ninterval = 60\nlifetime = 60\n", "device.interval (60) must be below device.lifetime (60)"),
            ("[device]\ntotal_tries = 9\n", "device.source_tries (10) must not be above device.total_tries (9)"),
            ("[sessions]\nabsolute = 60\n", "sessions.idle (28800) must not be above sessions.absolute (60)"),
            (
                "[keys]\nrotation_period = 86400\n",
                "keys.rotation_period (86400) must be above keys.announce (86400), or 0 for rotation by command only",
            ),
            (
                '[tokens]\naccess_algorithm = "ES384"\n',
                "tokens.access_algorithm (ES384) must be one of keys.algorithms (RS256, ES256, EdDSA, PS256)",
            ),
            (
                '[keys]\nalgorithms = ["ES256"]\n',
                "tokens.id_token_algorithm (RS256) must be one of keys.algorithms (ES256)",
            ),
            (
                "[users]\nlock_after = 4\n",
                "users.lock_free_failures (4) must be below users.lock_after (4)",
            ),
            (
                "[users]\npassword_min_length = 100\npassword_max_length = 99\n",
                "users.password_min_length (100) must not be above users.password_max_length (99)",
            ),
            (
                '[server]\nlisten = ["tcp:8000"]\n',
                "server.issuer is required here: it can be left out only when one of the listeners is tcp: or ssl: "
                "with a fixed port on a loopback interface",
            ),
        ):
            section = toml[1 : toml.index("]")]
            (problem,) = self.problems(toml)
            self.assertTrue(problem.startswith(f"oauthd.toml: {section}."), problem)
            self.assertTrue(problem.endswith(f": {expected}"), problem)

    def test_rotation_by_command_only(self) -> None:
        """A rotation period of 0 stands for none and breaks no rule."""
        self.assertEqual(self.read("[keys]\nrotation_period = 0\n").keys.rotation_period, 0)

    def test_sources_of_a_rule(self) -> None:
        """A broken rule names every source that had a part in it."""
        self.assertEqual(
            self.problems("[sessions]\nidle = 100\n", {"OAUTHD_SESSIONS_ABSOLUTE": "99"}),
            [
                "oauthd.toml: sessions.idle, OAUTHD_SESSIONS_ABSOLUTE: "
                "sessions.idle (100) must not be above sessions.absolute (99)"
            ],
        )

    def test_rules_wait_for_good_values(self) -> None:
        """A rule says nothing about a setting that was refused already."""
        self.assertEqual(
            self.problems("[tokens]\nrefresh_idle = 99999999\nrefresh_absolute = 0\n"),
            [
                "oauthd.toml: tokens.refresh_absolute: must be from 1 to 315360000, is 0",
            ],
        )

    def test_administrator_all_or_none(self) -> None:
        """The four settings of the first administrator stand together."""
        (problem,) = self.problems('[administrator]\nusername = "root"\nclient_id = "scripts"\n')
        self.assertEqual(
            problem,
            "oauthd.toml: administrator.username, oauthd.toml: administrator.client_id: all four or none of "
            "[administrator] must be set; missing: administrator.password, administrator.client_secret",
        )
        settings = self.read(
            '[administrator]\nusername = "root"\nclient_id = "scripts"\n',
            {"OAUTHD_ADMINISTRATOR_PASSWORD": "long enough", "OAUTHD_ADMINISTRATOR_CLIENT_SECRET": "s" * 32},
        )
        self.assertEqual(settings.administrator.password, "long enough")

    def test_administrator_values(self) -> None:
        """The administrator's password keeps the rules for passwords; names and secret have their own."""
        good = {
            "OAUTHD_ADMINISTRATOR_USERNAME": "root",
            "OAUTHD_ADMINISTRATOR_PASSWORD": "long enough",
            "OAUTHD_ADMINISTRATOR_CLIENT_ID": "scripts",
            "OAUTHD_ADMINISTRATOR_CLIENT_SECRET": "s" * 32,
        }
        self.read(None, good)
        for name, value, expected in (
            ("PASSWORD", "short", "administrator.password is shorter than users.password_min_length"),
            ("PASSWORD", "ü" * 513, "administrator.password is longer than users.password_max_length"),
            ("USERNAME", " root", "printable characters"),
            ("USERNAME", "ro\not", "printable characters"),
            ("CLIENT_ID", "a client", "letters, digits"),
            ("CLIENT_SECRET", "s" * 31, "32 to 1024 visible ASCII"),
        ):
            (problem,) = self.problems(None, {**good, f"OAUTHD_ADMINISTRATOR_{name}": value})
            self.assertIn(expected, problem)
            self.assertIn(f"OAUTHD_ADMINISTRATOR_{name}", problem)


class SecretTests(Sources):
    """Secrets may stand in files of their own and are never quoted."""

    def test_secret_file_named_in_the_file(self) -> None:
        """A secret may be named as a file, relative to the folder of the settings, and loses one line end only."""
        path = self.file('[administrator]\nusername="a"\npassword_file="pw"\nclient_id="c"\nclient_secret_file="cs"\n')
        folder = os.path.dirname(path)
        with open(os.path.join(folder, "pw"), "wb") as file:
            file.write(b" pass, word \n\r\n")
        with open(os.path.join(folder, "cs"), "wb") as file:
            file.write(b"s" * 40)
        administrator = config.load(path, {}, {}).administrator
        self.assertEqual((administrator.password, administrator.client_secret), (" pass, word \n", "s" * 40))

    def test_secret_file_named_in_the_environment(self) -> None:
        """A list of secrets in a file has one a line."""
        keys = ["A" * 43, "B" * 42 + "A"]
        path = self.file("\n".join(keys) + "\n\n")
        settings = self.read(None, {"OAUTHD_KEYS_MASTER_KEYS_FILE": path})
        self.assertEqual(settings.keys.master_keys, tuple(keys))

    def test_file_replaces_a_lower_source(self) -> None:
        """A secret's file in the environment beats the secret in the settings file."""
        path = self.file("redis://other")
        settings = self.read('[store]\nredis = "redis://host"\n', {"OAUTHD_STORE_REDIS_FILE": path})
        self.assertEqual(settings.store.redis, "redis://other")

    def test_value_and_file_together(self) -> None:
        """Value and file in one source are refused, because only one of them can count."""
        self.assertEqual(
            self.problems(
                '[store]\nredis = "redis://host"\nredis_file = "x"\n',
                {"OAUTHD_KEYS_MASTER_KEYS": "", "OAUTHD_KEYS_MASTER_KEYS_FILE": "x"},
            ),
            [
                "oauthd.toml: store.redis_file: is given besides store.redis; only one of them can count",
                "OAUTHD_KEYS_MASTER_KEYS_FILE: is given besides OAUTHD_KEYS_MASTER_KEYS; only one of them can count",
            ],
        )

    def test_bad_secret_files(self) -> None:
        """A secret's file that is absent, empty, too large or no text is refused, and nothing of it is quoted."""
        for content, expected in (
            (b"", "is empty"),
            (b"\n", "is empty"),
            (b"x" * 65537, "is larger than 65536 bytes"),
            (b"hunter2\xff", "is not UTF-8 text"),
        ):
            path = self.file(content, "secret")
            (problem,) = self.problems(None, {"OAUTHD_STORE_REDIS_FILE": path})
            self.assertEqual(problem, f"OAUTHD_STORE_REDIS_FILE: the file {path} {expected}")
        self.assertEqual(
            self.problems("[store]\nredis_file = 3\n"), ["oauthd.toml: store.redis_file: must be the path of a file"]
        )
        (problem,) = self.problems(None, {"OAUTHD_STORE_REDIS_FILE": "/nowhere/secret"})
        self.assertIn("cannot be read: No such file", problem)

    def test_only_secrets_have_files(self) -> None:
        """What is no secret cannot be named as a file."""
        self.assertEqual(
            self.problems('[server]\nissuer_file = "x"\n', {"OAUTHD_SERVER_ISSUER_FILE": "x"}),
            [
                "oauthd.toml: server.issuer_file: no such setting; did you mean issuer?",
                "OAUTHD_SERVER_ISSUER_FILE: no such setting; did you mean OAUTHD_SERVER_ISSUER?",
            ],
        )

    def test_problems_quote_no_secret(self) -> None:
        """A secret of the wrong type, range or form appears in no problem, whatever its source."""
        secret = "hunter2hunter2"
        problems = self.problems(
            f'[store]\nredis = ["{secret}"]\n[keys]\nmaster_keys = ["{secret}"]\n',
            {
                "OAUTHD_STORE_REDIS": f"redis://user:{secret}/x@host:{secret}",
                "OAUTHD_KEYS_MASTER_KEYS": secret,
                "OAUTHD_ADMINISTRATOR_CLIENT_SECRET": secret,
                "OAUTHD_ADMINISTRATOR_PASSWORD": secret,
            },
            {"redis": f"http://:{secret}@host"},
        )
        self.assertEqual(len(problems), 6)
        self.assertNotIn(secret, "\n".join(problems))


class MasterKeyTests(Sources):
    """Master keys: 32 bytes in base64url, in one spelling."""

    def test_accepted(self) -> None:
        """With and without padding, several in order."""
        settings = self.read(f'[keys]\nmaster_keys = ["{"A" * 43}", "{"_" * 42}8="]\n')
        self.assertEqual(config.master_keys(settings), (bytes(32), b"\xff" * 32))
        self.assertEqual(config.master_keys(config.Settings()), ())

    def test_refused(self) -> None:
        """Other lengths, other alphabets, slack bits, too much padding and doubles."""
        for key in (
            "",
            "A" * 42,
            "A" * 44,
            "A" * 42 + "B",
            "+" * 42 + "A",
            "A" * 43 + "==",
            "A" * 42 + "é",
            "A" * 42 + " ",
        ):
            (problem,) = self.problems(f'[keys]\nmaster_keys = ["{key}"]\n')
            self.assertEqual(
                problem, "oauthd.toml: keys.master_keys: must be 32 bytes each, in base64url", f"accepted {key!r}"
            )
        (problem,) = self.problems(f'[keys]\nmaster_keys = ["{"A" * 43}", "{"A" * 43}="]\n')
        self.assertIn("must not name the same one twice", problem)


class ServerTests(Sources):
    """Settings of the server that have checks of their own."""

    def test_listeners(self) -> None:
        """No listener at all, one named twice and one that is none are refused."""
        one = "tcp:8000:interface=127.0.0.1"
        for text, expected in (
            ("", "must name at least one listener"),
            (f"{one}, {one}", "must not name the same one twice"),
            (f"{one}, udp:1", "a listener begins with one of tcp:, ssl:, unix:, systemd:; 'udp:1' does not"),
        ):
            self.assertEqual(self.problems(None, {"OAUTHD_SERVER_LISTEN": text}), [f"OAUTHD_SERVER_LISTEN: {expected}"])

    def test_data_folder_that_cannot_be(self) -> None:
        """A folder whose name no system can look up is refused."""
        self.assertEqual(
            self.problems('[server]\ndata = "/a\\u0000b"\n'),
            ["oauthd.toml: server.data: must not contain the character NUL"],
        )

    def test_everybody_is_not_trusted(self) -> None:
        """A network of all addresses, a network named twice and a host name are refused."""
        for networks, expected in (
            ('"0.0.0.0/0"', "must not trust every address, as 0.0.0.0/0 does"),
            ('"::/0"', "must not trust every address, as ::/0 does"),
            ('"10.0.0.0/8", "10.0.0.0/8"', "must not name the same one twice"),
            ('"proxy"', "must be an IP address or network such as 10.0.0.0/8, is 'proxy'"),
        ):
            self.assertEqual(
                self.problems(f"[server]\ntrusted_proxies = [{networks}]\n"),
                [f"oauthd.toml: server.trusted_proxies: {expected}"],
            )


class OutsideTests(Sources):
    """Settings of what the server fetches, and of client certificates."""

    def refused(self, toml: str, expected: str) -> None:
        """It is refused for this reason."""
        section = toml[1 : toml.index("]")]
        name = toml.partition("\n")[2].partition(" ")[0]
        self.assertEqual(self.problems(toml), [f"oauthd.toml: {section}.{name}: {expected}"])

    def test_hosts(self) -> None:
        """Hosts that are opened are plain names or IPv4 addresses, without a port, in lower case."""
        read = self.read('[fetch]\nopen_hosts = ["keys.corp.example", "localhost", "10.0.0.1"]\n')
        self.assertEqual(read.fetch.open_hosts, ("keys.corp.example", "localhost", "10.0.0.1"))
        for host in ("a.example:8443", "https://a.example", "A.example", "*.example", "a.example/", "::1", "", "127.1"):
            expected = f"must be host names or IPv4 addresses in lower case, without a port, unlike {host!r}"
            self.refused(f'[fetch]\nopen_hosts = ["{host}"]\n', expected)

    def test_ports(self) -> None:
        """Ports are ports, and each is named once."""
        self.refused("[fetch]\nports = [0]\n", "must be from 1 to 65535")
        self.refused("[fetch]\nports = [443, 65536]\n", "must be from 1 to 65535")
        self.refused("[fetch]\nports = [443, 443]\n", "must not name the same one twice")

    def test_listeners_with_certificates(self) -> None:
        """Certificates are shown in TLS, so a listener that asks for them is an ssl: one, and for nothing else."""
        one = "ssl:8443:privateKey=/k.pem:certKey=/c.pem"
        self.assertEqual(self.read(f'[mtls]\nlisten = ["{one}"]\n').mtls.listen, (one,))
        self.refused('[mtls]\nlisten = ["tcp:8443"]\n', "must be ssl: listeners, unlike 'tcp:8443'")
        server = f'[server]\nlisten = ["{one}"]\nissuer = "https://a.example"\n'
        both = self.problems(f'{server}[mtls]\nlisten = ["{one}"]\n')
        self.assertTrue(both[0].endswith(f"mtls.listen must not name {one}, which is in server.listen"), both)

    def test_where_clients_reach_them(self) -> None:
        """That is an https URL of a host, as the issuer is."""
        self.refused('[mtls]\nbase = "http://localhost"\n', "must begin with https://")
        expected = "must end after host and port: no slash at the end, no path"
        self.refused('[mtls]\nbase = "https://a.example/"\n', expected)

    def test_headers_of_proxies(self) -> None:
        """A header with a meaning of its own cannot carry a certificate, nor can one that servers spell in two ways."""
        text = '[server]\ntrusted_proxies = ["10.0.0.1"]\n[mtls]\nproxy_header = "X-Ssl-Client-Cert"\n'
        self.assertEqual(self.read(text).mtls.proxy_header, "X-Ssl-Client-Cert")
        self.read('[server]\ntrust_unix = true\n[mtls]\nproxy_header = "Client-Cert"\n')
        for name in ("Authorization", "cookie", "X-Forwarded-For", "Client_Cert", "Client Cert", "a:b", "DPoP"):
            self.refused(
                f'[mtls]\nproxy_header = "{name}"\n',
                "must be the name of a header of letters, digits and hyphens that has no other meaning",
            )


class TellingTests(Sources):
    """Settings of what the server tells of itself."""

    def test_listeners_of_metrics(self) -> None:
        """There may be none; one that is no listener, or stands there twice, is refused."""
        self.assertEqual(config.Settings().metrics.listen, ())
        one = "tcp:9464:interface=127.0.0.1"
        self.assertEqual(self.read(f'[metrics]\nlisten = ["{one}"]\n').metrics.listen, (one,))
        for text, expected in (
            (f"{one}, {one}", "must not name the same one twice"),
            ("udp:1", "a listener begins with one of tcp:, ssl:, unix:, systemd:; 'udp:1' does not"),
        ):
            self.assertEqual(
                self.problems(None, {"OAUTHD_METRICS_LISTEN": text}), [f"OAUTHD_METRICS_LISTEN: {expected}"]
            )

    def test_events_left_out(self) -> None:
        """Only events that there are can be left out of the log, and all may be written."""
        self.assertEqual(self.read("[log]\nleave_out = []\n").log.leave_out, ())
        self.assertEqual(self.read('[log]\nleave_out = ["sign_out"]\n').log.leave_out, ("sign_out",))
        for names, expected in (
            ('"token.isued"', "there is no event 'token.isued'; did you mean token.issued?"),
            ('""', "there is no event ''"),
            ('"sign_out", "sign_out"', "must not name the same one twice"),
        ):
            self.assertEqual(
                self.problems(f"[log]\nleave_out = [{names}]\n"), [f"oauthd.toml: log.leave_out: {expected}"]
            )

    def test_types_of_authorization_details(self) -> None:
        """Declarations are read when the settings are, the one of the documentation among them."""
        page = Path(__file__).parent.parent.parent / "etc" / "docs" / "authorization-details.md"
        (example,) = re.findall(r"```toml\n(.*?)```", page.read_text(), re.S)
        self.assertEqual(len(self.read(example).authorization.details_types), 1)
        for declaration, expected in (
            ("x", "must be JSON"),
            ('{"type": "a b", "title": "A", "schema": {}}', "type must be 1 to 200 visible ASCII"),
            ('{"type": "a", "title": "A", "schema": {"type": "b"}}', "schema of a: "),
        ):
            (problem,) = self.problems(f"[authorization]\ndetails_types = ['{declaration}']\n")
            self.assertTrue(problem.startswith(f"oauthd.toml: authorization.details_types: {expected}"), problem)


class DerivedTests(Sources):
    """Values that follow from settings."""

    def test_key_retirement(self) -> None:
        """A key stays published for as long as anything it signed lives, and longer when so set."""
        self.assertEqual(config.key_retirement(config.Settings()), 3610)
        self.assertEqual(config.key_retirement(self.read("[tokens]\naccess_lifetime = 7200\nleeway = 0\n")), 7200)
        self.assertEqual(config.key_retirement(self.read("[keys]\nretire_after = 9999\n")), 9999)
        self.assertEqual(config.key_retirement(self.read("[keys]\nretire_after = 10\n")), 3610)
