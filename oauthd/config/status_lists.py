"""Settings of status lists, in which others see whether tokens were ended without asking for each of them."""

from __future__ import annotations

import attrs

from oauthd.config.setting import DAY, MINUTE, setting


@attrs.frozen
class StatusListSettings:
    """Signed lists of which tokens were ended, for the JWT access tokens of clients that are registered for it."""

    ttl: int = setting(
        5 * MINUTE,
        help="Within how long the end of a token, however it came about, stands in its list; and how long others may "
        "keep a list before they fetch it anew. Each listed token is looked at twice in that time.",
        unit="seconds",
        spec="draft-ietf-oauth-status-list section 13.7",
        between=(10, 1 * DAY),
    )
    lifetime: int = setting(
        15 * MINUTE,
        help="How long after it was looked at a list may be relied upon at all: while the store is away its last state "
        "is told for that long. Others refuse listed tokens once their list has ended.",
        unit="seconds",
        spec="draft-ietf-oauth-status-list section 13.7",
        between=(20, 30 * DAY),
    )
    aggregation: bool = setting(
        True,
        help="Publish where all lists are, in the metadata too, for those who fetch them ahead. It tells everybody how "
        "many lists there are.",
        spec="draft-ietf-oauth-status-list section 9",
    )
