"""`oauthd keys`: list, rotate, reseal, drop."""

from __future__ import annotations

import click

from oauthd.command.output import show, table
from oauthd.command.server import Server, segment

COLUMNS = ("kid", "algorithm", "stage", "created_at", "signs_from", "retires_at")


@click.group()
def keys() -> None:
    """Keys that sign, and keys that clients encrypt to."""


@keys.command("list")
@click.pass_obj
def list_(server: Server) -> None:
    """List the keys and their stages."""
    table(server, server.api("GET", "/keys")["keys"], COLUMNS)


@keys.command()
@click.option("--announce", type=click.IntRange(0), help="Seconds until they sign; 0: at once.")
@click.pass_obj
def rotate(server: Server, announce: int | None) -> None:
    """Make and announce new keys."""
    body = {} if announce is None else {"announce": announce}
    table(server, server.api("POST", "/keys/rotate", body)["keys"], COLUMNS)


@keys.command()
@click.pass_obj
def reseal(server: Server) -> None:
    """Seal keys and secrets with the first master key. The older ones may go once no clients hang on them."""
    show(server, server.api("POST", "/keys/reseal"))


# A kid may begin with a hyphen, and have an h in it.
@keys.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("kid")
@click.pass_obj
def drop(server: Server, kid: str) -> None:
    """Take a key out at once that has leaked."""
    table(server, server.api("DELETE", f"/keys/{segment(kid)}")["keys"], COLUMNS)
