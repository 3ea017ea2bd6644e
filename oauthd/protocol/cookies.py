"""Cookies of the browser flow (RFC 6265bis): HttpOnly, SameSite=Lax, and bound to the host where the scheme allows it.

`__Host-` needs `Secure`, which browsers accept from https and from loopback names. Lax, because an authorization
request arrives from another site by a top-level GET.
"""

from __future__ import annotations

from attrs import frozen

from oauthd.protocol.messages import Request


@frozen
class Cookie:
    """One of the server's cookies, by the name that the issuer's scheme allows."""

    name: str
    secure: bool

    @classmethod
    def named(cls, name: str, secure: bool) -> Cookie:
        """The cookie `name`; with the `__Host-` prefix where it is to be `Secure`."""
        return cls(f"__Host-{name}" if secure else name, secure)

    def read(self, request: Request) -> str:
        """The value that the browser sent, "" for none."""
        return request.headers.cookie(self.name) or ""

    def set(self, value: str, max_age: int | None = None) -> tuple[str, str]:
        """The header field that sets it, for the browser's session or for `max_age` seconds."""
        parts = [f"{self.name}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
        if self.secure:
            parts.append("Secure")
        if max_age is not None:
            parts.append(f"Max-Age={max_age}")
        return "Set-Cookie", "; ".join(parts)

    def drop(self) -> tuple[str, str]:
        """The header field that removes it."""
        return self.set("", 0)
