"""`oauthd message`: list, send, drop. Messages to clients, such as logout tokens, that were given up."""

from __future__ import annotations

import click

from oauthd.command.output import done, table
from oauthd.command.server import Server, segment


@click.group()
def message() -> None:
    """Messages to clients that were given up."""


@message.command("list")
@click.pass_obj
def list_(server: Server) -> None:
    """List them, with the reason of each."""
    rows = server.pages("/messages", "messages")
    table(server, rows, ("message_id", "sort", "client_id", "tries", "given_up_at", "reason"))


@message.command()
@click.argument("message_ids", metavar="MESSAGE_ID", nargs=-1)
@click.option("--client", "client_id", help="All of this client.")
@click.pass_obj
def send(server: Server, message_ids: tuple[str, ...], client_id: str | None) -> None:
    """Send messages again, as if they were new."""
    for message_id in _meant(server, message_ids, client_id):
        server.api("POST", f"/messages/{segment(message_id)}/send")
        done(server, f"message {message_id} is sent again")


@message.command()
@click.argument("message_ids", metavar="MESSAGE_ID", nargs=-1)
@click.option("--client", "client_id", help="All of this client.")
@click.pass_obj
def drop(server: Server, message_ids: tuple[str, ...], client_id: str | None) -> None:
    """Forget messages; they will not be sent."""
    for message_id in _meant(server, message_ids, client_id):
        server.api("DELETE", f"/messages/{segment(message_id)}")
        done(server, f"message {message_id} is forgotten")


def _meant(server: Server, message_ids: tuple[str, ...], client_id: str | None) -> list[str]:
    """The messages that are named, or all of a client."""
    if bool(message_ids) == (client_id is not None):
        raise click.UsageError("Name messages, or a client by '--client'.")
    if client_id is None:
        return list(message_ids)
    return [row["message_id"] for row in list(server.pages("/messages", "messages")) if row["client_id"] == client_id]
