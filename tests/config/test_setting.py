"""The declarations themselves: complete, well named, and true to what is said about them."""

from __future__ import annotations

import inspect
import ipaddress
import re
from typing import Literal, get_type_hints

import attrs
from twisted.trial import unittest

from oauthd import config
from oauthd.config.setting import declared, setting
from oauthd.config.values import written_as

ALL = [one for section in declared(config.Settings).values() for one in section]


class DeclarationTests(unittest.SynchronousTestCase):
    """What every declaration of the server has to have."""

    def test_settings_are_frozen(self) -> None:
        """Neither a section nor a setting can be replaced in place."""
        settings = config.Settings()
        with self.assertRaises(attrs.exceptions.FrozenInstanceError):
            settings.log = config.LogSettings(level="debug")  # type: ignore[misc]
        with self.assertRaises(attrs.exceptions.FrozenInstanceError):
            settings.tokens.access_lifetime = 5  # type: ignore[misc]

    def test_variables_are_unambiguous(self) -> None:
        """No two settings share an environment variable, those that name a secret's file included."""
        names = [one.variable for one in ALL] + [f"{one.variable}_FILE" for one in ALL if one.file_name]
        self.assertEqual(len(names), len(set(names)))

    def test_flags_are_unambiguous(self) -> None:
        """No two settings share a flag, and none takes the name of the flag for the file."""
        names = [flag.long for flag in config.flags()]
        self.assertEqual(len(names), len(set(names)))
        self.assertNotIn("config", names)

    def test_help_reads_as_sentences(self) -> None:
        """Each help ends with a full stop and fits the width of a page of text."""
        for one in ALL:
            self.assertTrue(one.facts.help.endswith("."), one.key)
            self.assertNotIn("\n", one.facts.help, one.key)

    def test_numbers_have_a_range(self) -> None:
        """No number is accepted without limits, save one that has its own check."""
        for one in ALL:
            if type(one.default) in (int, float):
                self.assertTrue(one.facts.between or one.facts.check, one.key)

    def test_sections_are_introduced(self) -> None:
        """Each section says what it is about."""
        for section, kind in get_type_hints(config.Settings).items():
            self.assertTrue((inspect.getdoc(kind) or "").strip().endswith("."), section)

    def test_secrets_are_marked(self) -> None:
        """Exactly the values that give access are secrets."""
        self.assertEqual(
            {one.key for one in ALL if one.facts.secret},
            {"store.redis", "keys.master_keys", "administrator.password", "administrator.client_secret"},
        )

    def test_documented_defaults(self) -> None:
        """The lifetimes and switches that the documents promise are the defaults."""
        settings = config.Settings()
        tokens = settings.tokens
        self.assertEqual(
            (tokens.access_lifetime, tokens.refresh_idle, tokens.refresh_absolute, tokens.code_lifetime),
            (1800, 604800, 2592000, 60),
        )
        self.assertEqual((settings.device.lifetime, settings.device.interval, settings.sessions.idle), (1800, 5, 28800))
        self.assertEqual((tokens.access_format, tokens.access_algorithm), ("jwt", "ES256"))
        self.assertEqual((tokens.id_token_algorithm, settings.clients.registration), ("RS256", "loopback"))
        self.assertEqual((settings.clients.pkce_required, settings.clients.machine_refresh), (False, False))
        self.assertEqual(
            (settings.userinfo.identity_with_openid, settings.userinfo.account_by_read_write), (True, True)
        )

    def test_construction_is_checked(self) -> None:
        """A section cannot be constructed with a value that reading would refuse."""
        with self.assertRaisesRegex(ValueError, "must be from 1 to 600, is 601"):
            config.TokenSettings(code_lifetime=601)

    def test_repr_shows_no_secret(self) -> None:
        """The repr of settings holds none of their secrets."""
        key = "A" * 43
        settings = config.Settings(
            store=config.StoreSettings(redis="redis://:first-secret@host"),
            keys=config.KeySettings(master_keys=(key,)),
            administrator=config.AdministratorSettings(
                username="root", password="second-secret", client_id="scripts", client_secret="third-secret" * 4
            ),
        )
        self.assertIn("username='root'", repr(settings))
        self.assertIsNone(re.search(f"first-secret|second-secret|third-secret|{key}", repr(settings)))


