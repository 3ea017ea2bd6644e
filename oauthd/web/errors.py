"""What becomes of an exception: the one place that turns it into JSON with its challenge, or into a page.

RFC 6749 section 5.2 (JSON, Basic challenge), RFC 6750 section 3, RFC 9449 section 7 and RFC 9470 section 3 (Bearer and
DPoP challenge), RFC 9110 section 15 (statuses).
Every JSON error has `error`, `error_description` and `detail`, the last two saying the same, and `errors` where single
fields are wrong. A failure that nobody declared is `server_error`: logged once, and its trace never told. Errors that
are redirected are made by the authorization endpoint, which alone knows a validated redirect URI.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen
from twisted.logger import Logger
from twisted.python.failure import Failure

from oauthd.protocol import basic
from oauthd.protocol.errors import (
    INSUFFICIENT_SCOPE,
    INSUFFICIENT_USER_AUTHENTICATION,
    INVALID_CLIENT,
    INVALID_DPOP_PROOF_OF_ACCESS,
    INVALID_TOKEN,
    SERVER_ERROR,
    USE_DPOP_NONCE_FOR_ACCESS,
    ErrorKind,
    OAuthError,
)
from oauthd.protocol.messages import Request, Response, json_response
from oauthd.web.routes import Delivery

ErrorPage = Callable[[int, str, str], Response]
"""Makes the page of an error from status, code and description."""

REALM = "oauthd"

_CHALLENGED = (
    INVALID_TOKEN,
    INSUFFICIENT_SCOPE,
    INSUFFICIENT_USER_AUTHENTICATION,
    INVALID_DPOP_PROOF_OF_ACCESS,
    USE_DPOP_NONCE_FOR_ACCESS,
)

_log = Logger(namespace="oauthd.web")
_NOT_QUOTABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")  # RFC 6750 section 3


@frozen
class Errors:
    """Turns failures into responses.

    :ivar page: makes the page of an error.
    :ivar kinds: exceptions of lower layers that are no bugs, and what the caller is told (the store being away).
    :ivar algorithms: those of DPoP proofs; () where there is no DPoP.
    """

    page: ErrorPage
    kinds: Mapping[type[Exception], ErrorKind] = field(factory=dict)
    algorithms: tuple[str, ...] = ()

    def respond(
        self, failure: Failure, delivery: Delivery = Delivery.JSON, request: Request | None = None, place: str = ""
    ) -> Response:
        """The response that tells of a failure.

        :param request: what was asked, where it was read so far; a challenge depends on what it presented.
        :param place: where it happened, for the log: the path of the route.
        """
        error = self._declared(failure)
        if error is None:
            _log.failure("unexpected failure at {place}", failure=failure, place=place)
            error = SERVER_ERROR("the server met an unexpected condition")
        elif error.log:
            _log.info("{code} at {place}: {reason}", code=error.kind.code, place=place, reason=error.log)
        if delivery is Delivery.PAGE:
            try:
                answer = self.page(error.kind.status, error.kind.code, error.description)
            except Exception:
                _log.failure("the error page could not be made")
            else:
                return answer.adding(*_extra(error).items())
        presented = basic.BEARER if request is None else _presented(request)
        return json_error(error, presented, self.algorithms, plain=delivery is Delivery.PLAIN)

    def unheard(self, failure: Failure) -> None:
        """Log a failure whose caller has gone, unless it is one that the caller would have been told of."""
        if self._declared(failure) is None:
            _log.failure("unexpected failure after the caller had gone", failure=failure)

    def _declared(self, failure: Failure) -> OAuthError | None:
        value: Any = failure.value
        if isinstance(value, OAuthError):
            return value
        for exception, kind in self.kinds.items():
            if isinstance(value, exception):
                return kind("the service is not available at the moment")
        return None


def json_error(
    error: OAuthError, presented: str = basic.BEARER, algorithms: tuple[str, ...] = (), plain: bool = False
) -> Response:
    """The JSON response of an error.

    :param presented: the scheme by which the request presented an access token, "" for no credentials.
    :param algorithms: those of DPoP proofs.
    :param plain: without the members that only this server has (CIBA Core section 13).
    """
    told: dict[str, Any] = {"error": error.kind.code, "error_description": error.description}
    if not plain:
        told["detail"] = error.description
    if error.fields and not plain:
        told["errors"] = error.fields
    headers = _extra(error)
    if not any(name.lower() == "www-authenticate" for name in headers):
        headers |= _challenge(error, presented, algorithms)
    return json_response(told, error.kind.status).adding(*headers.items())


def _extra(error: OAuthError) -> dict[str, str]:
    headers = dict(error.headers)
    if error.kind.status == 503:
        headers.setdefault("Retry-After", "1")  # RFC 9110 section 10.2.3, seconds
    return headers


def _challenge(error: OAuthError, presented: str, algorithms: tuple[str, ...]) -> dict[str, str]:
    if error.kind == INVALID_CLIENT:
        return {"WWW-Authenticate": f'Basic realm="{REALM}"'}  # RFC 6749 section 5.2
    if error.kind not in _CHALLENGED:
        return {}
    parts = [f'realm="{REALM}"']
    if presented:  # RFC 6750 section 3.1: no error code where no credentials were presented
        parts += [f'error="{error.kind.code}"', f'error_description="{_NOT_QUOTABLE.sub("?", error.description)}"']
    if error.scope:
        parts.append(f'scope="{_NOT_QUOTABLE.sub("", error.scope)}"')
    parts += [f'{name}="{_NOT_QUOTABLE.sub("", value)}"' for name, value in error.challenge.items()]
    accepted = [f'algs="{" ".join(algorithms)}"'] if algorithms else []
    if presented == basic.DPOP:
        return {"WWW-Authenticate": f"DPoP {', '.join((*parts, *accepted))}"}
    # RFC 9449 section 7.2: the one that was used is told the error, and the other one is named.
    others = [f"DPoP {accepted[0]}"] if accepted else []
    return {"WWW-Authenticate": ", ".join((f"Bearer {', '.join(parts)}", *others))}


def _presented(request: Request) -> str:
    headers = [value for name, value in request.headers.pairs if name == "authorization"]
    if any(basic.scheme(value) == basic.DPOP for value in headers):
        return basic.DPOP
    return basic.BEARER if headers or "access_token" in request.form else ""
