"""What the documents tell people to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
from twisted.trial.unittest import SynchronousTestCase

from oauthd.command import main

HERE = Path(__file__).parents[2]
PAGES = (HERE / "README.md", *sorted((HERE / "etc" / "docs").glob("*.md")))
_CODE = re.compile(r"^```sh\n(.*?)^```|^( {4}.*)$", re.M | re.S)
_COMMAND = re.compile(r"^ *(?:echo [^|]*\| )?(oauthd .*)$", re.M)


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command of a page, without what the shell does with them."""
    for fenced, indented in _CODE.findall(page.read_text().replace("\\\n", " ")):
        for line in _COMMAND.findall(fenced or indented):
            yield shlex.split(re.split(r" [|<>] ?", line)[0], comments=True)


def unknown(words: list[str]) -> list[str]:
    """The commands and options that there are not."""
    command: click.Command = main
    for word in words[1:]:
        if word.startswith("-") and word != "-":
            if all(word.partition("=")[0] not in (*one.opts, *one.secondary_opts) for one in command.params):
                return [word]
        elif isinstance(command, click.Group):
            if word not in command.commands:
                return [word]
            command = command.commands[word]
    return []


class CommandTests(SynchronousTestCase):
    """Commands in the documents."""

    def test_they_are_there(self) -> None:
        """Each command that a page shows exists, with the options that it shows."""
        found = [(page.name, words) for page in PAGES for words in commands(page)]
        self.assertGreater(len(found), 10)
        self.assertEqual([(name, words) for name, words in found if unknown(words)], [])
