"""`oauthd user`: add, list, passwd, user-code, sessions, deactivate, reactivate.

A password or a user code is asked for, or comes on standard input.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from oauthd.command.output import done, show, table
from oauthd.command.server import Server, segment
from oauthd.command.terminal import Refused


@click.group()
def user() -> None:
    """People who sign in."""


@user.command()
@click.argument("username")
@click.option("--email", help="Email address.")
@click.option("--name", help="Full name.")
@click.option("--admin", is_flag=True, help="May administer the server.")
@click.pass_obj
def add(server: Server, username: str, email: str | None, name: str | None, admin: bool) -> None:
    """Add a user; the password is asked for, or is the first line of standard input."""
    server.bearer()  # whoever may not is told before the password is asked for
    body: dict[str, Any] = {"username": username, "password": _secret("Password")}
    if email:
        body["email"] = email
    if name:
        body["claims"] = {"name": name}
    if admin:
        body["roles"] = ["admin"]
    show(server, server.api("POST", "/users", body))


@user.command("list")
@click.pass_obj
def list_(server: Server) -> None:
    """List users."""
    rows = server.pages("/users", "users")
    table(server, rows, ("user_id", "username", "email", "roles", "is_active", "created_at"))


@user.command()
@click.argument("username")
@click.pass_obj
def passwd(server: Server, username: str) -> None:
    """Set a user's password; sessions and tokens of the user end."""
    server.api("PUT", f"/users/{segment(_id_of(server, username))}/password", {"password": _secret("Password")})
    done(server, f"the password of {username} is set")


@user.command("user-code")
@click.argument("username")
@click.option("--none", "none", is_flag=True, help="Take it away.")
@click.pass_obj
def user_code(server: Server, username: str, none: bool) -> None:
    """Set the code without which no application asks for a user by CIBA."""
    code = None if none else _secret("User code")
    server.api("PUT", f"/users/{segment(_id_of(server, username))}/user-code", {"user_code": code})
    done(server, f"{username} has no user code" if none else f"the user code of {username} is set")


@user.command()
@click.argument("username")
@click.pass_obj
def sessions(server: Server, username: str) -> None:
    """List the sessions in which a user is signed in."""
    rows = server.pages(f"/users/{segment(named(server, username))}/sessions", "sessions")
    table(server, rows, ("session_id", "signed_in_at", "expires_at", "clients"))


@user.command()
@click.argument("username")
@click.pass_obj
def deactivate(server: Server, username: str) -> None:
    """Deactivate a user; sessions and tokens of the user end at once."""
    server.api("DELETE", f"/users/{segment(_id_of(server, username))}")
    done(server, f"{username} is deactivated and all tokens are dead")


@user.command()
@click.argument("username")
@click.pass_obj
def reactivate(server: Server, username: str) -> None:
    """Let a deactivated user sign in again."""
    server.api("POST", f"/users/{segment(_id_of(server, username))}/reactivate")
    done(server, f"{username} may sign in again")


def named(server: Server, user: str) -> str:
    """The id of the user who has this name, else this id."""
    found = server.pages("/users", "users", username=user)
    return str((found[0] if found else server.api("GET", f"/users/{segment(user)}"))["user_id"])


def _id_of(server: Server, username: str) -> str:
    found = server.pages("/users", "users", username=username)
    if not found:
        raise Refused(f"there is no user {username}")
    return str(found[0]["user_id"])


def _secret(what: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, confirmation_prompt=True))
    line = sys.stdin.readline()
    if not line:
        raise Refused(f"there is no {what.lower()} on standard input")
    return line.rstrip("\r\n")
