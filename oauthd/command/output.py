"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from oauthd.command.server import Server
from oauthd.command.terminal import say, visible, width
from oauthd.protocol.grant_types import DEVICE_CODE

SHORT = {DEVICE_CODE: "device_code"}  # as `client create` takes it
TIMES = ("exp", "iat", "nbf", "signs_from", "auth_time")


def show(server: Server, value: dict[str, Any]) -> None:
    """One thing: a line for each member, or JSON."""
    if server.as_json:
        say(json.dumps(value, indent=1))
        return
    longest = max(map(width, value), default=0)
    for name, one in value.items():
        say(f"{_padded(visible(name), longest)}  {_text(name, one)}")


def table(server: Server, rows: Sequence[dict[str, Any]], columns: Iterable[str]) -> None:
    """Many things: a row each, or JSON."""
    if server.as_json:
        say(json.dumps(rows, indent=1))
        return
    names = list(columns)
    lines = [names, *([_text(name, row.get(name)) for name in names] for row in rows)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(names))]
    for line in lines:
        say("  ".join(_padded(cell, longest) for cell, longest in zip(line, widths, strict=True)).rstrip())


def done(server: Server, sentence: str) -> None:
    """Something was done that has no answer."""
    say(json.dumps({"done": sentence}) if server.as_json else visible(sentence))


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def _text(name: str, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and (name.endswith("_at") or name in TIMES):
        return _time(value)
    if isinstance(value, dict):
        return ", ".join(f"{visible(member)}: {_text(member, one)}" for member, one in value.items())
    if isinstance(value, list):
        blank = "; " if any(isinstance(one, dict) for one in value) else " "
        return blank.join(_text("", one) for one in value)
    return visible(SHORT.get(value, value) if isinstance(value, str) else str(value))


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError, OSError):  # later than the calendar goes
        return str(seconds)
