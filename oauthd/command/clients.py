"""`oauthd client`: create, list, show, update, rotate, delete."""

from __future__ import annotations

from typing import Any

import click

from oauthd.command.members import cleared, given, options
from oauthd.command.output import done, show, table
from oauthd.command.server import Server, segment


@click.group()
def client() -> None:
    """Applications that may ask for tokens."""


@client.command()
@click.option("--public", is_flag=True, help="It can keep no secret: a browser or native application.")
@click.option("--client-id", help="Chosen instead of made.")
@options
@click.pass_obj
def create(server: Server, /, public: bool, **members: Any) -> None:
    """Register a client; the secret is shown once."""
    if members["name"] is None:
        raise click.UsageError("Missing option '--name'.")
    body = given(members) | {"client_type": "public" if public else "confidential"}
    show(server, server.api("POST", "/oauth/clients", body))


@client.command("list")
@click.pass_obj
def list_(server: Server) -> None:
    """List clients."""
    rows = server.pages("/oauth/clients", "clients")
    table(server, rows, ("client_id", "name", "client_type", "grant_types", "is_active", "created_at"))


@client.command("show")
@click.argument("client_id")
@click.pass_obj
def show_(server: Server, client_id: str) -> None:
    """Show a client."""
    show(server, server.api("GET", f"/oauth/clients/{segment(client_id)}"))


@client.command()
@click.argument("client_id")
@click.option("--clear", "clear", multiple=True, metavar="MEMBER", help="A member that is to be empty; repeatable.")
@options
@click.pass_obj
def update(server: Server, /, client_id: str, clear: tuple[str, ...], **members: Any) -> None:
    """Change what is given; all else stays as it is."""
    show(server, server.api("PUT", f"/oauth/clients/{segment(client_id)}", {**given(members), **cleared(clear)}))


@client.command()
@click.argument("client_id")
@click.pass_obj
def rotate(server: Server, client_id: str) -> None:
    """Give a client a new secret; the old one works for a while."""
    show(server, server.api("POST", f"/oauth/clients/{segment(client_id)}/secret"))


@client.command()
@click.argument("client_id")
@click.confirmation_option(prompt="Delete the client and end all its tokens?")
@click.pass_obj
def delete(server: Server, client_id: str) -> None:
    """Delete a client; its tokens end with it."""
    server.api("DELETE", f"/oauth/clients/{segment(client_id)}")
    done(server, f"client {client_id} is deleted and its tokens are dead")
