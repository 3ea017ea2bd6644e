"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from oauthd.command.server import Server


def show(server: Server, value: Any) -> None:
    """One thing: a line for each member, or JSON."""
    if server.as_json:
        click.echo(json.dumps(value, indent=1))
        return
    width = max((len(name) for name in value), default=0)
    for name, one in value.items():
        click.echo(f"{name:<{width}}  {_text(name, one)}")


def table(server: Server, rows: Sequence[dict[str, Any]], columns: Iterable[str]) -> None:
    """Many things: a row each, or JSON."""
    if server.as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    names = list(columns)
    cells = [names, *([_text(name, row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    for line in cells:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def done(server: Server, sentence: str) -> None:
    """Something was done that has no answer."""
    click.echo(json.dumps({"done": sentence}) if server.as_json else sentence)


def _text(name: str, value: Any) -> str:
    if value is None or value == [] or value == {}:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and (name.endswith("_at") or name in ("exp", "iat", "nbf", "signs_from", "auth_time")):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return _visible(" ".join(value))
    return _visible(value if isinstance(value, str) else json.dumps(value))


def _visible(text: str) -> str:
    """Names come from strangers: nothing in them may steer the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
