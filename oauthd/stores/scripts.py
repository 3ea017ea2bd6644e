"""The Lua scripts, each a step that nothing can come between.

A script checks everything before its first write, because Redis does not roll back. All its keys stand in KEYS and
share a hash tag or are one key, but for the one that only reads (a cluster would want a call for each slot). It is
called by its SHA-1; the source is sent only when the server has forgotten it (restart, failover, SCRIPT FLUSH), which
`oauthd.stores.connection` does.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Any

from attrs import field, frozen

Word = bytes | str | int | float


@frozen
class Script:
    """One Lua script.

    :ivar name: its file, without the ending; stands in logs.
    :ivar sha: hexadecimal SHA-1 of the source, by which the server knows it.
    """

    name: str
    source: bytes = field(repr=False)
    sha: str = field(repr=False)

    def on(self, *keys: bytes, args: tuple[Word, ...] = ()) -> tuple[Script | Word, ...]:
        """The command that runs the script on these keys."""
        return (self, len(keys), *keys, *args)


def in_full(command: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same command, with the source of a script in place of its hash: no server can fail to know it."""
    first = command[0]
    return ("EVAL", first.source, *command[1:]) if isinstance(first, Script) else command


def _script(name: str) -> Script:
    source = files("oauthd.stores").joinpath("scripts", f"{name}.lua").read_bytes()
    return Script(name, source, hashlib.sha1(source, usedforsecurity=False).hexdigest())


COMMIT = _script("commit")
INDEX = _script("index")
PAGE = _script("page")
DROP = _script("drop")
FORGET = _script("forget")
BURY = _script("bury")
BEGIN = _script("begin")
RAISE = _script("raise")
END = _script("end")
AT_LEAST = _script("atleast")
BEAT = _script("beat")
PRESENT = _script("present")
ENQUEUE = _script("enqueue")
CLAIM = _script("claim")
REQUEUE = _script("requeue")
SETTLE = _script("settle")
