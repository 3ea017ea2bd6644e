"""`oauthd keys`: list, rotate."""

from __future__ import annotations

import click

from oauthd.command.output import table
from oauthd.command.server import Server

COLUMNS = ("kid", "algorithm", "stage", "created_at", "signs_from", "retires_at")


@click.group()
def keys() -> None:
    """Signing keys."""


@keys.command("list")
@click.pass_obj
def list_(server: Server) -> None:
    """List the published keys and their stages."""
    table(server, server.api("GET", "/keys")["keys"], COLUMNS)


@keys.command()
@click.option("--announce", type=click.IntRange(0), help="Seconds until they sign; 0 after a key has leaked.")
@click.pass_obj
def rotate(server: Server, announce: int | None) -> None:
    """Make and announce new keys."""
    body = {} if announce is None else {"announce": announce}
    table(server, server.api("POST", "/keys/rotate", body)["keys"], COLUMNS)
