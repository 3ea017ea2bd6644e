"""`oauthd token`: get, list, revoke, introspect. A token is read from standard input when the argument is `-`."""

from __future__ import annotations

import sys

import click

from oauthd.command.output import done, show, table
from oauthd.command.server import Server, segment
from oauthd.command.terminal import Refused, say
from oauthd.command.users import named


@click.group()
def token() -> None:
    """Access and refresh tokens."""


@token.command()
@click.option("--scope", default="admin", show_default=True, help="Scopes, separated by blanks.")
@click.option("--resource", help="The resource that it is for.")
@click.pass_obj
def get(server: Server, scope: str, resource: str | None) -> None:
    """Get an access token for the admin client; only the token is printed."""
    asked = {"grant_type": "client_credentials", "scope": scope or None, "resource": resource}
    answer = server.form("/oauth2/token", asked)
    if server.as_json:
        show(server, answer)
    else:
        say(answer["access_token"])


@token.command("list")
@click.option("--client", "client_id", help="Of this client.")
@click.option("--user", help="Of the user with this name or id.")
@click.option("--kind", type=click.Choice(["access", "refresh"]))
@click.pass_obj
def list_(server: Server, client_id: str | None, user: str | None, kind: str | None) -> None:
    """List live tokens; never their values."""
    user_id = named(server, user) if user else None
    rows = server.pages("/oauth/tokens", "tokens", client_id=client_id, user_id=user_id, kind=kind)
    table(server, rows, ("token_id", "kind", "client_id", "username", "scope", "expires_at", "grant_id"))


@token.command()
@click.argument("value", required=False)
@click.option("--id", "token_id", help="The token of this id, as lists show it.")
@click.option("--user", help="Every token of the user with this name or id.")
@click.option("--client", "client_id", help="Every token of this client.")
@click.option("--grant", "grant_id", help="The grant of this id, as lists show it, with every token of it.")
@click.option("--session", "session_id", help="The session of this id, with every token of it.")
@click.option("--resource", help="Every access token for this resource.")
@click.option("--all", "everything", is_flag=True, help="Every token there is, your own included.")
@click.pass_obj
def revoke(
    server: Server,
    value: str | None,
    token_id: str | None,
    user: str | None,
    client_id: str | None,
    grant_id: str | None,
    session_id: str | None,
    resource: str | None,
    everything: bool,
) -> None:
    """Revoke a token by its value (`-`: from standard input), or whatever the option names."""
    which = {"client_id": client_id, "grant_id": grant_id, "resource": resource}
    given = [one for one in (value, token_id, user, session_id, *which.values(), everything or None) if one]
    if len(given) != 1:
        raise Refused("name one thing to revoke")
    if value:
        server.api("POST", "/oauth/tokens/revoke", {"token": _value(value)})
    elif session_id:
        server.api("DELETE", f"/sessions/{segment(session_id)}")
    elif token_id:
        server.api("DELETE", f"/oauth/tokens/{segment(token_id)}")
    else:
        all_ = "true" if everything else None
        user_id = named(server, user) if user else None
        server.api("DELETE", "/oauth/tokens", user_id=user_id, **which, all=all_)
    done(server, "revoked")


@token.command()
@click.argument("value")
@click.pass_obj
def introspect(server: Server, value: str) -> None:
    """Tell what a token is good for (`-`: read it from standard input)."""
    show(server, server.form("/oauth2/introspect", {"token": _value(value)}))


def _value(argument: str) -> str:
    return sys.stdin.readline().strip() if argument == "-" else argument
