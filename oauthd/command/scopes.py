"""`oauthd scope`: create, list, update, delete."""

from __future__ import annotations

import click

from oauthd.command.output import done, show, table
from oauthd.command.server import Server
from oauthd.command.terminal import Refused


@click.group()
def scope() -> None:
    """What applications may ask for."""


@scope.command()
@click.argument("name")
@click.option("--description", default="", help="What people read at consent.")
@click.option("--reserved", is_flag=True, help="Only clients whose list names it may ask for it.")
@click.pass_obj
def create(server: Server, name: str, description: str, reserved: bool) -> None:
    """Create a scope."""
    body = {"name": name, "description": description, "reserved": reserved}
    show(server, server.api("POST", "/oauth/scopes", body))


@scope.command("list")
@click.pass_obj
def list_(server: Server) -> None:
    """List scopes."""
    rows = server.api("GET", "/oauth/scopes")["scopes"]
    table(server, rows, ("scope_id", "name", "description", "reserved", "administrators_only"))


@scope.command()
@click.argument("name")
@click.option("--description", required=True, help="What people read at consent.")
@click.pass_obj
def update(server: Server, name: str, description: str) -> None:
    """Change a scope's description."""
    show(server, server.api("PUT", f"/oauth/scopes/{_id_of(server, name)}", {"description": description}))


@scope.command()
@click.argument("name")
@click.pass_obj
def delete(server: Server, name: str) -> None:
    """Delete a scope: nothing new is granted for it."""
    server.api("DELETE", f"/oauth/scopes/{_id_of(server, name)}")
    done(server, f"scope {name} is deleted")


def _id_of(server: Server, name: str) -> int:
    for one in server.api("GET", "/oauth/scopes")["scopes"]:
        if one["name"] == name:
            return int(one["scope_id"])
    raise Refused(f"there is no scope {name}")
