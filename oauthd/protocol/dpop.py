"""DPoP (RFC 9449): which proofs of possession count for a request, and the nonces that they may have to carry.

Refused are: more than one proof, what is no JWT or too long, another `typ`, every algorithm that was not switched on
and every symmetric one, a key with its private part, a proof for another method, another place or another access token,
one that is too old or too new, and one with a nonce that is not ours.

The place is ours as our clients are told it: the issuer, never what a Host field says. Nonces are keyed digests of the
number of a stretch of time: whoever has the master key makes the same ones and knows them again, so that none is stored
and each process of each node takes those of the others. That a proof counts once is for `oauthd.proofs.dpop`.
"""

from __future__ import annotations

import base64
import hmac
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote

from attrs import define, field, frozen

from oauthd.protocol import jose
from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.profile import SIGNING

TYPE: Final = "dpop+jwt"
REQUIRED: Final = "required"
OPTIONAL: Final = "optional"
LONGEST_JTI: Final = 256

_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # section 4.1
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{0,5}))?(/[^?#]*)?(?:[?#].*)?")
_PLAIN = re.compile(r"[A-Za-z0-9._~:/\[\]-]+")  # nothing that could be written in another way, or begin a query
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 bits
_OWN_PORT = {"http": "80", "https": "443"}
_NONCE_OCTETS = 18


class ProofRefused(Exception):
    """A proof that does not count for this request; the text is for the client's developer and quotes nothing of it."""


class NonceNeeded(ProofRefused):
    """It would, with the nonce that is now in use."""


@frozen
class Proof:
    """What a proof shows.

    :ivar jkt: thumbprint of the key that its sender holds (section 6.1).
    :ivar name: what it is known by, among all proofs of all keys.
    :ivar until: wall-clock seconds from when on it is refused for its age.
    """

    jkt: str
    name: str
    until: int


@define(eq=False)
class Nonces:
    """The nonces of a server (section 8); one is exchanged for the next when its time is over.

    :ivar digests: keyed digests, by every key that is known, the one in use first.
    :ivar lifetime: seconds that a nonce counts at least, and half of what it does at most.
    """

    digests: Callable[[bytes], Sequence[bytes]]
    lifetime: int
    _known: dict[int, tuple[str, ...]] = field(factory=dict, init=False, repr=False)

    def current(self, now: float) -> str:
        """The one to be used now."""
        return self._of(int(now) // self.lifetime)[0]

    def end(self, nonce: str, now: float) -> int | None:
        """From when on this nonce does not count any more; None when it does not now.

        The next one counts already: clocks of nodes differ.
        """
        given, stretch = nonce.encode("utf-8", "surrogatepass"), int(now) // self.lifetime
        for one in (stretch, stretch - 1, stretch + 1):
            if any(hmac.compare_digest(given, known.encode("ascii")) for known in self._of(one)):
                return (one + 2) * self.lifetime
        return None

    def _of(self, stretch: int) -> tuple[str, ...]:
        known = self._known.get(stretch)
        if known is None:
            if len(self._known) > 8:
                self._known.clear()
            octets = (digest[:_NONCE_OCTETS] for digest in self.digests(b"%d %d" % (self.lifetime, stretch)))
            known = self._known[stretch] = tuple(base64.urlsafe_b64encode(one).decode("ascii") for one in octets)
        return known


@frozen
class Rules:
    """What a proof must be here.

    :ivar origins: scheme, host and port by which clients know us.
    :ivar algorithms: that it may be signed with; with none of them no proof counts.
    :ivar lifetime: seconds that one without a nonce counts.
    :ivar ahead: seconds that the clock of its maker may be ahead.
    :ivar nonce: `off`, `optional` or `required`.
    """

    origins: tuple[str, ...]
    algorithms: tuple[str, ...]
    lifetime: int
    ahead: int
    nonce: str
    nonces: Nonces

    def proof(
        self,
        fields: Sequence[str],
        method: str,
        path: str,
        now: float,
        *,
        token: str | None = None,
        strict: bool = False,
    ) -> Proof:
        """What the proof of a request shows (section 4.3).

        :param fields: the values of all its `DPoP` fields.
        :param path: of the request, decoded.
        :param token: the access token that came with it, None where none did.
        :param strict: the client is held to FAPI 2.0: to its algorithms, and to its time with a nonce too.
        :raises ProofRefused: where it does not count.
        """
        if len(fields) != 1:
            raise ProofRefused("there must be exactly one DPoP proof")
        if len(fields[0]) > jose.LONGEST or not _TOKEN68.fullmatch(fields[0]):
            raise ProofRefused("the DPoP proof is not one JWT of reasonable size")
        accepted = [name for name in self.algorithms if not strict or name in SIGNING]
        try:
            key, _, claims = jose.verify_embedded(fields[0], accepted, TYPE)
            jkt = jose.thumbprint(key)
        except jose.TokenRefused as error:
            raise ProofRefused(f"the DPoP proof is refused: {error}") from None
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= LONGEST_JTI:  # section 11.1
            raise ProofRefused("the jti of the DPoP proof is missing, too long or no text")
        if claims.get("htm") != method:
            raise ProofRefused("the htm of the DPoP proof is not the method of the request")
        if not is_at(claims.get("htu"), self.origins, path):
            raise ProofRefused("the htu of the DPoP proof is not the address of the request")
        if token is not None and claims.get("ath") != _digest(token):
            raise ProofRefused("the ath of the DPoP proof is not the hash of the access token")
        if strict and claims.get("iat", 0) > now + self.ahead:  # FAPI 2.0 Security Profile section 5.3.2.1 item 13
            raise ProofRefused("the iat of the DPoP proof lies in the future: our clocks differ")
        return Proof(jkt, f"{jkt} {method} {path} {jti}", self._until(claims, now))

    def ask_for_nonce(self, field: str, now: float) -> None:
        """See at once whether a proof will have to come again with a nonce; nothing of it is verified.

        :raises NonceNeeded: it will.
        """
        try:
            self._until(jose.peek(field)[1], now)
        except NonceNeeded:
            raise
        except (jose.TokenRefused, ProofRefused, TypeError):
            return  # whatever else is wrong is told when it is verified

    def _until(self, claims: Mapping[str, Any], now: float) -> int:
        """From when on the proof is too old; its time is that of its nonce, else its own (section 4.3 item 11)."""
        made, nonce = claims.get("iat"), claims.get("nonce")
        if made is None:
            raise ProofRefused("the iat of the DPoP proof is missing")
        if claims.get("exp", math.inf) <= now - self.ahead or claims.get("nbf", 0) > now + self.ahead:
            raise ProofRefused("the DPoP proof has ended, or does not count yet")
        if nonce is not None:
            until = self.nonces.end(nonce, now) if isinstance(nonce, str) else None
            if until is None:
                raise NonceNeeded("the nonce of the DPoP proof is too old, or not from here")
            return until
        if self.nonce == REQUIRED:
            raise NonceNeeded("the DPoP proof must carry a nonce")  # section 11.3
        if not now - self.lifetime <= made <= now + self.ahead:
            refusal = NonceNeeded if self.nonce == OPTIONAL else ProofRefused
            raise refusal("the iat of the DPoP proof is too far from the time here")
        return int(made) + self.lifetime + 1


def is_at(uri: object, origins: Collection[str], path: str) -> bool:
    """Is this the address of a path of ours, in whatever spelling (section 4.3; RFC 3986 sections 6.2.2 and 6.2.3)?

    Query and fragment are left out. Slashes are told from octets that stand for them, since they part the segments.

    :param path: decoded, without dot segments.
    """
    if not isinstance(uri, str):
        return False
    if _PLAIN.fullmatch(uri) and any(uri == origin + path for origin in origins):
        return True
    found = _URI.fullmatch(uri)
    if found is None:
        return False
    scheme, host, port = found[1].lower(), found[2].lower(), found[3] or ""
    origin = f"{scheme}://{host}" + (f":{port}" if port and port != _OWN_PORT.get(scheme) else "")
    return origin in origins and _path(found[4] or "/") == path


def _path(encoded: str) -> str | None:
    """A path decoded and without dot segments (RFC 3986 section 5.2.4); None where it can be read in two ways."""
    if "%2f" in encoded.lower():
        return None
    try:
        decoded = unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        return None
    kept: list[str] = []
    segments = decoded.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def asked_key(thumbprint: str | None) -> str:
    """The key that an authorization request asks its code to be bound to, by its `dpop_jkt` (section 10); "" for none.

    :raises OAuthError: `invalid_request` for what is no thumbprint.
    """
    if thumbprint is not None and not _THUMBPRINT.fullmatch(thumbprint):
        raise INVALID_REQUEST("dpop_jkt is not the SHA-256 thumbprint of a key")
    return thumbprint or ""


def _digest(token: str) -> str:
    """The `ath` of an access token (section 4.2)."""
    return jose.encode(sha256(token.encode("utf-8", "surrogatepass")).digest())
