"""The server that the command talks to: where it is, who we are there, and one call of its HTTP interface.

Address and credentials come from options, the environment, or the data folder of a server on this machine.
"""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import click
from attrs import define, field

from oauthd.config import listener
from oauthd.runtime.data import DataFolder

TIMEOUT = 30.0  # seconds


class Refused(click.ClickException):
    """The server refused, or is not there; shown as one line."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        """No request of ours is to be sent elsewhere, credentials and all."""


@define
class Server:
    """Where the commands go."""

    url: str | None
    data: str | None
    client_id: str | None
    client_secret: str | None = field(repr=False)
    as_json: bool
    _token: str | None = field(default=None, init=False, repr=False)

    def api(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call the admin API as an administrator; the decoded answer, None for an empty one."""
        named = {name: value for name, value in query.items() if value is not None}
        target = f"/api/v1{path}" + (f"?{urlencode(named)}" if named else "")
        headers = {"Authorization": f"Bearer {self._bearer()}"}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        return self._send(method, target, content, headers)

    def pages(self, path: str, name: str, **query: Any) -> list[Any]:
        """Every row of a list."""
        rows: list[Any] = []
        cursor = None
        while True:
            page = self.api("GET", path, cursor=cursor, limit=200, **query)
            rows += page[name]
            cursor = page.get("next_cursor")
            if cursor is None:
                return rows

    def form(self, path: str, fields: Mapping[str, str | None]) -> Any:
        """Send a form as the admin client; the decoded answer."""
        client_id, secret = self._credentials()
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()  # RFC 6749 section 2.3.1
        headers = {
            "Authorization": "Basic " + base64.b64encode(pair).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        given = {name: value for name, value in fields.items() if value is not None}
        return self._send("POST", path, urlencode(given).encode(), headers)

    def _bearer(self) -> str:
        if self._token is None:
            asked = {"grant_type": "client_credentials", "scope": "admin"}
            self._token = str(self.form("/oauth2/token", asked)["access_token"])
        return self._token

    def _credentials(self) -> tuple[str, str]:
        if self.client_id and self.client_secret:
            return self.client_id, self.client_secret
        told = self._read(self._folder().admin_credentials)
        if told is None:
            raise Refused(
                "no credentials: set OAUTHD_CLIENT_ID and OAUTHD_CLIENT_SECRET, or name the server's data folder"
            )
        return told["client_id"], told["client_secret"]

    def address(self) -> str:
        """The server's address: what was given, else a loopback listener of the server on this machine."""
        if self.url:
            return self.url.rstrip("/")
        told = self._read(self._folder().server_address)
        if told is None:
            raise Refused(f"no server runs on {self._folder().path}; start it, or give its address with --url")
        for text in told["listen"]:
            one = listener(text)
            if one.kind == "tcp" and one.loopback:
                return f"http://{one.interface or '127.0.0.1'}:{one.port}"
        return str(told["issuer"])

    def _folder(self) -> DataFolder:
        return DataFolder.choose(self.data, os.environ)

    def _read(self, file: Path) -> Any:
        try:
            return json.loads(file.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise Refused(f"{file} cannot be read: {error}") from None

    def _send(self, method: str, target: str, content: bytes | None, headers: Mapping[str, str]) -> Any:
        address = self.address()
        if not address.startswith(("http://", "https://")):
            raise Refused("the address of a server begins with http:// or https://")
        request = urllib.request.Request(address + target, content, dict(headers), method=method)  # noqa: S310 - above
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(request, timeout=TIMEOUT) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(_reason(error)) from None
        except OSError as error:
            raise Refused(f"{address} does not answer: {getattr(error, 'reason', error)}") from None
        return json.loads(text) if text else None


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        told = json.loads(error.read())
    except ValueError:
        return f"the server answered {error.code}"
    fields = "".join(f"\n  {name}: {wrong}" for name, wrong in told.get("errors", {}).items())
    return f"{told.get('detail', 'refused')} ({error.code} {told.get('error', '')}){fields}"


def segment(identifier: str) -> str:
    """An id as one segment of a path."""
    return quote(identifier, safe="")
