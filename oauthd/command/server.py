"""The server that the command talks to: where it is, who we are there, and one call of its HTTP interface.

Address and credentials come from options, the environment, or the data folder of a server on this machine. The folder's
credentials are not sent to an address elsewhere unless the folder, too, was named.
"""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode, urlsplit

from attrs import define, field

from oauthd.command.terminal import Refused
from oauthd.config.listeners import is_loopback, listener
from oauthd.protocol.client_documents import as_segment
from oauthd.runtime.data import DataFolder, DataFolderError

TIMEOUT = 30.0  # seconds
ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what a server may listen on


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
        headers = {"Authorization": f"Bearer {self.bearer()}"}
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
        self.address()  # a server that is not there is the first thing to tell
        client_id, secret = self._credentials()
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()  # RFC 6749 section 2.3.1
        headers = {
            "Authorization": "Basic " + base64.b64encode(pair).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        given = {name: value for name, value in fields.items() if value is not None}
        return self._send("POST", path, urlencode(given).encode(), headers)

    def close(self) -> None:
        """End the token that the calls were made with: nobody has a use for it any more."""
        if self._token is not None:
            with suppress(Refused):
                self.form("/oauth2/revoke", {"token": self._token})

    def bearer(self) -> str:
        """The administrator's access token that calls are made with; got at the first need."""
        if self._token is None:
            answer = self.form("/oauth2/token", {"grant_type": "client_credentials", "scope": "admin"})
            if not isinstance(answer, dict) or "access_token" not in answer:
                raise Refused(f"{self.address()} does not answer as oauthd does")
            self._token = str(answer["access_token"])
        return self._token

    def _credentials(self) -> tuple[str, str]:
        if self.client_id and self.client_secret:
            return self.client_id, self.client_secret
        if self.client_id or self.client_secret:
            raise Refused("the id and the secret of an admin client go together; one of them is missing")
        wanted = "set OAUTHD_CLIENT_ID and OAUTHD_CLIENT_SECRET to those of an admin client"
        if self.url and not self.data and not is_loopback(urlsplit(self.address()).hostname or ""):
            raise Refused(f"no credentials for {self.address()}: {wanted}")
        told = self._read(self._folder().admin_credentials)
        if told is None:
            raise Refused(f"there are no credentials in {self._folder().path}: {wanted}")
        return told["client_id"], told["client_secret"]

    def address(self) -> str:
        """The server's address: what was given, else a listener of the server on this machine that we can reach."""
        if self.url:
            return _origin(self.url)
        folder = self._folder()
        told = self._read(folder.server_address)
        if told is None:
            raise Refused(
                f"no server runs with the data folder {folder.path}: start one with `twistd -n oauthd`, or tell where "
                "it is with --data or --url"
            )
        for text in told["listen"]:
            one = listener(text)
            host = ANYWHERE.get(one.interface or "", one.interface)
            if one.kind == "tcp" and one.port and host and is_loopback(host):
                return f"http://[{host}]:{one.port}" if ":" in host else f"http://{host}:{one.port}"
        return str(told["issuer"])

    def _folder(self) -> DataFolder:
        try:
            return DataFolder.choose(self.data, os.environ)
        except DataFolderError as error:
            raise Refused(str(error)) from None

    def _read(self, file: Path) -> Any:
        try:
            return json.loads(file.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise Refused(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None

    def _send(self, method: str, target: str, content: bytes | None, headers: Mapping[str, str]) -> Any:
        address = self.address()
        # A proxy for the way out has no business with a server on this machine, nor with its secrets.
        here = is_loopback(urlsplit(address).hostname or "")
        proxies = [urllib.request.ProxyHandler({})] if here else []
        try:
            request = urllib.request.Request(address + target, content, dict(headers), method=method)  # noqa: S310
            with urllib.request.build_opener(_NoRedirect, *proxies).open(request, timeout=TIMEOUT) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(_reason(error)) from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise Refused(f"{address} does not answer: {getattr(reason, 'strerror', None) or reason}") from None
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise Refused(f"{address} does not answer as oauthd does") from None


def _origin(url: str) -> str:
    """The address that somebody gave, if it is one.

    :raises Refused: when it is none.
    """
    with suppress(ValueError):
        parts = urlsplit(url)
        bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and bare:
            return f"{parts.scheme}://{parts.netloc}"
    raise Refused(f"{url!r} is no server's address; one is written like https://login.example.com")


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        told = json.loads(error.read())
    except (OSError, HTTPException, ValueError):
        told = None
    if not isinstance(told, dict):
        return f"the server answered {error.code}"
    reason = told.get("detail", "refused")
    if isinstance(told.get("errors"), dict):
        reason = "; ".join(f"{name}: {wrong}" for name, wrong in told["errors"].items())
    return f"{reason} ({error.code} {told.get('error', '')})"


def segment(identifier: str) -> str:
    """An id as one segment of a path."""
    return quote(as_segment(identifier), safe="")
