"""HTML pages from packaged templates: rendering, static files, and the headers each page is sent with.

Every template extends ``base.html`` and works without script, also the one that has a script. Values are escaped by the
template engine without exception, and a variable that was not given is an error (StrictUndefined), so each one in the
table must be given: None (or an empty string or list) where there is nothing to say. Text that a client or a person
chose may be any text.

================ ================================================================================================
template         context variables
================ ================================================================================================
login            action, hidden, client_name (None: no client, no cancel button), client_address, login (the
                 name typed or hinted, may be empty), error (a sentence or None), logo, policy, terms
consent          action, hidden, client_name, client_host (host of client_uri or None), client_address, person,
                 scopes, details, destination, logo, policy, terms
device_code      action, hidden, user_code (typed or from the link, may be empty), error (a sentence or None)
device_confirm   action, hidden, client_name, person, scopes, details, user_code (as the device shows it)
device_done      approved (a bool), client_name
ciba_list        action, hidden, person, requests
ciba_confirm     action, hidden, client_name, person, scopes, details, message (or None), logo, policy, terms
ciba_done        approved (a bool), client_name
logout           action, hidden, client_name (who asks, or None), person (or None)
signed_out       nothing
signed_out_here  target (where a link leads), destination
signing_out      frames (their addresses), target (where it leads), destination (or None), seconds, script
form_post        action, fields (mapping of names to values for hidden fields), destination, script
error            message (a plain sentence), advice (what the person can do, or None), error (its code or None),
                 description (or None), reference (to find it in the log, or None),
                 leave (where to sign out, or "")
home             person (or None), issuer
================ ================================================================================================

action
    where the form posts to, on the same origin
hidden
    mapping of names to values for hidden fields, such as ``csrf`` and ``interaction``
person
    what to call the person who is signed in
scopes
    sequence of objects or mappings with ``name`` and ``description`` (which may be empty)
client_address
    host, and port where there is one, of the document that describes the client; None for one that none does
requests
    sequence of mappings with ``address``, ``client_name`` and ``message`` (which may be empty)
logo, policy, terms
    what the client shows of itself, from ``client_links``; None for nothing
details
    sequence of objects or mappings with ``title`` (the operator's words), ``sentence`` (pairs of words and whether a
    client chose them) and ``lines`` (with ``label`` and ``value``)
destination
    a ``Destination``, from ``destination(redirect_uri)``

Forms send ``decision``: ``login`` or ``deny`` (login), ``allow``, ``deny`` or ``switch`` (consent, device_confirm,
ciba_confirm), ``switch`` (ciba_list), ``yes`` or ``no`` (logout). ``product`` and ``lang`` come from ``Pages`` and may
be given for one page.

The policy is Content Security Policy Level 3 (W3C). What goes into it from a redirect URI is rebuilt from recognised
parts, never copied through: what is not recognised adds nothing, so the worst that a strange URI brings about is a
browser that does not follow it. Whether a URI may be redirected to at all is decided elsewhere. What browsers make of
the policy: ``etc/docs/browsers.md``.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Literal

import attrs
import jinja2

# Host source of CSP Level 3 section 2.3.1, and besides it underscores and IPv6, which it cannot spell. A user part, a
# backslash, a blank or anything beyond ASCII in front of the path makes no match.
_WEB = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?=[/?#]|\Z)",
    re.ASCII | re.IGNORECASE,
)
_LOOPBACK = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|\[::1\]", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]{0,62}):", re.ASCII | re.IGNORECASE)
# Never somebody's application: they run in the page, show made-up content, or name the network at large.
_NOT_AN_APPLICATION = frozenset(
    {"about", "blob", "data", "file", "filesystem", "ftp", "http", "https", "javascript", "vbscript", "ws", "wss"}
)

_CONTENT_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_CSS_URL = re.compile(rb'url\("([^"]+)"\)')


@attrs.frozen
class Destination:
    """Where a person will be sent: the ``name`` to show, and whether it is a website or something on this device."""

    kind: Literal["site", "loopback", "application"]
    name: str


def destination(redirect_uri: str) -> Destination:
    """Name the place a redirect URI leads to: host, with its port unless default, or private-use scheme.

    The latter is RFC 8252 section 7.1. An internationalised host is shown as the URI spells it, which is ASCII and
    cannot be mistaken for another one. A URI that is neither is shown whole.
    """
    if web := _web(redirect_uri):
        scheme, host, port = web
        shown = host if port == _DEFAULT_PORTS[scheme] else f"{host}:{port}"
        return Destination("loopback" if _LOOPBACK.fullmatch(host) else "site", shown)
    if application := _application_scheme(redirect_uri):
        return Destination("application", application)
    return Destination("site", redirect_uri)


def content_security_policy(
    form_targets: Iterable[str] = (), script: str = "", images: Iterable[str] = (), frames: Iterable[str] = ()
) -> str:
    """Return the value of Content-Security-Policy for a page.

    images are the sources, as the policy spells them, of pictures that come from elsewhere.

    frames are the addresses that the page shows in frames: their origins alone may be.

    script is the only one that may run, exactly as it stands in the page; by default there is none.

    form_targets are the redirect URIs that the answer to the page's form may lead to, at once or by way of our own
    redirects. Chromium applies form-action to every redirect after a form was sent, also to those that the client's
    callback answers with; where they lead is the client's matter, so schemes are listed and not hosts.
    """
    pictures = ["'self'", *images]
    sources = dict.fromkeys(["'self'", *filter(None, map(_form_source, form_targets))])
    allowed = f"script-src 'sha256-{_digest(script)}'; " if script else ""  # CSP Level 3 section 2.3.1, hash-source
    shown = dict.fromkeys(filter(None, map(_origin, frames)))
    allowed += f"frame-src {' '.join(shown)}; " if shown else ""
    return (
        f"default-src 'none'; {allowed}style-src 'self'; img-src {' '.join(pictures)}; "
        f"form-action {' '.join(sources)}; frame-ancestors 'none'; base-uri 'none'"
    )


def _origin(uri: str) -> str | None:
    """Return the CSP source of whatever stands at the host and port of a URI, or None."""
    web = _web(uri)
    return f"{web[0]}://{web[1]}:{web[2]}" if web else None


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def page_headers(
    form_targets: Iterable[str] = (), script: str = "", images: Iterable[str] = (), frames: Iterable[str] = ()
) -> tuple[tuple[str, str], ...]:
    """Return names and values of the headers of every HTML page; arguments as in ``content_security_policy``."""
    return (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", content_security_policy(form_targets, script, images, frames)),
        ("X-Frame-Options", "DENY"),  # RFC 9700 section 4.16; for browsers that do not know frame-ancestors
        ("Referrer-Policy", "no-referrer"),  # RFC 9700 section 4.2.4
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    )


def _web(uri: str) -> tuple[str, str, int] | None:
    """Return scheme, host (in small letters, IPv6 in brackets) and port of an http or https URI, or None."""
    found = _WEB.match(uri)
    if found is None:
        return None
    scheme = found["scheme"].lower()
    port = int(found["port"] or _DEFAULT_PORTS[scheme])
    return (scheme, found["host"].lower(), port) if port < 65536 else None


def _application_scheme(uri: str) -> str | None:
    """Return the scheme of a URI, in small letters, if it may belong to an application, else None."""
    found = _SCHEME.match(uri)
    scheme = found["scheme"].lower() if found else None
    return None if scheme in _NOT_AN_APPLICATION else scheme


def _form_source(redirect_uri: str) -> str | None:
    """Return the CSP source that lets a form's redirect reach the URI and go on from there; None for none."""
    if web := _web(redirect_uri):
        return f"{web[0]}:"  # http: covers https: too (CSP Level 3 section 6.7.2.8)
    application = _application_scheme(redirect_uri)
    return f"{application}:" if application else None


