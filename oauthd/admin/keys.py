"""Signing keys in the admin API: listed with their stages, rotated. Private parts never leave the server."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from attrs import frozen

from oauthd.admin.declarations import Answer, Call, Operation, operation
from oauthd.events import Events
from oauthd.keys import Keys
from oauthd.protocol.errors import CONFLICT
from oauthd.protocol.messages import Response, json_response
from oauthd.protocol.rotation import Stage
from oauthd.protocol.schemas import Choice, Dictionary, Listing, Member, Members, Nullable, Text, Whole

MOST: Final = 8
"""Published keys of one algorithm: a key set that grows without end would be fetched by every client."""

_when = Whole(0, 2**53)
_KEY: Final = Members(
    (
        Member("kid", Text(), "As tokens name it.", required=True),
        Member("algorithm", Text(), "What it signs with (RFC 7518 section 3.1).", required=True),
        Member(
            "stage",
            Choice(tuple(stage.value for stage in Stage)),
            "announced: published, not signing yet; retired: published until what it signed has ended.",
            required=True,
        ),
        Member("created_at", _when, "Seconds since 1970.", required=True),
        Member("signs_from", _when, "Seconds since 1970.", required=True),
        Member("retires_at", Nullable(_when), "When it is published no more.", required=True),
        Member("public", Dictionary(Text()), "The public key as a JWK (RFC 7517).", required=True),
    ),
    name="Key",
)
_SHOWN: Final = Members(
    (Member("keys", Listing(_KEY), "By algorithm, oldest first.", required=True),), name="Keys"
)


@frozen
class KeysResource:
    """The signing keys."""

    keys: Keys
    events: Events

    @operation(Operation("keys.list", "List signing keys", {200: Answer("The published keys.", _SHOWN)}))
    async def page(self, call: Call) -> Response:
        """Every published key."""
        return json_response(self._shown())

    @operation(
        lambda self: Operation(
            "keys.rotate",
            "Make new signing keys",
            {200: Answer("The published keys with the new ones.", _SHOWN)},
            help="One for each algorithm. They are announced first and sign later, so that caches of the key set have "
            f"seen them; then the former ones retire. There are at most {MOST} of an algorithm at a time (409).",
            body=Members(
                (
                    Member(
                        "announce",
                        Whole(0, 365 * 86400),
                        "Seconds until they sign; 0 after a key has leaked.",
                        default=self.keys.announce,
                    ),
                )
            ),
            body_required=False,
            refusals=(409,),
        )
    )
    async def rotate(self, call: Call) -> Response:
        """Make and announce new keys."""
        counted = Counter(state.algorithm for state in self.keys.states())
        if counted and max(counted.values()) >= MOST:
            raise CONFLICT("there are too many keys; wait until some have retired")
        kids = await self.keys.rotate(call.body["announce"])
        self.events.tell("keys.rotated", kids=" ".join(kids), **call.caller.facts)
        return json_response(self._shown())

    def _shown(self) -> dict[str, Any]:
        public = {key["kid"]: key for key in self.keys.public_jwks()["keys"]}
        return {
            "keys": [
                {
                    "kid": state.kid,
                    "algorithm": state.algorithm,
                    "stage": state.stage.value,
                    "created_at": state.created_at,
                    "signs_from": state.signs_from,
                    "retires_at": state.retires_at,
                    "public": public.get(state.kid, {}),
                }
                for state in self.keys.states()
            ]
        }
