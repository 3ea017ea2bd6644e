"""The flags of the command line, computed from the declarations; the wiring of twistd builds its Options from them."""

from __future__ import annotations

import attrs

from oauthd.config.declarations import Settings
from oauthd.config.setting import Declared, FlagKind, declared


@attrs.frozen
class Flag:
    """One flag.

    `long` is its name without dashes, under which `load` looks for its value; `kind` is "parameter" (takes one value),
    "boolean" (takes none) or "repeatable" (takes one value each time); `default` is the setting's default as text, None
    when there is none; `setting` its key, such as `server.listen`.
    """

    long: str
    kind: FlagKind
    default: str | None
    help: str
    setting: str


def flags() -> tuple[Flag, ...]:
    """All flags, in the order of the declarations. The flag that names the file itself is not a setting."""
    everything = (one for section in declared(Settings).values() for one in section)
    return tuple(_flag(one, one.facts.flag) for one in everything if one.facts.flag is not None)


def _flag(one: Declared, long: str) -> Flag:
    plain = one.written.plain(one.default)
    default = ", ".join(map(str, plain)) if isinstance(plain, list) else str(plain)
    return Flag(long, one.flag_kind, (default or None) if one.flag_kind != "boolean" else None, one.facts.help, one.key)