def _monogram(name: str) -> str:
    """Return the first letter or digit of a name as a capital, or a dot: decoration, hidden from screen readers."""
    return next((character.upper()[:1] for character in name if character.isalnum()), "\N{BULLET}")


@attrs.frozen
class StaticFile:
    """A packaged file: its name with a hash of the content in it, content type and content."""

    hashed_name: str
    content_type: str
    content: bytes = attrs.field(repr=False)


def _load_static() -> dict[str, StaticFile]:
    """Read the packaged static files, by their plain names."""
    found: dict[str, StaticFile] = {}
    folder = files("oauthd.pages").joinpath("static")
    # Style sheets come last: they name other files, under the names that carry those files' hashes.
    for stem, suffix in sorted((_split(entry.name) for entry in folder.iterdir()), key=lambda name: name[1] == ".css"):
        content = folder.joinpath(stem + suffix).read_bytes()
        if suffix == ".css":
            content = _CSS_URL.sub(lambda url: b'url("%b")' % found[url[1].decode()].hashed_name.encode(), content)
        digest = hashlib.sha256(content).hexdigest()[:16]
        found[stem + suffix] = StaticFile(f"{stem}.{digest}{suffix}", _CONTENT_TYPES[suffix], content)
    return found


def _split(name: str) -> tuple[str, str]:
    stem, dot, suffix = name.rpartition(".")
    return stem, dot + suffix


@attrs.frozen
class Pages:
    """All pages, read and compiled when this is made: rendering touches no file.

    product is the name in footer and title, lang the language of the texts (BCP 47), static_root the path that static
    files are served under, with a slash at both ends.
    """

    product: str = "oauthd"
    lang: str = "en"
    static_root: str = "/static/"
    _static: Mapping[str, StaticFile] = attrs.field(init=False, factory=_load_static, repr=False, eq=False)
    _served: Mapping[str, StaticFile] = attrs.field(init=False, repr=False, eq=False)
    _templates: Mapping[str, jinja2.Template] = attrs.field(init=False, repr=False, eq=False)

    @_served.default
    def _by_hashed_name(self) -> dict[str, StaticFile]:
        return {file.hashed_name: file for file in self._static.values()}

    @_templates.default
    def _compiled(self) -> dict[str, jinja2.Template]:
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("oauthd.pages"),
            autoescape=True,  # whatever a template is called
            undefined=jinja2.StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
        )
        environment.filters.update(monogram=_monogram)
        environment.globals.update(product=self.product, lang=self.lang, static_url=self.static_url)
        return {_split(name)[0]: environment.get_template(name) for name in environment.list_templates(["html"])}

    def render(self, name: str, **context: object) -> bytes:
        """Return a page as UTF-8; KeyError for an unknown page, jinja2.UndefinedError for a variable not given."""
        # JSON can carry a lone surrogate into a name; it has no UTF-8, and a question mark stands for it.
        return self._templates[name].render(context).encode("utf-8", "replace")

    def static_url(self, name: str) -> str:
        """Return the path of a static file, content hash included; KeyError for an unknown one."""
        return self.static_root + self._static[name].hashed_name

    def static(self, name: str) -> tuple[str, bytes] | None:
        """Return content type and content of the file with this hashed name (the last part of its path), else None.

        What is found may be cached for ever, since other content has another name.
        """
        file = self._served.get(name)
        return None if file is None else (file.content_type, file.content)
