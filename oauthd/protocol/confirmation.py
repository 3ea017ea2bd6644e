"""The confirmation of a token: what its sender must prove to hold, as it is compared and told (RFC 7800)."""

from __future__ import annotations

from oauthd.protocol.records import Binding


def confirmation(binding: Binding) -> dict[str, str]:
    """The value of `cnf` (RFC 7800 section 3.1), in a JWT or in an answer (RFC 9449 section 6, RFC 8705 section 3)."""
    return {name: value for name, value in (("jkt", binding.jkt), ("x5t#S256", binding.x5t)) if value}


def covers(proved: Binding, wanted: Binding) -> bool:
    """Is all that is wanted among what was proved?"""
    return wanted.jkt in ("", proved.jkt) and wanted.x5t in ("", proved.x5t)
