"""Text for a terminal: nothing that strangers chose may steer it, and every cell of a table has its width."""

from __future__ import annotations

import sys
import unicodedata
from typing import Any

import click


def visible(text: str) -> str:
    """The text in one line, without anything that a terminal obeys: escapes, line ends, changes of direction."""
    return "".join(map(_visible, text))


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    return " " if unicodedata.category(letter) == "Zs" else "\N{REPLACEMENT CHARACTER}"


def width(text: str) -> int:
    """How many columns a visible text takes."""
    return sum(_columns(letter) for letter in text)


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def say(text: str, *, err: bool = False) -> None:
    """Print; what the terminal's encoding cannot write becomes a question mark."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "replace").decode(encoding), err=err)


class Refused(click.ClickException):
    """It cannot be done; shown as one line, or as one for each problem."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(map(visible, problems)))

    def show(self, file: Any = None) -> None:
        """Print it."""
        say(f"Error: {self.format_message()}", err=True)
