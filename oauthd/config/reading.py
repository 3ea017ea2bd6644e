"""Settings read from a TOML file, the environment and flags, in that order of precedence over the defaults.

Everything that is wrong is collected before `SettingsError` is raised, also in values that a later source replaces:
each problem names its source. Refuses unknown sections and keys, with the nearest name, and environment variables that
begin with OAUTHD_ and look like a setting but are none. The only files read are the one named and those that
`<name>_file` of a secret names. Problems and errors never quote a secret.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_type_hints

import attrs

from oauthd.config import commandline
from oauthd.config.declarations import Settings
from oauthd.config.rules import RULES, Rule
from oauthd.config.setting import Declared, declared

LARGEST_SECRET = 65536

# What container orchestrators put into the environment for a service that happens to be called oauthd or oauthd-server.
_SERVICE_LINK = re.compile(
    r"OAUTHD_(\w+_)?(SERVICE_HOST=[0-9a-f.:]+|SERVICE_PORT(_\w+)?=[0-9]+|PORT=\w+://\S+"
    r"|PORT_[0-9]+_(TCP|UDP|SCTP)(_\w+)?=\S+)"
)


class SettingsError(Exception):
    """The settings cannot be used. `problems` says why, one line each, with the source of what is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@attrs.frozen
class _Given:
    """One setting as one source gives it, not yet read. `read` raises ValueError with a reason."""

    setting: Declared
    source: str
    read: Callable[[], object]


@attrs.frozen
class _Problem:
    """Something wrong that belongs to no setting."""

    text: str