class SettingTests(unittest.SynchronousTestCase):
    """What `setting()` refuses."""

    def test_help_is_needed(self) -> None:
        """A setting without help cannot be declared."""
        with self.assertRaisesRegex(TypeError, "help"):
            setting(1, help=" ")

    def test_flag_that_could_do_nothing(self) -> None:
        """A setting that is on by default cannot have a flag, which could only switch it on."""
        with self.assertRaisesRegex(TypeError, "on by default"):
            setting(True, help="On.", flag="on")


class WrittenTests(unittest.SynchronousTestCase):
    """How values of each type are read."""

    def refused(self, kind: object, *, toml: tuple[object, ...] = (), text: tuple[str, ...] = ()) -> None:
        """All of these are refused with a reason that quotes nothing when told so."""
        for given in toml:
            with self.assertRaisesRegex(ValueError, "must be", msg=repr(given)):
                written_as(kind).from_toml(given, True)
        for word in text:
            with self.assertRaisesRegex(ValueError, "must be", msg=repr(word)) as caught:
                written_as(kind).from_text(word, False)
            self.assertNotIn(", is ", str(caught.exception))

    def test_whole_numbers(self) -> None:
        """Whole numbers are digits in text; booleans, fractions, other digits and endless ones are refused."""
        self.assertEqual(written_as(int).from_text("-12", True), -12)
        self.refused(
            int,
            toml=(True, 1.0, "1", None),
            text=("", "1.0", "0x10", "1_000", " 1", "\N{ARABIC-INDIC DIGIT ONE}", "9" * 5000),
        )

    def test_numbers(self) -> None:
        """A number may be written without a fraction; infinity, NaN, overflow and booleans are refused."""
        self.assertEqual(written_as(float).from_toml(3, True), 3.0)
        self.assertEqual(written_as(float).from_text("0.25", True), 0.25)
        self.refused(float, toml=(True, "1", float("nan"), float("inf"), 10**400), text=("", "nan", "inf", "1e999"))

    def test_booleans(self) -> None:
        """Booleans are words in text and true or false in TOML, nothing that is merely truthy."""
        for word, value in (("true", True), ("ON", True), ("1", True), ("no", False), ("False", False)):
            self.assertIs(written_as(bool).from_text(word, True), value)
        self.refused(bool, toml=(1, 0, "true"), text=("", "2", "enabled"))

    def test_choices(self) -> None:
        """Only the declared words are accepted, in their case."""
        kind = Literal["jwt", "opaque"]
        self.assertEqual(written_as(kind).from_text("opaque", True), "opaque")
        self.refused(kind, toml=("JWT", 1, None), text=("", "JWT"))

    def test_lists(self) -> None:
        """Lists are arrays in TOML and separated by commas in text, where blanks around items do not count."""
        kind = tuple[str, ...]
        self.assertEqual(written_as(kind).from_text(" a, b ,,", True), ("a", "b"))
        self.assertEqual(written_as(kind).from_text("", True), ())
        self.assertEqual(written_as(kind).from_toml(["a,b"], True), ("a,b",))
        self.refused(kind, toml=("a", ["a", 1], {"a": 1}))

    def test_networks(self) -> None:
        """Networks are addresses or prefixes whose host bits are zero."""
        kind = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
        self.assertEqual(
            written_as(kind).from_text("10.0.0.0/8,::1", True),
            (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")),
        )
        self.refused(kind, toml=(["10.0.0.1/8"], [7], ["proxy.example"]), text=("10.0.0.0/33",))

    def test_optional_texts(self) -> None:
        """An empty text means that an optional setting is not set."""
        kind = str | None
        self.assertIsNone(written_as(kind).from_toml("", True))
        self.assertIsNone(written_as(kind).from_text("", True))
        self.assertEqual(written_as(kind).from_text("a", True), "a")
        self.refused(kind, toml=(1, ["a"]), text=("\udcff",))

    def test_number_or_word(self) -> None:
        """A setting may take a number or a word."""
        kind = int | Literal["auto"]
        self.assertEqual(written_as(kind).from_text("auto", True), "auto")
        self.assertEqual(written_as(kind).from_text("4", True), 4)
        self.refused(kind, toml=("4", True), text=("many",))

    def test_long_values_are_cut(self) -> None:
        """A refusal quotes no more than a line of what was given."""
        with self.assertRaises(ValueError) as caught:
            written_as(int).from_text("x" * 10000, True)
        self.assertLess(len(str(caught.exception)), 120)

    def test_unknown_types(self) -> None:
        """A declaration with a type that cannot be written is an error at once."""
        with self.assertRaises(TypeError):
            written_as(dict[str, str])
