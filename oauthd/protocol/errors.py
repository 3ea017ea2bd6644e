"""Every error that crosses the wire, in one table (RFC 6749 sections 4.1.2.1 and 5.2 and their extensions).

An `ErrorKind` is a row; calling it makes the exception that any layer may raise. How an error is delivered (JSON,
challenge, redirect or page) is decided by `oauthd.web.errors` alone. `description` is text for the developer of the
client; `log` is text for our own log; neither ever holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class ErrorKind:
    """A row of the table.

    :ivar code: the wire value of `error`.
    :ivar status: HTTP status where the error is delivered directly.
    :ivar section: where the code is defined.
    """

    code: str
    status: int
    section: str

    def __call__(
        self,
        description: str,
        *,
        log: str = "",
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
        scope: str = "",
        challenge: Mapping[str, str] | None = None,
    ) -> OAuthError:
        """Make the exception; see `OAuthError` for the arguments."""
        return OAuthError(self, description, log, dict(headers or {}), dict(fields or {}), scope, dict(challenge or {}))


@frozen(str=True)
class OAuthError(Exception):
    """An error that the caller is told of.

    :ivar kind: the row of the table.
    :ivar description: one sentence for the client's developer, ASCII, no secret.
    :ivar log: what our own log says in addition; no secret.
    :ivar headers: further response headers (`Retry-After`, `Allow`).
    :ivar fields: for validation errors, field name to what is wrong with it (the admin API's `errors`).
    :ivar scope: for `insufficient_scope`, the scope that would do (RFC 6750 section 3).
    :ivar challenge: further parameters of the challenge that goes with it (RFC 9470 section 3).
    """

    kind: ErrorKind
    description: str
    log: str = ""
    headers: dict[str, str] = field(factory=dict)
    fields: dict[str, str] = field(factory=dict)
    scope: str = ""
    challenge: dict[str, str] = field(factory=dict)


INVALID_REQUEST = ErrorKind("invalid_request", 400, "RFC 6749 section 5.2")
INVALID_CLIENT = ErrorKind("invalid_client", 401, "RFC 6749 section 5.2")
INVALID_GRANT = ErrorKind("invalid_grant", 400, "RFC 6749 section 5.2")
UNAUTHORIZED_CLIENT = ErrorKind("unauthorized_client", 400, "RFC 6749 section 5.2")
UNSUPPORTED_GRANT_TYPE = ErrorKind("unsupported_grant_type", 400, "RFC 6749 section 5.2")
INVALID_SCOPE = ErrorKind("invalid_scope", 400, "RFC 6749 section 5.2")
ACCESS_DENIED = ErrorKind("access_denied", 400, "RFC 6749 section 4.1.2.1 and RFC 8628 section 3.5")
UNSUPPORTED_RESPONSE_TYPE = ErrorKind("unsupported_response_type", 400, "RFC 6749 section 4.1.2.1")
SERVER_ERROR = ErrorKind("server_error", 500, "RFC 6749 section 4.1.2.1")
TEMPORARILY_UNAVAILABLE = ErrorKind("temporarily_unavailable", 503, "RFC 6749 section 4.1.2.1")
INVALID_TOKEN = ErrorKind("invalid_token", 401, "RFC 6750 section 3.1")
INSUFFICIENT_SCOPE = ErrorKind("insufficient_scope", 403, "RFC 6750 section 3.1")
INSUFFICIENT_USER_AUTHENTICATION = ErrorKind("insufficient_user_authentication", 401, "RFC 9470 section 3")
INVALID_REDIRECT_URI = ErrorKind("invalid_redirect_uri", 400, "RFC 7591 section 3.2.2")
INVALID_CLIENT_METADATA = ErrorKind("invalid_client_metadata", 400, "RFC 7591 section 3.2.2")
INVALID_SOFTWARE_STATEMENT = ErrorKind("invalid_software_statement", 400, "RFC 7591 section 3.2.2")
UNAPPROVED_SOFTWARE_STATEMENT = ErrorKind("unapproved_software_statement", 400, "RFC 7591 section 3.2.2")
AUTHORIZATION_PENDING = ErrorKind("authorization_pending", 400, "RFC 8628 section 3.5")
SLOW_DOWN = ErrorKind("slow_down", 400, "RFC 8628 section 3.5")
EXPIRED_TOKEN = ErrorKind("expired_token", 400, "RFC 8628 section 3.5")
INVALID_TARGET = ErrorKind("invalid_target", 400, "RFC 8707 section 2")
INVALID_DPOP_PROOF = ErrorKind("invalid_dpop_proof", 400, "RFC 9449 section 5")
USE_DPOP_NONCE = ErrorKind("use_dpop_nonce", 400, "RFC 9449 section 8")
INVALID_DPOP_PROOF_OF_ACCESS = ErrorKind("invalid_dpop_proof", 401, "RFC 9449 section 7.1")
USE_DPOP_NONCE_FOR_ACCESS = ErrorKind("use_dpop_nonce", 401, "RFC 9449 section 9")
INVALID_AUTHORIZATION_DETAILS = ErrorKind("invalid_authorization_details", 400, "RFC 9396 section 5")
LOGIN_REQUIRED = ErrorKind("login_required", 400, "OpenID Connect Core section 3.1.2.6")
CONSENT_REQUIRED = ErrorKind("consent_required", 400, "OpenID Connect Core section 3.1.2.6")
REGISTRATION_NOT_SUPPORTED = ErrorKind("registration_not_supported", 400, "OpenID Connect Core section 3.1.2.6")
INVALID_REQUEST_URI = ErrorKind("invalid_request_uri", 400, "RFC 9101 section 7")
INVALID_REQUEST_OBJECT = ErrorKind("invalid_request_object", 400, "RFC 9101 section 7")
REQUEST_ANSWERED = ErrorKind("invalid_request", 400, "RFC 9126 section 4")
"""What counts once was answered already: told to the person, since the client has its answer."""
UNMET_AUTHENTICATION_REQUIREMENTS = ErrorKind(
    "unmet_authentication_requirements", 400, "OpenID Connect Core Unmet Authentication Requirements section 1"
)
UNKNOWN_USER_ID = ErrorKind("unknown_user_id", 400, "CIBA Core section 13")
TRANSACTION_FAILED = ErrorKind("transaction_failed", 400, "CIBA Core section 12")
MISSING_USER_CODE = ErrorKind("missing_user_code", 400, "CIBA Core section 13")
INVALID_USER_CODE = ErrorKind("invalid_user_code", 400, "CIBA Core section 13")
INVALID_BINDING_MESSAGE = ErrorKind("invalid_binding_message", 400, "CIBA Core section 13")
UNAUTHENTICATED_CALLER = ErrorKind("invalid_client", 400, "RFC 9701 section 5")
# Statuses of HTTP itself, spoken in the same form (RFC 9110 section 15.5).
MALFORMED_REQUEST = ErrorKind("invalid_request", 400, "RFC 9112 section 3")
FORBIDDEN = ErrorKind("forbidden", 403, "RFC 9110 section 15.5.4")
NOT_FOUND = ErrorKind("not_found", 404, "RFC 9110 section 15.5.5")
METHOD_NOT_ALLOWED = ErrorKind("method_not_allowed", 405, "RFC 9110 section 15.5.6")
NOT_ACCEPTABLE = ErrorKind("not_acceptable", 406, "RFC 9110 section 15.5.7")
REQUEST_TIMEOUT = ErrorKind("request_timeout", 408, "RFC 9110 section 15.5.9")
CONFLICT = ErrorKind("conflict", 409, "RFC 9110 section 15.5.10")
CONTENT_TOO_LARGE = ErrorKind("content_too_large", 413, "RFC 9110 section 15.5.14")
URI_TOO_LONG = ErrorKind("uri_too_long", 414, "RFC 9110 section 15.5.15")
UNSUPPORTED_MEDIA_TYPE = ErrorKind("unsupported_media_type", 415, "RFC 9110 section 15.5.16")
UNPROCESSABLE_CONTENT = ErrorKind("unprocessable_content", 422, "RFC 9110 section 15.5.21")
TOO_MANY_REQUESTS = ErrorKind("too_many_requests", 429, "RFC 6585 section 4")
HEADERS_TOO_LARGE = ErrorKind("headers_too_large", 431, "RFC 6585 section 5")
NOT_IMPLEMENTED = ErrorKind("not_implemented", 501, "RFC 9110 section 15.6.2")
