"""Sample file, reference page, settings in effect and flags: computed from the declarations and true to them."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import get_type_hints

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.python import usage
from twisted.trial import unittest

from oauthd import config
from oauthd.config import __main__ as regenerate
from oauthd.config import writing
from oauthd.config.setting import Declared, declared, setting
from oauthd.config.writing import generated, toml_value

ROOT = Path(__file__).parents[2]
ALL = [one for section in declared(config.Settings).values() for one in section]
SETTING = re.compile(r"#(?=[a-z_]+ = )")


def load(case: unittest.SynchronousTestCase, text: str) -> config.Settings:
    """The settings that a file with this text gives."""
    path = case.mktemp()
    Path(path).write_text(text, encoding="utf-8")
    return config.load(path, {}, {})


class GeneratedTests(unittest.SynchronousTestCase):
    """What stands in the source tree is what the declarations say."""

    def test_files_are_up_to_date(self) -> None:
        """The sample file and the reference page are as generated; `python -m oauthd.config .` makes them so."""
        for path, text in generated().items():
            self.assertEqual((ROOT / path).read_text(encoding="utf-8"), text, path)

    def test_regenerating(self) -> None:
        """The files are written where the test looks for them."""
        root = Path(self.mktemp())
        os.makedirs(root / "etc" / "docs")
        regenerate.write(root)
        self.assertEqual((root / "etc/oauthd.toml").read_text(encoding="utf-8"), config.sample_toml())
        self.assertEqual((root / "etc/docs/settings.md").read_text(encoding="utf-8"), config.reference_markdown())


class SampleTests(unittest.SynchronousTestCase):
    """The sample file."""

    def test_as_it_is(self) -> None:
        """The sample file as it stands sets nothing."""
        self.assertEqual(set(map(str, tomllib.loads(config.sample_toml()).values())), {"{}"})
        self.assertEqual(load(self, config.sample_toml()), config.Settings())

    def test_every_setting_switched_on(self) -> None:
        """With every setting uncommented it sets all of them, each to its default."""
        text = "\n".join(SETTING.sub("", line) for line in config.sample_toml().splitlines())
        document = tomllib.loads(text)
        self.assertEqual(
            {f"{section}.{name}" for section, table in document.items() for name in table}, {one.key for one in ALL}
        )
        self.assertEqual(load(self, text), config.Settings())

    def test_lines_are_short(self) -> None:
        """No line is wider than a terminal window."""
        self.assertEqual([line for line in config.sample_toml().splitlines() if len(line) > 120], [])

    def test_help_and_range_are_there(self) -> None:
        """Help, unit, range, specification and the file of a secret stand above a setting."""
        text = config.sample_toml()
        self.assertIn(
            "# How long an access token lives.\n# A whole number of seconds, 1 to 2592000. RFC 6749 section 5.1.\n"
            "#access_lifetime = 1800\n",
            text,
        )
        self.assertIn("# Secret. Instead of the value, redis_file may name a file that holds it.\n#redis = ", text)


class ReferenceTests(unittest.SynchronousTestCase):
    """The reference page."""

    def test_every_setting_is_described(self) -> None:
        """Each setting has a heading, its variable, its default and its flag."""
        page = config.reference_markdown()
        for one in ALL:
            entry = page.partition(f"### `{one.key}`\n")[2].partition("\n#")[0]
            self.assertIn(f"- Environment: `{one.variable}`\n", entry + "\n", one.key)
            self.assertIn("- Default: `", entry, one.key)
            self.assertEqual(f"`--{one.facts.flag}`" in entry, one.facts.flag is not None, one.key)
            self.assertEqual(f"`{one.variable}_FILE`" in entry, one.facts.secret, one.key)

    def test_reloadable_settings_say_so(self) -> None:
        """A setting declared as reloadable is described as such, and no other."""
        changing, fixed = declared(Example)["section"]
        self.assertIn("Reloaded without a restart", list(writing._facts(changing)))
        self.assertNotIn("Reloaded without a restart", list(writing._facts(fixed)))
        self.assertEqual(writing._accepted(changing), "A whole number, 0 to 9. Reloaded without a restart.")


@attrs.frozen
class ExampleSection:
    """A section of settings that the server does not have."""

    changing: int = setting(1, help="A number.", reloadable=True, between=(0, 9))
    fixed: int = setting(1, help="A number.", between=(0, 9))


@attrs.frozen
class Example:
    """Settings of one section."""

    section: ExampleSection = attrs.Factory(ExampleSection)


def _values(one: Declared) -> st.SearchStrategy[object]:
    """Values of one setting that no check refuses and that are not secret."""
    if one.facts.check is not None or one.facts.secret:
        return st.just(one.default)
    if one.facts.between is not None:
        low, high = one.facts.between
        if isinstance(one.default, float):
            return st.floats(low, high)
        return st.integers(int(low), int(high))
    kind = get_type_hints(type(getattr(config.Settings(), one.section)))[one.name]
    return st.from_type(kind)


def _sections() -> st.SearchStrategy[config.Settings]:
    return st.builds(
        config.Settings,
        **{
            section: st.builds(get_type_hints(config.Settings)[section], **{one.name: _values(one) for one in members})
            for section, members in declared(config.Settings).items()
            if section != "administrator"
        },
    )


class ShownTests(unittest.SynchronousTestCase):
    """The settings in effect."""

    @settings(max_examples=50, deadline=None)
    @given(_sections())
    def test_round_trip(self, effective: config.Settings) -> None:
        """Shown settings read back value by value, whatever their values."""
        document = tomllib.loads(config.shown(effective))
        for one in ALL:
            value = one.written.from_toml(document[one.section][one.name], True)
            self.assertEqual(value, getattr(getattr(effective, one.section), one.name), one.key)

    @given(st.text())
    def test_texts_in_toml(self, text: str) -> None:
        """Any text, control characters included, is written so that TOML reads it back."""
        self.assertEqual(tomllib.loads(f"a = {toml_value([text])}")["a"], [text])

    def test_secrets_are_masked(self) -> None:
        """Of a secret only that it is set, and how many there are, is shown."""
        effective = config.Settings(
            store=config.StoreSettings(redis="redis://:hunter2@host"),
            keys=config.KeySettings(master_keys=("A" * 43, "E" * 43)),
        )
        text = config.shown(effective)
        self.assertIn('redis = "********"\n', text)
        self.assertIn('master_keys = ["********", "********"]\n', text)
        self.assertIn('[administrator]\nusername = ""\npassword = ""\n', text)
        self.assertNotIn("hunter2", text)
        self.assertNotIn("AAAA", text)


class FlagTests(unittest.SynchronousTestCase):
    """The command line."""

    def test_flags(self) -> None:
        """The documented flags exist, each in its kind and with its default."""
        found = {flag.long: (flag.kind, flag.default) for flag in config.flags()}
        self.assertEqual(
            found,
            {
                "listen": ("repeatable", "tcp:8000:interface=127.0.0.1"),
                "issuer": ("parameter", None),
                "insecure-issuer": ("boolean", None),
                "data": ("parameter", None),
                "workers": ("parameter", "1"),
                "redis": ("parameter", None),
                "log-level": ("parameter", "info"),
                "log-json": ("boolean", None),
            },
        )

    def test_twisted_options_built_from_them(self) -> None:
        """Options built from the flags parse a command line into what `load` reads."""

        class Options(usage.Options):
            optParameters = [  # noqa: N815 - Twisted's name
                [flag.long, None, None, flag.help] for flag in config.flags() if flag.kind == "parameter"
            ]
            optFlags = [  # noqa: N815 - Twisted's name
                [flag.long, None, flag.help] for flag in config.flags() if flag.kind == "boolean"
            ]

            def opt_listen(self, text: str) -> None:
                self.setdefault("listen", []).append(text)

        options = Options()
        options.parseOptions(["--listen", "unix:/a", "--listen=unix:/b", "--issuer", "https://a.example", "--log-json"])
        effective = config.load(None, {}, options)
        self.assertEqual(effective.server.listen, ("unix:/a", "unix:/b"))
        self.assertEqual((effective.server.issuer, effective.log.json), ("https://a.example", True))
        self.assertIs(effective.server.insecure_issuer, False)
