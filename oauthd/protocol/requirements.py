"""What a resource server demands of a token when it asks about it: a token that does not have it is inactive for it.

RFC 7662 section 2.1 leaves room for more parameters; these four are of this server's own making. `acr_values` and
`max_age` mean what they mean in a challenge of RFC 9470 section 3, so that a resource server sends here what it would
demand there. Each is judged by what the answer says, so nobody learns more by asking in this way than by reading it.

Refused: a `max_age` that is no number of seconds, and demands that are longer than `LONGEST`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field, frozen

from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.introspection import INACTIVE
from oauthd.protocol.messages import Parameters

NAMES: Final = ("required_scope", "required_audience", "acr_values", "max_age")
MOST_KNOWN: Final = 256  # demands that differ
MOST_BYTES: Final = 8 * 2**20  # of answers judged, over all demands, by estimate
OVERHEAD: Final = 256  # bytes that one takes beside the answer
LONGEST: Final = 4096  # characters of the demands of a request
_SECONDS = re.compile("[0-9]{1,9}")


@frozen(eq=False)
class Requirements:
    """Demands. Two of them are the same only where they are the same object: most are asked for again and again.

    :ivar scope: all of these.
    :ivar audience: among those that the token is for; "" for any.
    :ivar acr_values: one of these; none for any (RFC 9470 section 3).
    :ivar max_age: seconds since the user signed in; None for any (RFC 9470 section 3).
    """

    scope: frozenset[str] = frozenset()
    audience: str = ""
    acr_values: frozenset[str] = frozenset()
    max_age: int | None = None

    def met_until(self, answer: bytes) -> float:
        """Until when (wall clock) the token of this answer has it all; minus infinity for never."""
        if answer == INACTIVE:
            return -math.inf
        said: Mapping[str, Any] = json.loads(answer)
        audience = said["aud"] if isinstance(said["aud"], list) else [said["aud"]]
        met = (
            self.scope <= set(said["scope"].split(" "))
            and (not self.audience or self.audience in audience)
            and (not self.acr_values or said.get("acr") in self.acr_values)
        )
        if not met:
            return -math.inf
        if self.max_age is None:
            return math.inf
        signed_in: int | None = said.get("auth_time")  # nobody has signed in for a machine's token
        return -math.inf if signed_in is None else signed_in + self.max_age + 1  # to the end of that second


def read(values: tuple[str | None, ...]) -> Requirements:
    """The demands, by the values of `NAMES`.

    :raises OAuthError: `invalid_request`.
    """
    scope, audience, acr_values, max_age = values
    if max_age is not None and not _SECONDS.fullmatch(max_age):
        raise INVALID_REQUEST("max_age must be a number of seconds")
    return Requirements(
        frozenset((scope or "").split()),
        audience or "",
        frozenset((acr_values or "").split()),
        None if max_age is None else int(max_age),
    )


@define(eq=False)
class Verdicts:
    """What was found of answers that were held against demands: an answer is read for each demand once."""

    _known: dict[tuple[str | None, ...], Requirements] = field(factory=dict, init=False, repr=False)
    _found: dict[tuple[Requirements, bytes], float] = field(factory=dict, init=False, repr=False)
    _size: int = field(default=0, init=False)

    def required(self, parameters: Parameters) -> Requirements | None:
        """The demands of a request; None for none.

        :raises OAuthError: `invalid_request`.
        """
        values = tuple(parameters.one(name) for name in NAMES)
        if not any(values):
            return None
        known = self._known.get(values)
        if known is None:
            if sum(len(value or "") for value in values) > LONGEST:
                raise INVALID_REQUEST("the demands are too long")  # they are remembered
            known = read(values)
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
                self._forget()
            self._known[values] = known
        return known

    def judged(self, answer: bytes, required: Requirements, now: float) -> bytes:
        """The answer where its token has what is demanded now; else that it is inactive."""
        key = required, answer
        until = self._found.get(key)
        if until is None:
            until = required.met_until(answer)
            taken = len(answer) + OVERHEAD
            if self._size + taken > MOST_BYTES:
                self._forget()
            self._size += taken
            self._found[key] = until
        return answer if now < until else INACTIVE

    def _forget(self) -> None:
        self._found.clear()
        self._size = 0
