"""The wiring, second part: every endpoint and page, each with what it needs.

A new endpoint or page is a line here, and a row in `oauthd.web.routes`. What they are made of is in `oauthd.parts`,
grants in `oauthd.granting`, registration in `oauthd.registering`, the admin API in `oauthd.administration`, the site
over them in `oauthd.surface`.
"""

from __future__ import annotations

from collections.abc import Mapping

from oauthd.administration import administration
from oauthd.config import Settings
from oauthd.deliveries import Maker
from oauthd.endpoints.authorization_request import AuthorizationRequests
from oauthd.endpoints.authorization_response import AuthorizationResponses
from oauthd.endpoints.authorize import Authorize
from oauthd.endpoints.ciba_authentication import CibaAuthentication
from oauthd.endpoints.ciba_notification import Ping, Push
from oauthd.endpoints.device_authorization import DeviceAuthorization
from oauthd.endpoints.end_session import EndSession
from oauthd.endpoints.global_token_revocation import GlobalTokenRevocation
from oauthd.endpoints.health import Live, Ready
from oauthd.endpoints.interface import Endpoint
from oauthd.endpoints.introspect import Introspect
from oauthd.endpoints.introspect_batch import IntrospectBatch
from oauthd.endpoints.jwks import Jwks
from oauthd.endpoints.metadata import Metadata
from oauthd.endpoints.par import Par
from oauthd.endpoints.protected_resource import ProtectedResources
from oauthd.endpoints.register_client import RegisterClient
from oauthd.endpoints.revoke import Revoke
from oauthd.endpoints.signed_introspection import SignedAnswers
from oauthd.endpoints.status_list import StatusList, StatusListAggregation
from oauthd.endpoints.token import Token
from oauthd.endpoints.token_answer import TokenAnswers
from oauthd.endpoints.userinfo import Userinfo
from oauthd.granting import grants
from oauthd.pages.browser import Browser
from oauthd.pages.ciba import CibaPage
from oauthd.pages.consent import ConsentPage
from oauthd.pages.device import DevicePage
from oauthd.pages.error import ErrorPage
from oauthd.pages.form_post import FormPost
from oauthd.pages.frontchannel_logout import FrontChannelLogout
from oauthd.pages.home import Home
from oauthd.pages.login import Login
from oauthd.pages.logout import LogoutPage
from oauthd.pages.rendering import Pages
from oauthd.pages.static import Static
from oauthd.parts import Parts, World
from oauthd.proofs.registrant import Registrants
from oauthd.protocol import acr, ciba, client_metadata, jose
from oauthd.protocol.cookies import Cookie
from oauthd.protocol.profile import FAPI2, SIGNING
from oauthd.protocol.requirements import Verdicts
from oauthd.protocol.resource_metadata import Resource
from oauthd.registering import described_clients, registering, registration_of
from oauthd.subjects import TYPES
from oauthd.user_codes import UserCodes
from oauthd.web.routes import AGGREGATION, GLOBAL_REVOCATION, REGISTRATION, ROUTES, paths_of


