"""Tests of oauthd. None depends on how fast the machine is: hypothesis is told so here for all of them."""

from hypothesis import HealthCheck, settings

settings.register_profile("oauthd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("oauthd")