def load(path: str | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Read all settings.

    `path` is the TOML file or None; `environ` the environment; `flags` the command line's values by long flag name, as
    `twisted.python.usage.Options` holds them (None, 0 and empty lists mean "not given"; names that are no setting's
    are the caller's own). Raises SettingsError.
    """
    reading = _Reading()
    for item in (*_from_file(path), *_from_environment(environ), *_from_flags(flags)):
        reading.take(item)
    return reading.finish()


@attrs.define
class _Reading:
    """What was found so far."""

    values: dict[str, object] = attrs.Factory(dict)
    sources: dict[str, str] = attrs.Factory(dict)
    refused: set[str] = attrs.Factory(set)
    problems: list[str] = attrs.Factory(list)

    def take(self, item: _Given | _Problem) -> None:
        """Read one value; a later one replaces an earlier one."""
        if isinstance(item, _Problem):
            self.problems.append(item.text)
            return
        try:
            value = item.read()
            item.setting.facts.judge(value)
        except ValueError as reason:
            self.problems.append(f"{item.source}: {reason}")
            self.refused.add(item.setting.key)
        else:
            self.values[item.setting.key] = value
            self.sources[item.setting.key] = item.source

    def finish(self) -> Settings:
        """The settings, when nothing is wrong with them one by one or together."""
        settings = Settings(**{section: self._section(section) for section in _DECLARED})
        for rule in RULES:
            self._apply(rule, settings)
        if self.problems:
            raise SettingsError(self.problems)
        return settings

    def _section(self, section: str) -> Any:
        given = {one.name: self.values[one.key] for one in _DECLARED[section] if one.key in self.values}
        return _KINDS[section](**given)

    def _apply(self, rule: Rule, settings: Settings) -> None:
        if self.refused.intersection(rule.keys):
            return
        try:
            rule.check(settings)
        except ValueError as reason:
            # Only what somebody set can be wrong; the defaults keep all rules, which a test holds.
            sources = ", ".join(self.sources[key] for key in rule.keys if key in self.sources)
            self.problems.append(f"{sources}: {reason}")


_DECLARED = declared(Settings)
_KINDS = get_type_hints(Settings)
_ALL = tuple(one for section in _DECLARED.values() for one in section)


# The file


def _from_file(path: str | None) -> Iterator[_Given | _Problem]:
    if path is None:
        return
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        yield _Problem(f"{path}: cannot be read: {error.strerror}")
        return
    except (ValueError, RecursionError) as error:
        # Neither the parser's nor the decoder's words quote more than a position.
        reason = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"is not TOML: {error}"
        yield _Problem(f"{path}: {reason}")
        return
    for section, table in document.items():
        if section not in _DECLARED:
            yield _Problem(f"{path}: {section}: {_unknown_section(section, table)}")
        elif not isinstance(table, dict):
            yield _Problem(f"{path}: {section}: is a section, to be written as [{section}]")
        else:
            yield from _from_table(path, section, table)


def _from_table(path: str, section: str, table: Mapping[str, object]) -> Iterator[_Given | _Problem]:
    names = {one.name: one for one in _DECLARED[section]}
    files = {one.file_name: one for one in _DECLARED[section] if one.file_name is not None}
    for name, value in table.items():
        source = f"{path}: {section}.{name}"
        if name in names:
            yield _Given(names[name], source, _toml_value(names[name], value))
        elif name in files and files[name].name in table:
            yield _Problem(f"{source}: is given besides {section}.{files[name].name}; only one of them can count")
        elif name in files:
            yield _Given(files[name], source, _toml_file(files[name], value, os.path.dirname(path)))
        else:
            yield _Problem(f"{source}: {_unknown_name(section, name)}")


def _toml_value(setting: Declared, value: object) -> Callable[[], object]:
    return lambda: setting.written.from_toml(value, not setting.facts.secret)


def _toml_file(setting: Declared, value: object, folder: str) -> Callable[[], object]:
    def read() -> object:
        if not isinstance(value, str):
            raise ValueError("must be the path of a file")
        return _secret_in(setting, os.path.join(folder, value))

    return read


def _secret_in(setting: Declared, path: str) -> object:
    """The secret that a file holds: all of it but one line end; of a list, one item a line."""
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_SECRET + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise ValueError(f"the file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"the file {path} is not UTF-8 text") from None
    if len(content) > LARGEST_SECRET:
        raise ValueError(f"the file {path} is larger than {LARGEST_SECRET} bytes")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        # An empty file is a secret that went missing, not a wish to have none.
        raise ValueError(f"the file {path} is empty")
    return setting.written.from_text(text if not setting.written.is_list else ",".join(text.split()), False)


# The environment


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Given | _Problem]:
    names = {one.variable: one for one in _ALL}
    files = {f"{one.variable}_FILE": one for one in _ALL if one.facts.secret}
    for name in sorted(name for name in environ if name.startswith("OAUTHD_")):
        if name in names:
            yield _Given(names[name], name, _text_value(names[name], environ[name]))
        elif name in files and files[name].variable in environ:
            yield _Problem(f"{name}: is given besides {files[name].variable}; only one of them can count")
        elif name in files:
            yield _Given(files[name], name, _text_file(files[name], environ[name]))
        elif _is_settings_like(name, environ[name], [*names, *files]):
            rest = [known.removeprefix("OAUTHD_") for known in (*names, *files)]
            yield _Problem(f"{name}: no such setting{_perhaps(name.removeprefix('OAUTHD_'), rest, 'OAUTHD_')}")


def _is_settings_like(name: str, value: str, known: Sequence[str]) -> bool:
    """Whether an unknown variable was meant for us. Others may begin with OAUTHD_ too: the command has its own."""
    if _SERVICE_LINK.fullmatch(f"{name}={value}"):
        return False
    section = name.removeprefix("OAUTHD_").partition("_")[0].lower()
    return section in _DECLARED or bool(difflib.get_close_matches(name, known, n=1, cutoff=0.85))


def _text_value(setting: Declared, text: str) -> Callable[[], object]:
    return lambda: setting.written.from_text(text, not setting.facts.secret)


def _text_file(setting: Declared, path: str) -> Callable[[], object]:
    return lambda: _secret_in(setting, path)


# Flags


def _from_flags(given: Mapping[str, object]) -> Iterator[_Given]:
    by_key = {one.key: one for one in _ALL}
    for flag in commandline.flags():
        value = given.get(flag.long)
        if value not in (None, 0, [], ()):
            yield _Given(by_key[flag.setting], f"--{flag.long}", _flag_value(by_key[flag.setting], value))


def _flag_value(setting: Declared, value: object) -> Callable[[], object]:
    def read() -> object:
        quote = not setting.facts.secret
        if setting.flag_kind == "boolean":
            return True
        if setting.flag_kind == "repeatable" and isinstance(value, list | tuple):
            return setting.written.from_toml([str(item) for item in value], quote)
        return setting.written.from_text(str(value), quote)

    return read


# Names that are none


def _unknown_section(section: str, value: object) -> str:
    if not isinstance(value, dict):
        nearest = difflib.get_close_matches(section, [one.name for one in _ALL], n=1)
        owners = [one for one in _ALL if one.name in nearest]
        if owners:
            return f"stands outside of any section; did you mean {owners[0].name} under [{owners[0].section}]?"
    return f"no such section{_perhaps(section, list(_DECLARED))}"


def _unknown_name(section: str, name: str) -> str:
    here = [known for one in _DECLARED[section] for known in (one.name, one.file_name) if known is not None]
    elsewhere = [one.section for one in _ALL if one.section != section and name in (one.name, one.file_name)]
    if elsewhere:
        return f"no such setting here; it belongs under [{elsewhere[0]}]"
    return f"no such setting{_perhaps(name, here)}"


def _perhaps(name: str, known: Sequence[str], prefix: str = "") -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {prefix}{nearest[0]}?" if nearest else ""
