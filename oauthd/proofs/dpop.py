"""DPoP proofs as requests carry them: judged by the rules of `oauthd.protocol.dpop`, and counted once by the store.

A proof is spent after all else about it was found right, and before anything is granted (RFC 9449 section 11.1). How a
refusal is told depends on who was asked: 400 by the token endpoint and its like, 401 with a challenge by a resource.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from oauthd.protocol.dpop import REQUIRED, NonceNeeded, Proof, ProofRefused, Rules
from oauthd.protocol.errors import (
    INVALID_DPOP_PROOF,
    INVALID_DPOP_PROOF_OF_ACCESS,
    USE_DPOP_NONCE,
    USE_DPOP_NONCE_FOR_ACCESS,
)
from oauthd.protocol.messages import Request
from oauthd.stores.once import Once

FIELD = "dpop"
NONCE_FIELD = "DPoP-Nonce"


@frozen
class Proofs:
    """Judges the proofs of requests."""

    rules: Rules
    once: Once
    clock: Callable[[], float]

    async def key(self, request: Request, strict: bool = False) -> str:
        """Thumbprint of the key that a request to us as authorization server proves to hold; "" where it has no proof.

        :param strict: its client is held to FAPI 2.0.
        :raises OAuthError: `invalid_dpop_proof`, `use_dpop_nonce` (sections 5 and 8).
        """
        fields = _fields(request)
        if not fields:
            return ""
        try:
            proof = self._proof(request, fields, None, strict)
            await self._spend(proof)
        except NonceNeeded as error:
            raise USE_DPOP_NONCE(str(error), headers=self._nonce()) from None
        except ProofRefused as error:
            raise INVALID_DPOP_PROOF(str(error)) from None
        return proof.jkt

    def ask_for_nonce(self, request: Request) -> None:
        """Refuse a proof that lacks a nonce before anything else is looked at.

        Its client sends the same request again with the nonce (section 8), with the same assertion perhaps, which
        counts once: it must not have been used up by then.

        :raises OAuthError: `use_dpop_nonce`.
        """
        for one in _fields(request)[:1]:
            try:
                self.rules.ask_for_nonce(one, self.clock())
            except NonceNeeded as error:
                raise USE_DPOP_NONCE(str(error), headers=self._nonce()) from None

    async def shown(self, request: Request, token: str, jkt: str) -> None:
        """Make sure that a request to us as resource proves to hold the key that its access token is bound to.

        :raises OAuthError: `invalid_dpop_proof`, `use_dpop_nonce` (sections 7.1 and 9).
        """
        try:
            proof = self._proof(request, _fields(request), token)
            if proof.jkt != jkt:
                raise ProofRefused("the access token is bound to another key")
            await self._spend(proof)
        except NonceNeeded as error:
            raise USE_DPOP_NONCE_FOR_ACCESS(str(error), headers=self._nonce()) from None
        except ProofRefused as error:
            raise INVALID_DPOP_PROOF_OF_ACCESS(str(error)) from None

    def fields(self) -> tuple[tuple[str, str], ...]:
        """What the answer to a request with a good proof says of the next one (section 8.2)."""
        return tuple(self._nonce().items()) if self.rules.nonce == REQUIRED else ()

    def _proof(self, request: Request, fields: list[str], token: str | None, strict: bool = False) -> Proof:
        return self.rules.proof(fields, request.method, request.path, self.clock(), token=token, strict=strict)

    async def _spend(self, proof: Proof) -> None:
        if not await self.once.use(FIELD, proof.name, proof.until):
            raise ProofRefused("the DPoP proof was used before")

    def _nonce(self) -> dict[str, str]:
        return {NONCE_FIELD: self.rules.nonces.current(self.clock())}


def _fields(request: Request) -> list[str]:
    return [value for name, value in request.headers.pairs if name == FIELD]
