"""`oauthd initial-access`: issue, list, revoke. Whoever is given such a token may register clients."""

from __future__ import annotations

from typing import Any

import click

from oauthd.command.members import given
from oauthd.command.output import done, show, table
from oauthd.command.server import Server, segment
from oauthd.protocol.grant_types import DEVICE_CODE

PATH = "/oauth/initial-access-tokens"


@click.group("initial-access")
def initial_access() -> None:
    """Tokens with which clients register themselves."""


@initial_access.command()
@click.option("--uses", type=int, help="How many clients it may register; 1 if not given.")
@click.option("--lifetime", type=int, help="For how many seconds; a day if not given.")
@click.option("--note", help="What it is for.")
@click.option("--scope", "scopes", multiple=True, help="What its clients may ask for; repeatable.")
@click.option("--grant", "grant_types", multiple=True, help="A grant type that they may have; repeatable.")
@click.option("--auth-method", "auth_methods", multiple=True, help="How they may authenticate; repeatable.")
@click.pass_obj
def issue(server: Server, /, **members: Any) -> None:
    """Issue a token, which is shown once."""
    body = given(members)
    if "grant_types" in body:
        body["grant_types"] = [DEVICE_CODE if one == "device_code" else one for one in body["grant_types"]]
    show(server, server.api("POST", PATH, body))


@initial_access.command("list")
@click.pass_obj
def list_(server: Server) -> None:
    """List the tokens that can be used; never their values."""
    rows = server.pages(PATH, "tokens")
    table(server, rows, ("token_id", "uses", "expires_at", "by", "note"))


@initial_access.command()
@click.argument("token_id")
@click.pass_obj
def revoke(server: Server, token_id: str) -> None:
    """Take a token back; clients that it registered stay."""
    server.api("DELETE", f"{PATH}/{segment(token_id)}")
    done(server, f"initial access token {token_id} is no good any more")
