"""What the templates say: ids and fields, escaping of hostile text, static names, and a policy no URI breaks out of."""

import re
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any, ClassVar

import jinja2
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jinja2 import meta, nodes
from twisted.trial.unittest import SynchronousTestCase

from oauthd.pages import rendering
from oauthd.pages.rendering import Destination, Pages, content_security_policy, destination, page_headers
from tests.pages.samples import SAMPLES

PAGES = Pages()

# Words that try to leave the place they were put in.
BREAKOUTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus='alert(1)",
    "</title></main><h1>Owned</h1>",
    "{{ 7 * 7 }}{% include 'base.html' %}",
    "--><!-- ]]> &quot;&#x3c;svg/onload=1&#x3e;",
    "\u202egro.elpmaxe\u202c",
    "\ud800",
    "a\x00b\r\n\x85\u2028",
]
HOSTILE = st.one_of(st.sampled_from(BREAKOUTS), st.text(min_size=1), st.text(alphabet="<>\"'&=/`{}%#- abc", min_size=1))


class Outline(HTMLParser):
    """Tags with the names of their attributes, in order; values and text kept aside."""

    void: ClassVar[set[str]] = {"meta", "link", "input", "img"}

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.shape: list[tuple[str, tuple[str, ...]]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.shape.append((tag, tuple(name for name, _ in attrs)))
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Note the end of an element."""
        self.shape.append((f"/{tag}", ()))

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data

    def ids(self) -> list[str]:
        """Return every id, in order."""
        return [str(values["id"]) for _, values in self.elements if "id" in values]

    def named(self, name: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements with that name attribute."""
        return [values for _, values in self.elements if values.get("name") == name]


def outline(sample: str, **changes: Any) -> Outline:
    """Return the outline of a sample, with some of its variables changed."""
    template, context = SAMPLES[sample]
    return Outline(PAGES.render(template, **{**context, **changes}))


def replaced(value: Any, text: str) -> Any:
    """Return a context value with every piece of text that came from outside exchanged for the given one."""
    if isinstance(value, str):
        return text
    if isinstance(value, Destination):
        return Destination(value.kind, text)
    if isinstance(value, list) and value and "title" in value[0]:
        line = {"label": text, "value": text}
        return [{"title": text, "sentence": [(text, chosen) for chosen in (True, False)], "lines": [line]}]
    if isinstance(value, list):
        return [dict.fromkeys(one, text) for one in value]
    if isinstance(value, dict):
        return dict.fromkeys(value, text)
    return value


class TemplateTests(SynchronousTestCase):
    """Each page has the elements that people, tests and password safes look for."""

    def test_table_names_every_variable(self) -> None:
        """The table in the module's docstring names exactly the templates there are, with exactly their variables."""
        rows: dict[str, str] = {}
        for line in str(rendering.__doc__).split("=\n")[2].splitlines():
            name, words = line[:17].strip(), line[17:]
            last = name or list(rows)[-1]
            rows[last] = f"{rows.get(last, '')} {words}"
        rows = {name: re.sub(r"\([^)]*\)", "", words) for name, words in rows.items() if not name.startswith("=")}
        stated = {name: set(re.findall(r"\w+", words)) - {"nothing"} for name, words in rows.items()}
        environment = jinja2.Environment(autoescape=True)
        environment.filters.update(dict.fromkeys(("monogram", "navigable"), str))
        folder = files("oauthd.pages").joinpath("templates")
        found: dict[str, set[str]] = {}
        for entry in folder.iterdir():
            if entry.name not in ("base.html", "parts.html"):
                tree = environment.parse(entry.read_text())
                imported = {str(name) for node in tree.find_all(nodes.FromImport) for name in node.names}
                everywhere = {"product", "lang", "static_url"}
                found[entry.name.removesuffix(".html")] = meta.find_undeclared_variables(tree) - imported - everywhere
        self.assertEqual(stated, found)

    def test_samples_cover_every_page(self) -> None:
        """No page is left out of the tests of words and looks."""
        pages = {entry.name.removesuffix(".html") for entry in files("oauthd.pages").joinpath("templates").iterdir()}
        self.assertEqual({template for template, _ in SAMPLES.values()}, pages - {"base", "parts"})

    def test_ids(self) -> None:
        """The ids that browsers under test look for are there, each once in its page."""
        expected = {
            "login": {"login", "password", "submit", "deny"},
            "consent": {"allow", "deny", "switch"},
            "device_code": {"user_code", "submit"},
            "device_confirm": {"allow", "deny", "switch", "code"},
            "logout": {"yes", "no"},
        }
        for sample in SAMPLES:
            found = outline(sample).ids()
            self.assertEqual(len(found), len(set(found)), sample)
            self.assertLessEqual(expected.get(sample, set()), set(found), sample)

    def test_words_that_reviewers_look_for(self) -> None:
        """Login, error and logout pages carry the headings by which they are recognised."""
        for sample, heading in (
            ("login", "<h1>Sign in"),
            ("error", "<h1>Error"),
            ("logout", "<h1>Sign out?"),
            ("signed_out", "<h1>Signed out"),
        ):
            template, context = SAMPLES[sample]
            self.assertIn(heading, PAGES.render(template, **context).decode())

    def test_every_form_carries_the_hidden_fields(self) -> None:
        """Each form that we read ourselves posts to its address and carries csrf and interaction."""
        for sample, (template, context) in SAMPLES.items():
            if template == "form_post":  # which others read
                continue
            page = outline(sample)
            forms = [values for tag, values in page.elements if tag == "form"]
            self.assertEqual(len(page.named("csrf")), len(forms), sample)
            self.assertEqual(len(page.named("interaction")), len(forms), sample)
            for form in forms:
                self.assertEqual((form["method"], form["action"]), ("post", context["action"]))

    def test_cancelling_sends_no_password(self) -> None:
        """The cancel button stands in another form than the password."""
        found = [values.get("id") or tag for tag, values in outline("login").elements]
        order = [name for name in found if name in ("form", "password", "deny")]
        self.assertEqual(order, ["form", "password", "form", "deny"])

    def test_no_client_no_cancel(self) -> None:
        """A login that no client asked for has nobody to go back to."""
        self.assertNotIn("deny", outline("login_without_client").ids())

    def test_fields_tell_password_safes_what_they_are(self) -> None:
        """Name and password are marked for autofill, and the name typed before is kept."""
        page = outline("login_error")
        self.assertEqual(page.named("login")[0]["autocomplete"], "username")
        self.assertEqual(page.named("login")[0]["value"], "ada")
        self.assertEqual(page.named("password")[0]["autocomplete"], "current-password")
        self.assertNotIn("value", page.named("password")[0])

    def test_error_summary_is_tied_to_the_fields(self) -> None:
        """A refused login is announced, named in the title, and described at both fields."""
        page = outline("login_error")
        alerts = [values for _, values in page.elements if values.get("role") == "alert"]
        self.assertEqual([values["id"] for values in alerts], ["problem"])
        for field in ("login", "password"):
            self.assertEqual(page.named(field)[0]["aria-describedby"], "problem")
        self.assertIn("Error: Sign in", page.text)

    def test_destination_is_shown(self) -> None:
        """Consent names the host, loopback address or application that the answer goes to."""
        for sample, words in (
            ("consent", "You will be sent to\nphotos.example"),
            ("consent_long", "an application on this device, at\n127.0.0.1:49152"),
            ("consent_without_scopes", "answers to\ncom.example.terminal"),
        ):
            self.assertIn(words, outline(sample).text)

    def test_nothing_active_and_nothing_from_outside(self) -> None:
        """No template has script, inline style, event attributes, unescaped output or an address elsewhere."""
        forbidden = re.compile(r"<script|<style|\sstyle=|\son\w+=|\|\s*safe|autoescape|https?://|<iframe|<base", re.I)
        for entry in files("oauthd.pages").joinpath("templates").iterdir():
            text = entry.read_text().replace("<script>{{ script }}</script>", "")  # which the policy names by its hash
            if entry.name == "signing_out.html":  # frames whose origins the policy names
                text = text.replace("<iframe hidden", "")
            self.assertIsNone(forbidden.search(text), entry.name)

    def test_missing_variable_is_an_error(self) -> None:
        """A page is not rendered with a hole in it."""
        for template, context in SAMPLES.values():
            for left_out in context:
                given_ = {name: value for name, value in context.items() if name != left_out}
                self.assertRaises(jinja2.UndefinedError, PAGES.render, template, **given_)
        self.assertRaises(KeyError, PAGES.render, "unknown")

    def test_language_and_product(self) -> None:
        """Language and product come from the pages and may differ for one."""
        page = Outline(Pages(product="Ida's door", lang="de").render("signed_out"))
        self.assertEqual(page.elements[0], ("html", {"lang": "de"}))
        self.assertIn("Signed out · Ida's door", page.text)
        self.assertEqual(Outline(PAGES.render("signed_out", lang="pt-BR")).elements[0], ("html", {"lang": "pt-BR"}))


class EscapingTests(SynchronousTestCase):
    """No text changes what a page consists of."""

    @settings(deadline=None)
    @given(HOSTILE)
    def test_shape_does_not_depend_on_text(self, text: str) -> None:
        """With any text in any place the page has the same elements with the same attributes."""
        for template, context in SAMPLES.values():
            filled = {name: value for name, value in context.items() if name != "url"}
            kept = {name: value for name, value in context.items() if name == "url"}
            tame = PAGES.render(template, **kept, **{name: replaced(value, "Plain") for name, value in filled.items()})
            wild = PAGES.render(template, **kept, **{name: replaced(value, text) for name, value in filled.items()})
            self.assertEqual(Outline(tame).shape, Outline(wild).shape, template)

    @settings(deadline=None)
    @given(HOSTILE)
    def test_text_arrives_whole(self, text: str) -> None:
        """What was typed or named is shown and sent back letter by letter; lone surrogates become question marks."""
        shown = text.encode("utf-8", "replace").decode()
        page = outline("login", client_name=text, login=text)
        self.assertEqual(page.named("login")[0]["value"], shown)
        self.assertIn(f"to continue to {shown}", page.text)

    def test_names_cannot_turn_the_sentence_around(self) -> None:
        """Names of clients, people, hosts and scopes stand in bdi elements of their own."""
        name = "\u202egro.elpmaxe"
        for sample in ("login", "consent", "device_confirm", "device_refused", "logout"):
            template, context = SAMPLES[sample]
            page = PAGES.render(template, **{**context, "client_name": name}).decode()
            self.assertEqual(page.count(f"<bdi>{name}</bdi>"), page.count(name), sample)


POLICY = re.compile(
    r"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'((?: [a-z0-9+.:/*-]+)*); "
    r"frame-ancestors 'none'; base-uri 'none'"
)
SOURCE = re.compile(r"[a-z][a-z0-9+.-]*:")


def sources(*form_targets: str) -> list[str]:
    """Return what form-action lists beside 'self', after looking at the form of the whole policy."""
    found = POLICY.fullmatch(content_security_policy(form_targets))
    assert found is not None, content_security_policy(form_targets)
    return found[1].split()


class PolicyTests(SynchronousTestCase):
    """The Content-Security-Policy lists what a form may lead to, and nothing gets out of its place."""

    @settings(deadline=None)
    @given(st.lists(st.one_of(st.text(), st.text(alphabet="htps:/.;, '\"*\\@[]%\x00\r\n\té_0a?#")), max_size=4))
    def test_no_text_breaks_out(self, targets: list[str]) -> None:
        """Whatever the targets, the policy has its six directives and well-formed sources."""
        for source in sources(*targets):
            self.assertIsNotNone(SOURCE.fullmatch(source), source)

    @settings(deadline=None)
    @given(
        st.from_regex(r"https?://(\[::1\]|[a-z0-9][a-z0-9.-]{0,20})(:[0-9]{1,4})?", fullmatch=True),
        st.one_of(st.text(), st.sampled_from(["; script-src *", ", default-src *", " 'unsafe-inline'"])),
    )
    def test_path_and_query_do_not_matter(self, origin: str, rest: str) -> None:
        """What follows the origin never reaches the policy."""
        self.assertEqual(sources(f"{origin}/{rest}"), sources(origin))
        self.assertEqual(sources(f"{origin}?{rest}"), sources(origin))

    @settings(deadline=None)
    @given(st.text(min_size=1, max_size=8))
    def test_nothing_smuggled_behind_the_host(self, junk: str) -> None:
        """A host or port with something foreign behind it is the host it was before, or nothing."""
        assume(not re.match(r"[a-z0-9._-]+\Z|[a-z0-9._-]*(:[0-9]{1,5})?[/?#]", junk, re.ASCII | re.IGNORECASE))
        assume(not re.fullmatch(r"[a-z0-9._-]*:[0-9]{1,5}", junk, re.ASCII | re.IGNORECASE))
        self.assertEqual(sources(f"https://client.example{junk}"), [])

    def test_sources(self) -> None:
        """Web addresses and applications give their scheme: where a callback leads on is the client's matter."""
        for target, expected in (
            ("https://client.example/cb?x=1#f", ["https:"]),
            ("HTTPS://Client.Example:8443/cb", ["https:"]),
            ("http://127.0.0.1:49152/cb", ["http:"]),
            ("http://localhost/cb", ["http:"]),
            ("https://xn--bcher-kva.example/", ["https:"]),
            ("http://[::1]:49152/cb", ["http:"]),
            ("https://[2001:db8::1]/cb", ["https:"]),
            ("https://under_score.example/cb", ["https:"]),
            ("com.example.app:/cb", ["com.example.app:"]),
            ("Com.Example.App://host/cb", ["com.example.app:"]),
        ):
            self.assertEqual(sources(target), expected, target)

    def test_refused_sources(self) -> None:
        """Wild cards, user parts, tricks with separators, odd letters and schemes that run give nothing."""
        for target in (
            "https://*/",
            "https://*.example/",
            "https://good.example@evil.example/",
            "https://evil.example\\@good.example/",
            "https://client.example;script-src/",
            "https://client.example, x/",
            "https://client.example'unsafe-inline'/",
            "https://client.example:443 *",
            "https://client.example\n.evil.example/",
            "https://client.example\t/",
            "https://bücher.example/",
            "https://client.example:99999/",
            "https://client.example:\uff18\uff10/",  # digits, but not these
            "https://client.example:/",
            "https:///cb",
            "https:client.example",
            "http:",
            "javascript:alert(1)",
            "DATA:text/html,x",
            "blob:https://x/",
            "'self'",
            "*",
            "1app:/cb",
            "app name:/cb",
            "\u017fcheme:/cb",  # a letter that folds into an ASCII one
            "x" * 64 + ":/cb",
            "/relative",
            "",
        ):
            self.assertEqual(sources(target), [], target)

    def test_each_source_once(self) -> None:
        """Two addresses of one scheme are one source; order is kept."""
        found = sources("https://b.example/1", "com.app:/", "https://b.example/2", "junk")
        self.assertEqual(found, ["https:", "com.app:"])

    def test_headers(self) -> None:
        """Every page forbids framing, keeps its address to itself and stays out of caches."""
        headers = dict(page_headers(["https://client.example/cb"]))
        self.assertEqual(headers["X-Frame-Options"], "DENY")
        self.assertEqual(headers["Referrer-Policy"], "no-referrer")
        self.assertEqual(headers["Cache-Control"], "no-store")
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(headers["Content-Type"], "text/html; charset=utf-8")
        self.assertEqual(headers["Content-Security-Policy"], content_security_policy(["https://client.example/cb"]))


class DestinationTests(SynchronousTestCase):
    """The place a person will be sent to has an honest name."""

    def test_names(self) -> None:
        """Hosts with ports that matter, loopback addresses, application schemes; what is none of these stays whole."""
        for uri, kind, name in (
            ("https://photos.example/cb", "site", "photos.example"),
            ("https://photos.example:443/cb", "site", "photos.example"),
            ("https://photos.example:8443/cb", "site", "photos.example:8443"),
            ("http://photos.example:443/cb", "site", "photos.example:443"),
            ("https://xn--phots-1ra.example/", "site", "xn--phots-1ra.example"),
            ("http://127.0.0.1:5000/cb", "loopback", "127.0.0.1:5000"),
            ("http://[::1]:5000/cb", "loopback", "[::1]:5000"),
            ("http://localhost/cb", "loopback", "localhost"),
            ("https://localhost.evil.example/cb", "site", "localhost.evil.example"),
            ("https://127.0.0.1.evil.example/cb", "site", "127.0.0.1.evil.example"),
            ("com.example.app:/cb", "application", "com.example.app"),
            ("https://good.example@evil.example/", "site", "https://good.example@evil.example/"),
        ):
            self.assertEqual(destination(uri), Destination(kind, name), uri)  # type: ignore[arg-type]


class StaticTests(SynchronousTestCase):
    """Static files are found by the name that carries their hash, and by no other."""

    def test_pages_link_what_is_served(self) -> None:
        """Style sheet and icon that a page links to, and the pictures that the style sheet names, are served."""
        page = outline("signed_out")
        links = {str(values["rel"]): str(values["href"]) for tag, values in page.elements if tag == "link"}
        sheet = PAGES.static(links["stylesheet"].removeprefix("/static/"))
        icon = PAGES.static(links["icon"].removeprefix("/static/"))
        assert sheet is not None and icon is not None
        self.assertEqual((sheet[0], icon[0]), ("text/css; charset=utf-8", "image/svg+xml"))
        named = re.findall(rb'url\("([^"]+)"\)', sheet[1])
        self.assertGreater(len(named), 1)
        for name in named:
            self.assertIsNotNone(PAGES.static(name.decode()), name)

    def test_other_names_are_unknown(self) -> None:
        """Plain names, other hashes and paths give nothing."""
        hashed = PAGES.static_url("oauthd.css").removeprefix("/static/")
        for name in ("oauthd.css", "oauthd.0.css", "", ".", "../x.css", f"./{hashed}", f"{hashed}/", hashed.upper()):
            self.assertIsNone(PAGES.static(name), name)
        self.assertRaises(KeyError, PAGES.static_url, "unknown.css")

    def test_static_root(self) -> None:
        """A server below a path links its files below that path."""
        self.assertTrue(Pages(static_root="/auth/static/").static_url("favicon.svg").startswith("/auth/static/favicon."))

    def test_sheet_has_nothing_from_outside(self) -> None:
        """The style sheet imports nothing and names only files beside it."""
        sheet = files("oauthd.pages").joinpath("static", "oauthd.css").read_text()
        self.assertNotRegex(sheet, r"@import|@font-face|//|url\((?!\"[a-z]+\.svg\"\))")
