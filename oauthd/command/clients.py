"""`oauthd client`: create, list, show, update, rotate, delete."""

from __future__ import annotations

from typing import Any

import click

from oauthd.command.members import Keys, cleared, given, options
from oauthd.command.output import done, show, table
from oauthd.command.server import Server, segment
from oauthd.protocol.grant_types import DEVICE_CODE, JWT_BEARER, TOKEN_EXCHANGE

SHORT = {"device_code": DEVICE_CODE, "token_exchange": TOKEN_EXCHANGE, "jwt_bearer": JWT_BEARER}
GRANTS = f"A grant type; {', '.join(SHORT)} for short; repeatable."
EXCHANGES = "Whose tokens it may exchange: a JSON list of rules in a file, or -."


@click.group()
def client() -> None:
    """Applications that may ask for tokens."""


@client.command()
@click.option("--name", required=True, help="What people see at consent.")
@click.option("--public", is_flag=True, help="It can keep no secret: a browser or native application.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where codes may be sent; repeatable.")
@click.option("--post-logout-redirect-uri", "post_logout_redirect_uris", multiple=True, help="Repeatable.")
@click.option("--grant", "grants", multiple=True, help=GRANTS)
@click.option("--scope", "scopes", multiple=True, help="What it may ask for; repeatable; all but reserved if none.")
@click.option("--default-scope", "default_scopes", multiple=True, help="What a request without scope gets.")
@click.option("--resource", "resources", multiple=True, help="A resource (URI) that it owns; repeatable.")
@click.option("--access-format", type=click.Choice(["jwt", "opaque"]), help="Of its access tokens.")
@click.option("--first-party", is_flag=True, help="People are not asked for consent, where that is safe.")
@click.option("--profile", help="What is demanded of it beside the server's own profile: fapi1, fapi2, or plain.")
@click.option("--pkce-required/--no-pkce-required", default=None, help="PKCE also for a confidential client.")
@click.option("--id-token-algorithm", help="What signs its id tokens; the server's setting if not given.")
@click.option("--exchanges", type=Keys(), help=EXCHANGES)
@click.option("--client-id", help="Chosen instead of made.")
@options
@click.pass_obj
def create(server: Server, /, public: bool, grants: tuple[str, ...], **members: Any) -> None:
    """Register a client; the secret is shown once."""
    body = given(members)
    body["client_type"] = "public" if public else "confidential"
    if grants:
        body["grant_types"] = [SHORT.get(grant, grant) for grant in grants]
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
@click.option("--name", help="What people see at consent.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="All that there are to be; repeatable.")
@click.option("--scope", "scopes", multiple=True, help="All that it may ask for; repeatable.")
@click.option("--default-scope", "default_scopes", multiple=True, help="What a request without scope gets.")
@click.option("--profile", help="What is demanded of it beside the server's own profile: fapi1, fapi2, or plain.")
@click.option("--pkce-required/--no-pkce-required", default=None, help="PKCE also for a confidential client.")
@click.option("--id-token-algorithm", help="What signs its id tokens; the server's setting if not given.")
@click.option("--exchanges", type=Keys(), help=EXCHANGES)
@click.option("--active/--inactive", "is_active", default=None, help="Inactive: its tokens end.")
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
