"""Our keys in the admin API: listed with their stages, rotated, sealed anew, taken out when one has leaked.

Private parts never leave the server.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from attrs import frozen

from oauthd.admin.declarations import Answer, Call, Operation, Parameter, operation
from oauthd.events import Events
from oauthd.keys import Keys, NoSuchKey
from oauthd.protocol.errors import CONFLICT, NOT_FOUND
from oauthd.protocol.messages import Response, json_response
from oauthd.protocol.rotation import Stage
from oauthd.protocol.schemas import Choice, Dictionary, Listing, Member, Members, Nullable, Text, Whole
from oauthd.stores.clients import Clients

MOST: Final = 8
"""Published keys of one algorithm: a key set that grows without end would be fetched by every client."""

_when = Whole(0, 2**53)
_KEY: Final = Members(
    (
        Member("kid", Text(), "As tokens name it.", required=True),
        Member("algorithm", Text(), "What it is for (RFC 7518 sections 3.1 and 4.1).", required=True),
        Member(
            "stage",
            Choice(tuple(stage.value for stage in Stage)),
            "announced: published, not signing yet; retired: published until what it signed has ended. Of the keys "
            "that clients encrypt to, the one in the stage signing is published, and all of them decrypt.",
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

_RESEALED: Final = Members(
    (
        Member("keys", Whole(0, 2**53), "How many keys.", required=True),
        Member("secrets", Whole(0, 2**53), "How many secrets of clients.", required=True),
        Member(
            "clients",
            Whole(0, 2**53),
            "How many clients still have a secret that ends with an older master key.",
            required=True,
        ),
    ),
    name="Resealed",
)


@frozen
class KeysResource:
    """Keys that sign, and keys that clients encrypt to."""

    keys: Keys
    clients: Clients
    events: Events

    @operation(Operation("keys.list", "List keys", {200: Answer("The keys that are in use.", _SHOWN)}))
    async def page(self, call: Call) -> Response:
        """Every key."""
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
                        "Seconds until they sign; 0: at once.",
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

    @operation(
        Operation(
            "keys.reseal",
            "Seal everything with the first master key",
            {200: Answer("What was sealed by an older one until now.", _RESEALED)},
            help="Before an older master key is taken out of the settings: keys, and the secrets of clients that are "
            "kept as they are (for HMAC), are sealed with the first one. Of other client secrets there is a digest "
            "alone, made with the master key of its time: from here on it is made anew when its client next proves the "
            "secret. The clients of whom that is still to come are counted; call it again to see whether the older "
            "master key may go.",
        )
    )
    async def reseal(self, call: Call) -> Response:
        """Seal anew; the keys last, after which a node without the first master key is told so."""
        secrets, clients = await self.clients.reseal()
        keys = await self.keys.reseal()
        self.events.tell("keys.resealed", keys=keys, secrets=secrets, **call.caller.facts)
        return json_response({"keys": keys, "secrets": secrets, "clients": clients})

    @operation(
        Operation(
            "keys.drop",
            "Take a key out at once",
            {200: Answer("The keys that are left, and new ones in its place.", _SHOWN)},
            help="After a key has leaked: it is published no more, and nothing that it signed is taken for ours any "
            "more. Other nodes follow within a minute, whoever has cached the key set when that expires. If it was the "
            "one that signs, another is made, which signs at once. Introspection knows access tokens by themselves, so "
            "those that were issued stay active, and forged ones never were.",
            arguments=(Parameter("kid", Text(longest=128), "As tokens name it."),),
            refusals=(404,),
        )
    )
    async def drop(self, call: Call) -> Response:
        """Take a key out."""
        kid = call.arguments["kid"]
        try:
            made = await self.keys.drop(kid)
        except NoSuchKey:
            raise NOT_FOUND("there is no such key") from None
        self.events.tell("keys.dropped", kid=kid, kids=" ".join(made), **call.caller.facts)
        return json_response(self._shown())

    def _shown(self) -> dict[str, Any]:
        return {
            "keys": [
                {
                    "kid": state.kid,
                    "algorithm": state.algorithm,
                    "stage": state.stage.value,
                    "created_at": state.created_at,
                    "signs_from": state.signs_from,
                    "retires_at": state.retires_at,
                    "public": dict(state.public),
                }
                for state in self.keys.states()
            ]
        }
