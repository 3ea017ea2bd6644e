"""The wiring, last part: the site over the endpoints, with its limits, its errors and the fast lane."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.interfaces import IReactorTime

from oauthd.app import Application
from oauthd.config import Settings, https_only
from oauthd.pages.error import ErrorPage
from oauthd.protocol.errors import TEMPORARILY_UNAVAILABLE, ErrorKind
from oauthd.runtime.threads import PoolFull
from oauthd.stores.interface import StoreUnavailable
from oauthd.web.answering import AccessLog
from oauthd.web.application import Edge, build
from oauthd.web.channel import Limits
from oauthd.web.errors import Errors
from oauthd.web.fastlane import Lane
from oauthd.web.readers import readers
from oauthd.web.routes import ROUTES
from oauthd.web.shield import Shield
from oauthd.web.site import Site
from oauthd.web.sources import Sources

UNAVAILABLE: Mapping[type[Exception], ErrorKind] = {
    StoreUnavailable: TEMPORARILY_UNAVAILABLE,
    PoolFull: TEMPORARILY_UNAVAILABLE,
}
"""Failures of lower layers that are no bugs: the caller is told to come back."""


def site(
    application: Application,
    settings: Settings,
    reactor: IReactorTime,
    access: AccessLog,
    asked: AccessLog | None = None,
    heard: AccessLog | None = None,
) -> Site:
    """The HTTP factory over all of it.

    :param access: told of each request on the ordinary path.
    :param asked: told of those that the fast lane answers after a look into the store; None for the same.
    :param heard: told of those that it answers from memory; None for nobody.
    """
    errors = Errors(ErrorPage(application.pages), UNAVAILABLE, settings.dpop.algorithms)
    certificates = application.world.certificates
    sources = Sources(settings.server.trusted_proxies, settings.server.trust_unix, certificates)
    shield = Shield(reactor, errors.unheard, settings.server.answer_timeout)
    edge = Edge(errors, sources, shield, access, reactor, _secured(settings), application.limits.admit)
    limits, lane = _limits(settings), None
    if settings.cache.lane:
        lane = Lane(
            limits=limits,
            clock=application.world.clock,
            trusts=sources.trusts,
            asked=asked or access,
            readers=readers(reactor),
            heard=heard,
            counts=application.world.counts.lane,
            never=frozenset({certificates.header.name.encode()} if certificates.header is not None else ()),
        )
    return Site(build(ROUTES, application.endpoints, edge), shield, reactor, limits, access, lane)


BATCHES = tuple(path for route in ROUTES if "introspect_batch" in route.endpoints.values() for path in route.paths)
"""Where many tokens are asked about at once."""


def _secured(settings: Settings) -> tuple[tuple[str, str], ...]:
    seconds = https_only(settings)
    return (("Strict-Transport-Security", f"max-age={seconds}"),) if seconds else ()  # RFC 6797 section 6.1.1


def _limits(settings: Settings) -> Limits:
    server = settings.server
    return Limits(
        body=server.body_limit,
        connections=server.max_connections,
        head_seconds=server.header_timeout,
        body_seconds=server.body_timeout,
        idle_seconds=server.idle_timeout,
        larger={path.encode(): settings.introspection.batch_body for path in BATCHES},
        most_larger=settings.introspection.batches,
    )
