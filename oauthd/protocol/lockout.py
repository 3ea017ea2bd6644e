"""How guessing passwords is slowed down: rules over `Lockout` records, one per account, per source, per known browser.

An attempt is *reserved* before the password is looked at: `blocked` says whether it may be made, `attempt` is the
record that must be stored (and the store must confirm it) first, as if it had failed. So parallel guesses cannot share
one count. A right password forgets the account's record; the source's gets its attempt back by `returned` and keeps
its history, or an attacker would clear it with an account of his own. An attempt that never came to a verdict (no
thread free, store away) is given back the same way.

A name is counted in its canonical form, the same one that finds the user, or each spelling would have its own tries.
Keys are keyed digests: the store names neither accounts nor addresses of those who failed. Which records exist, and
that a browser known to an account is judged by its own record alone, is for the login page.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Callable
from typing import Final

from attrs import frozen

from oauthd.protocol.records import Lockout

Digest = Callable[[str, bytes], bytes]
"""A keyed digest: purpose, data (`Seals.digest`)."""

PURPOSE: Final = "lockout"


@frozen
class Policy:
    """How failures count; times in seconds.

    :ivar delayed_from: the failure that brings the first delay.
    :ivar first_delay: that delay; each further failure doubles it.
    :ivar locked_from: the failure that locks, and each one after it.
    :ivar lock: how long it locks.
    :ivar memory: after this time without an attempt everything is forgotten.
    """

    delayed_from: int = 5
    first_delay: float = 1.0
    locked_from: int = 10
    lock: float = 900.0
    memory: int = 3600

    def delay(self, failures: int) -> float:
        """Seconds until the next attempt, after so many failures."""
        if failures >= self.locked_from:
            return self.lock
        if failures < self.delayed_from:
            return 0.0
        return min(self.lock, self.first_delay * 2.0 ** min(failures - self.delayed_from, 64))


DEFAULT: Final = Policy()


def blocked(lockout: Lockout | None, now: float) -> float:
    """Seconds until the next attempt may be made, 0 for at once."""
    if lockout is None or lockout.expires_at <= now:
        return 0.0
    return max(0.0, lockout.blocked_until - now)


def attempt(lockout: Lockout | None, now: float, policy: Policy = DEFAULT) -> Lockout:
    """The record with one more attempt, counted as failed; to be stored before the password is checked.

    :raises ValueError: when no attempt may be made now.
    """
    if blocked(lockout, now):
        raise ValueError("no attempt may be made now")
    failures = lockout.failures if lockout is not None and lockout.expires_at > now else 0
    return _record(failures + 1, now, policy)


def returned(lockout: Lockout | None, reserved: Lockout, now: float, policy: Policy = DEFAULT) -> Lockout | None:
    """The record with one attempt given back; None when nothing is left of it.

    :param lockout: the record as it is now.
    :param reserved: what `attempt` gave; the block is lifted only if this attempt brought it, not another meanwhile.
    """
    if lockout is None or lockout.expires_at <= now or lockout.failures <= 1:
        return None
    own = lockout.blocked_until == reserved.blocked_until
    until = now if own else lockout.blocked_until
    return Lockout(lockout.failures - 1, until, int(max(until, now)) + policy.memory)


def canonical_name(name: str) -> str:
    """The form of a user name that is compared: compatibility forms, case and invisible characters do not count."""
    previous = None
    while name != previous:  # folding can make new compositions; each round only removes differences
        previous = name
        name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        name = "".join(letter for letter in name if unicodedata.category(letter) not in ("Cc", "Cf")).strip()
    return name


def canonical_source(address: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 one; "" for a peer without address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)


def account_key(name: str, digest: Digest) -> bytes:
    """Under what the failures of an account are counted, whether it exists or not."""
    return digest(PURPOSE, b"account\x00" + _octets(canonical_name(name)))


def source_key(address: str, digest: Digest) -> bytes:
    """Under what the failures from a source are counted."""
    return digest(PURPOSE, b"source\x00" + _octets(canonical_source(address)))


def browser_key(name: str, browser: str, digest: Digest) -> bytes:
    """Under what the failures of one account in one browser, known to it, are counted."""
    return digest(PURPOSE, b"browser\x00" + _octets(canonical_name(name)) + b"\x00" + _octets(browser))


def _record(failures: int, now: float, policy: Policy) -> Lockout:
    until = now + policy.delay(failures)
    return Lockout(failures=failures, blocked_until=until, expires_at=int(until) + policy.memory)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