class Application(Parts):
    """Every part of the server, the endpoints over them, and the factory of connections."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.grants = grants(self)
        self.pages = Pages()
        self.front_channel = FrontChannelLogout(self.pages)
        self.session_cookie = Cookie.named("oauthd_session", self.secure)
        self.revoke = Revoke(self.authentication, self.tokens, world.events)
        self.requests = AuthorizationRequests(
            clients=self.clients,
            scopes=self.scopes,
            pushed=self.pushed,
            objects=self.request_objects,
            keys=self.keys,
            hints=self.hints,
            details=self.details,
            settings=world.settings,
        )
        self.ciba_authentication = CibaAuthentication(
            authentication=self.authentication,
            bindings=self.bindings,
            requests=self.authentication_requests,
            ciba=self.ciba,
            clients=self.clients,
            users=self.users,
            scopes=self.scopes,
            hints=self.hints,
            details=self.details,
            settings=world.settings,
            limits=self.limits,
            codes=UserCodes(world.store, self.passwords, world.seals, world.settings.ciba.user_code_tries, world.clock),
        )
        self.registrants = Registrants(
            self.initial_access, self.administrator, world.settings.registration.allow, self.loopback
        )
        self.offered = self._offered()
        self.declared = tuple(map(Resource.of, world.settings.protected_resources.declared))
        registration = registration_of(self, self.offered, self._usual_signature)
        self.described = described_clients(self, registration)
        self.endpoints: Mapping[str, Endpoint] = {
            **self._protocol_endpoints(world),
            **self._public(world),
            **registering(self, registration, self.registrants),
            **self._browser_endpoints(world),
            **self._pages(world),
            **administration(self, self.offered, self.revoke),
        }

    def _protocol_endpoints(self, world: World) -> dict[str, Endpoint]:
        settings, events, issuer = world.settings, world.events, world.issuer
        introspect = self._introspect(world)
        return {
            "token": Token(
                store=world.store,
                cache=world.cache,
                authentication=self.authentication,
                bindings=self.bindings,
                grants=self.grants,
                details=self.details,
                answers=TokenAnswers(self.minting, self.resources),
                events=events,
                clock=world.clock,
                entropy=world.entropy,
                reactor=world.reactor,
                reuse=self.reuse,
            ),
            "introspect": introspect,
            "introspect_batch": IntrospectBatch(introspect, settings.introspection.batch_body),
            "revoke": self.revoke,
            "global_token_revocation": GlobalTokenRevocation(
                settings.users.global_revocation, self.bearer, self.sign_out, self.users, events, issuer
            ),
            "device_authorization": self._device_authorization(world),
            "userinfo": Userinfo(
                bearer=self.bearer,
                store=world.store,
                clients=self.clients,
                users=self.users,
                nested=self.nested,
                settings=settings.userinfo,
                issuer=issuer,
                profile=settings.server.profile,
                events=events,
                entropy=world.entropy,
            ),
            "register_client": RegisterClient(
                self.clients, self.administrator, events, settings.clients.registration, self.loopback
            ),
        }

    def _public(self, world: World) -> dict[str, Endpoint]:
        """What everybody may read."""
        settings = world.settings
        return {
            "jwks": Jwks(self.keys),
            "metadata": self._metadata(world),
            "protected_resource": ProtectedResources(
                issuer=world.issuer,
                resources=self.declared,
                keys=self.keys,
                algorithm=settings.protected_resources.signed or "",
                proof_algorithms=_proof_algorithms(settings),
                clock=world.clock,
            ),
            "health.live": Live(),
            "health.ready": Ready(world.condition, world.counts.proof),
            "status_list": StatusList(
                lists=self.statuses,
                keys=self.keys,
                settings=settings.status_lists,
                algorithm=self._signing(settings.tokens.access_algorithm),
                issuer=world.issuer,
                clock=world.clock,
                in_thread=world.signing,
            ),
            "status_list_aggregation": StatusListAggregation(self.statuses, settings.status_lists),
        }

    def _device_authorization(self, world: World) -> Endpoint:
        return DeviceAuthorization(
            store=world.store,
            seals=world.seals,
            authentication=self.authentication,
            clients=self.clients,
            scopes=self.scopes,
            details=self.details,
            events=world.events,
            limits=self.limits,
            settings=world.settings.device,
            issuer=world.issuer,
            clock=world.clock,
            entropy=world.entropy,
        )

    def _introspect(self, world: World) -> Introspect:
        return Introspect(
            authentication=self.authentication,
            tokens=self.tokens,
            answers=self.answers,
            cache=world.cache,
            clock=world.clock,
            issuer=world.issuer,
            counts=world.counts.introspection,
            subjects=self.subjects,
            verdicts=Verdicts(),
            signed=SignedAnswers(
                nested=self.nested,
                monotonic=world.cache.monotonic,
                clock=world.clock,
                issuer=world.issuer,
                algorithm=self._usual_signature,
                profile=world.settings.server.profile,
                repeat=world.settings.introspection.signed_repeat,
            ),
        )

    @property
    def _usual_signature(self) -> str:
        """What signs for those who have asked for nothing in particular: RS256, where that can be (OpenID Connect
        Registration section 2, RFC 9701 section 6)."""
        available = self.keys.algorithms
        return "RS256" if "RS256" in available else self.world.settings.tokens.id_token_algorithm

    def _metadata(self, world: World) -> Metadata:
        mtls = world.settings.mtls
        on = {
            REGISTRATION: self.registrants.on,
            GLOBAL_REVOCATION: world.settings.users.global_revocation,
            AGGREGATION: world.settings.status_lists.aggregation,
        }
        told = [route for route in ROUTES if route.member and on.get(route.member, True)]
        direct = [route for route in told if route.direct and mtls.base is not None]
        return Metadata(
            issuer=world.issuer,
            endpoints={route.member: route.paths[0] for route in told},
            certificates=bool(mtls.listen or mtls.proxy_header),
            aliases={route.member: f"{mtls.base}{route.paths[0]}" for route in direct},
            grant_types=tuple(self.grants),
            authentication=self.authentication.metadata(),
            id_token_algorithms=self._signatures,
            proof_algorithms=_proof_algorithms(world.settings),
            acr_values=tuple(acr.AMR),
            requests=self.requests.metadata(),
            ciba=self.ciba_authentication.metadata(self._delivery_modes),
            documents=world.settings.client_documents.allow != "off",
            resources=tuple(one.resource for one in self.declared),
        )

    @property
    def _delivery_modes(self) -> tuple[str, ...]:
        """How clients learn of the outcome of backchannel authentication."""
        strict = self.world.settings.server.profile == FAPI2  # FAPI-CIBA section 5.2.2 item 4
        return (ciba.POLL, ciba.PING) if strict else ciba.MODES

    def _makers(self) -> Mapping[str, Maker]:
        push = Push(
            ciba=self.ciba,
            answers=TokenAnswers(self.minting, self.resources),
            tokens=self.tokens,
            access_lifetime=self.world.settings.tokens.access_lifetime,
            profile=self.world.settings.server.profile,
            clock=self.world.clock,
        )
        return {**super()._makers(), "ciba_ping": Ping(self.ciba), "ciba_push": push}

    @property
    def _signatures(self) -> tuple[str, ...]:
        """What signs statements to clients: our keys; or the client's secret, which is long enough for this HMAC."""
        return (*self.keys.algorithms, "HS256")

    def _signing(self, wanted: str) -> str:
        """What signs for readers of all sorts, given what is wished (FAPI 2.0 Security Profile section 5.4.1)."""
        if self.world.settings.server.profile != FAPI2 or wanted in SIGNING:
            return wanted
        return next((name for name in SIGNING if name in self.keys.algorithms), wanted)

    def _offered(self) -> client_metadata.Offered:
        """What clients may say that they use: whatever is on."""
        methods = self.authentication.methods
        algorithms = self._signatures
        requests = self.requests.metadata().get("request_object_signing_alg_values_supported", ())
        return client_metadata.Offered(
            grant_types=tuple(self.grants),
            auth_methods=tuple(one.method for one in methods),
            auth_algorithms=tuple(dict.fromkeys(name for one in methods for name in one.algorithms)),
            id_token_algorithms=algorithms,
            userinfo_algorithms=algorithms,
            response_algorithms=algorithms,
            introspection_algorithms=algorithms,
            request_algorithms=tuple(requests),
            key_encryption=tuple(jose.KEY_ENCRYPTION),
            content_encryption=tuple(jose.CONTENT_ENCRYPTION),
            subject_types=TYPES,
            details_types=tuple(self.details.types),
            ciba_modes=self._delivery_modes,
            ciba_algorithms=jose.ASYMMETRIC,
        )

    def _browser_endpoints(self, world: World) -> dict[str, Endpoint]:
        return {
            "authorize": Authorize(
                store=world.store,
                clients=self.described,
                requests=self.requests,
                users=self.users,
                scopes=self.scopes,
                sessions=self.sessions,
                interactions=self.interactions,
                consents=self.consents,
                responses=AuthorizationResponses(
                    issuer=world.issuer,
                    nested=self.nested,
                    algorithm=world.settings.tokens.id_token_algorithm,
                    form=FormPost(self.pages),
                    clock=world.clock,
                    profile=world.settings.server.profile,
                ),
                subjects=self.subjects,
                events=world.events,
                settings=world.settings,
                path=paths_of("authorize")[0],
                session_cookie=self.session_cookie,
                clock=world.clock,
                entropy=world.entropy,
            ),
            "backchannel_authentication": self.ciba_authentication,
            "par": Par(
                self.authentication,
                self.bindings,
                self.requests,
                self.pushed,
                world.events,
                self.described,
                self.limits,
            ),
            "end_session": EndSession(
                self.clients,
                self.sessions,
                self.interactions,
                self.hints,
                self.subjects,
                self.sign_out,
                self.front_channel,
                ErrorPage(self.pages),
                self.session_cookie,
            ),
        }

    def _pages(self, world: World) -> dict[str, Endpoint]:
        settings, events, authorize = world.settings, world.events, paths_of("authorize")[0]
        browser = Browser(
            self.pages, self.users, self.sessions, self.interactions, self.session_cookie, world.issuer, self.sign_out,
            self.front_channel,
        )  # fmt: skip
        known_cookie = Cookie.named("oauthd_known", self.secure)
        named = settings.userinfo.identity_with_openid
        return {
            "home": Home(browser, world.issuer),
            "login": Login(browser, self.described.shown, self.sign_in, authorize, known_cookie, world.clock),
            "consent": ConsentPage(
                browser,
                self.described.find,
                self.described.keep,
                self.scopes,
                self.consents,
                self.details,
                events,
                authorize,
                named,
            ),
            "device": DevicePage(
                browser=browser,
                store=world.store,
                clients=self.clients,
                scopes=self.scopes,
                guessing=self.guessing,
                details=self.details,
                events=events,
                settings=settings,
                clock=world.clock,
            ),
            "requests": CibaPage(browser, self.ciba, self.scopes, settings, world.clock),
            "logout": LogoutPage(browser, self.clients),
            "static": Static(self.pages),
        }


def _proof_algorithms(settings: Settings) -> tuple[str, ...]:
    """What may sign DPoP proofs: under FAPI 2.0 what may sign all JWTs of clients (its section 5.4.1)."""
    strict = settings.server.profile == FAPI2
    return tuple(name for name in settings.dpop.algorithms if not strict or name in SIGNING)
