"""Settings on their way to another process of the same server, as a JSON value; secrets are in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_type_hints

from oauthd.config.declarations import Settings
from oauthd.config.setting import declared

Plain = dict[str, dict[str, object]]


def passed(settings: Settings) -> Plain:
    """Every setting by section and name, as TOML and JSON know it."""
    return {
        section: {one.name: one.written.plain(getattr(getattr(settings, section), one.name)) for one in members}
        for section, members in declared(Settings).items()
    }


def received(plain: Mapping[str, Mapping[str, object]]) -> Settings:
    """The settings that `passed` gave.

    :raises ValueError: it gave no such thing.
    """
    kinds = get_type_hints(Settings)
    sections: dict[str, Any] = {
        section: kinds[section](**{one.name: one.written.from_toml(plain[section][one.name], False) for one in members})
        for section, members in declared(Settings).items()
    }
    return Settings(**sections)
