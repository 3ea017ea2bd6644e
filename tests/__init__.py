"""Tests of oauthd. None depends on how fast the machine is: hypothesis is told so here for all of them.

Hypothesis draws the same examples every time, so that a tree that passes goes on passing. To look for more, draw
others: `HYPOTHESIS_PROFILE=searching python -m twisted.trial tests.protocol`.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True, database=None
)
settings.register_profile("searching", settings.get_profile("repeatable"), derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
