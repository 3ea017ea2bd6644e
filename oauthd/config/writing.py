"""Settings written for people: the sample file, the reference page, and the settings in effect.

All computed from the declarations. In the sample file a line of help begins with "# " and a setting with "#" alone, so
that taking the "#" away switches a setting on with its default. Secrets are never written, only that they are set.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import get_type_hints

from oauthd.config.declarations import Settings
from oauthd.config.setting import Declared, declared, introduction

MASK = "********"
_WIDTH = 110


def sample_toml() -> str:
    """The sample file: every setting with its help and default, all of them commented out."""
    return "\n".join(_sample_lines()) + "\n"


def reference_markdown() -> str:
    """The reference page of all settings."""
    return "\n".join(_reference_lines()) + "\n"


def shown(settings: Settings) -> str:
    """The settings in effect as TOML. Secrets that are set are masked."""
    lines: list[str] = []
    for section, members in declared(Settings).items():
        lines += ["", f"[{section}]"] if lines else [f"[{section}]"]
        for one in members:
            value = getattr(getattr(settings, section), one.name)
            lines.append(f"{one.name} = {toml_value(_masked(one, value))}")
    return "\n".join(lines) + "\n"


def toml_value(plain: object) -> str:
    """One text, number, boolean or list of these in TOML, for which JSON serves but for one character."""
    return json.dumps(plain, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")


def _masked(one: Declared, value: object) -> object:
    if one.facts.secret and value:
        return [MASK] * len(value) if isinstance(value, tuple) else MASK
    return one.written.plain(value)


def _sections() -> Iterator[tuple[str, str, tuple[Declared, ...]]]:
    """Name, introduction and members of each section."""
    kinds = get_type_hints(Settings)
    for section, members in declared(Settings).items():
        yield section, introduction(kinds[section]), members


def _default(one: Declared) -> str:
    return toml_value(one.written.plain(one.default))


def _sample_lines() -> Iterator[str]:
    yield from _comment(
        "Settings of oauthd. Every setting is shown with its default, commented out: take away the # in front of its "
        "name to change it. Environment variables (OAUTHD_SECTION_NAME) come before this file, flags before both."
    )
    yield from _comment("Generated from oauthd/config; do not edit in the source tree.")
    for section, about, members in _sections():
        yield ""
        yield f"[{section}]"
        yield from _comment(" ".join(about.split()))
        for one in members:
            yield ""
            yield from _comment(one.facts.help)
            yield from _comment(_accepted(one))
            if one.file_name is not None:
                yield from _comment(f"Secret. Instead of the value, {one.file_name} may name a file that holds it.")
            yield f"#{one.name} = {_default(one)}"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )


def _accepted(one: Declared) -> str:
    """What is accepted, the specification and whether it is reloaded, in a line."""
    sentences = [one.accepted[0].upper() + one.accepted[1:]]
    if one.facts.spec is not None:
        sentences.append(one.facts.spec)
    if one.facts.reloadable:
        sentences.append("Reloaded without a restart")
    return ". ".join(sentences) + "."


def _reference_lines() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield from textwrap.wrap(
        "A setting is taken from the first of these that gives it: its flag, its environment variable, the TOML file "
        "named by `--config`, its default. Unknown names are refused. In the environment lists are separated by "
        'commas. An empty text ("") stands for "not set" where a setting may be empty. A secret may be given as the '
        "path of a file that holds it; relative paths in the TOML file start from its folder.",
        _WIDTH,
    )
    yield ""
    yield "`oauthd config check` says what is wrong with the settings, `oauthd config show` which ones are in effect."
    yield ""
    yield "This page is generated from `oauthd/config`."
    for section, about, members in _sections():
        yield from ("", f"## {section}", "", *textwrap.wrap(" ".join(about.split()), _WIDTH))
        for one in members:
            yield from ("", f"### `{one.key}`", "", *textwrap.wrap(one.facts.help, _WIDTH), "")
            yield from (f"- {fact}" for fact in _facts(one))


def _facts(one: Declared) -> Iterator[str]:
    yield f"Default: `{_default(one)}`"
    yield f"Accepted: {one.accepted}"
    yield f"Environment: `{one.variable}`"
    if one.facts.flag is not None:
        yield f"Flag: `--{one.facts.flag}`" + (" (may be repeated)" if one.flag_kind == "repeatable" else "")
    if one.file_name is not None:
        yield f"Secret; from a file: `{one.section}.{one.file_name}` or `{one.variable}_FILE`"
    if one.facts.spec is not None:
        yield f"Specification: {one.facts.spec}"
    if one.facts.reloadable:
        yield "Reloaded without a restart"


def generated() -> dict[str, str]:
    """What the source tree must hold, by path."""
    return {"etc/oauthd.toml": sample_toml(), "etc/docs/settings.md": reference_markdown()}
