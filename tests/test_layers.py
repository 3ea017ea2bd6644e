"""The layers hold: what each module imports, where time and chance come from, and how things may not be called.

Everything is read from the syntax trees; nothing is imported. ARCHITECTURE section 2 has the table.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
OAUTHD = ROOT / "oauthd"

# Part of the package -> layer. The library for resource servers stands beside them.
LAYERS: tuple[tuple[str, int], ...] = (
    ("oauthd.__version__", 0),
    ("oauthd.protocol", 0),
    ("oauthd.stores", 1),
    ("oauthd.config", 1),
    ("oauthd.keys", 1),
    ("oauthd.sealed_keys", 1),
    ("oauthd.fetcher", 1),
    ("oauthd.tls", 1),
    ("oauthd.events", 1),
    ("oauthd.metrics", 1),
    ("oauthd.passwords", 1),
    ("oauthd.sign_in", 1),
    ("oauthd.ciba", 1),
    ("oauthd.sign_out", 1),
    ("oauthd.guessing", 1),
    ("oauthd.user_codes", 1),
    ("oauthd.limits", 1),
    ("oauthd.shedding", 1),
    ("oauthd.minting", 1),
    ("oauthd.subjects", 1),
    ("oauthd.stateless_tokens", 1),
    ("oauthd.nested_jwt", 1),
    ("oauthd.deliveries", 1),
    ("oauthd.trusted_jwt", 1),
    ("oauthd.grants", 2),
    ("oauthd.proofs", 2),
    ("oauthd.endpoints", 3),
    ("oauthd.pages", 3),
    ("oauthd.admin", 3),
    ("oauthd.web", 4),
    ("oauthd.runtime", 5),
    ("oauthd.command", 5),
    ("oauthd.parts", 5),
    ("oauthd.administration", 5),
    ("oauthd.granting", 5),
    ("oauthd.registering", 5),
    ("oauthd.app", 5),
    ("oauthd.surface", 5),
    ("oauthd.tap", 5),
)
OUTSIDE = 6
"""The layer of what is not in the table."""

# Of the store only its own folder knows the server and how things lie there.
STORE_INNARDS = re.compile(
    r"oauthd\.stores\.(address|codec|connection|cursor|durable|indexes|invalidation|naming|pool|queues|redis|revocations|scripts|"
    r"sentinel|subscription)\b"
)
# What is known in one place only: library -> the modules that may import it.
PLACES = {
    "txredisapi": r"oauthd\.stores\.",
    "hiredis": r"oauthd\.(stores\.|runtime\.(valkey|question)\Z)",  # the embedded one is asked before there is a store
    "klein": r"oauthd\.web\.",
    "werkzeug": r"oauthd\.web\.",
    "twisted.web": r"oauthd\.(web\.|fetcher\b)",
    "treq": r"oauthd\.(fetcher|client)\b",
    "jinja2": r"oauthd\.pages\.",
    "argon2": r"oauthd\.(passwords|parts)\Z",
    "click": r"oauthd\.command\b",
    "jsonschema_rs": r"oauthd\.protocol\.authorization_details\Z",
    "jwcrypto": r"oauthd\.protocol\.",
    "prometheus_client": r"oauthd\.runtime\.",
}
# What the pure layer may use besides the standard library.
PURE = ("attrs", "attr", "msgspec", "zope.interface", "jwcrypto", "cryptography", "jsonschema_rs", "oauthd.protocol")
# Parts of the standard library that are no pure computing.
IMPURE = (
    "asyncio", "ctypes", "multiprocessing", "os", "pathlib", "random", "secrets", "select", "selectors", "shutil",
    "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "urllib.request", "http.client",
)  # fmt: skip
CHANCE_AND_TIME = ("time", "secrets", "random", "uuid.uuid1", "uuid.uuid4", "_thread")
CALLS = re.compile(r"(os\.(urandom|getrandom)|(datetime|date)\.(now|utcnow|today|fromtimestamp)|uuid\.uuid[14])\Z")
FORBIDDEN_NAMES = re.compile(
    r"(?:^|_)(?:managers?|handlers?|processors?|engines?|utils?|utility|utilities|helpers?|misc|commons?)(?:_|$)"
)


@frozen
class Module:
    """A module of the project."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def layer(self) -> int:
        """Its layer."""
        return layer_of(self.name)

    @property
    def imports(self) -> Iterator[str]:
        """What it imports when it runs: `package.module.name` for `from package.module import name`."""
        for node in _running(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree, without what is for the type checker alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        yield from _running(node)


def layer_of(name: str) -> int:
    """The layer of a module, by its name."""
    return next((layer for part, layer in LAYERS if _within(name, part)), OUTSIDE)


def _within(name: str, *parts: str) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def modules() -> list[Module]:
    """Every module of the package."""
    found = []
    for path in sorted(OAUTHD.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Module(name, path, ast.parse(path.read_text())))
    return found


MODULES = modules()


class ImportTests(SynchronousTestCase):
    """Section 2: who may import whom."""

    def broken(self, breaks: list[str]) -> None:
        """Nothing is broken; else everything that is, at once."""
        self.assertEqual(breaks, [], "\n".join(breaks))

    def test_every_module_has_a_layer(self) -> None:
        """No module stands outside the table, save the package itself and the library for resource servers."""
        found = {module.name for module in MODULES if module.layer == OUTSIDE}
        self.assertEqual({name for name in found if not _within(name, "oauthd.client")}, {"oauthd"})

    def test_downward_only(self) -> None:
        """A module imports from lower layers and from its own folder: never upward, and never sideways above 1."""
        breaks = []
        for module in MODULES:
            folder = ".".join(module.name.split(".")[:2])
            for name in module.imports:
                if not _within(name, "oauthd") or _within(name, folder):
                    continue
                layer = layer_of(name)
                sideways = layer == module.layer and layer in (2, 3)
                if layer > module.layer or sideways:
                    breaks.append(f"{module.name} (layer {module.layer}) imports {name} (layer {layer})")
        self.broken(breaks)

    def test_the_pure_layer(self) -> None:
        """Layer 0 imports a few libraries that compute, and pure parts of the standard one."""
        breaks = []
        for module in (one for one in MODULES if one.layer == 0):
            for name in module.imports:
                standard = name.split(".")[0] in sys.stdlib_module_names and not _within(name, *IMPURE)
                if not standard and not _within(name, *PURE):
                    breaks.append(f"{module.name} imports {name}")
        self.broken(breaks)

    def test_libraries_have_their_places(self) -> None:
        """Each library of the outside world is known in one place: the database, HTTP, templates, hashes, the shell."""
        breaks = []
        for module in MODULES:
            for name in module.imports:
                for library, place in PLACES.items():
                    if _within(name, library) and not re.match(place, module.name):
                        breaks.append(f"{module.name} imports {name}")
        self.broken(breaks)

    def test_layer_1_is_reached_by_its_interfaces(self) -> None:
        """Grants, proofs, endpoints, pages and the admin API know nothing of connections, scripts and bytes."""
        breaks = [
            f"{module.name} imports {name}"
            for module in MODULES
            if module.layer < 5 and not _within(module.name, "oauthd.stores")
            for name in module.imports
            if STORE_INNARDS.match(name)
        ]
        self.broken(breaks)

    def test_the_web_layer(self) -> None:
        """Layer 4 knows the protocol, the events, the counts, and what an endpoint is; the rest is handed in."""
        allowed = ("oauthd.protocol", "oauthd.events", "oauthd.metrics", "oauthd.web", "oauthd.endpoints.interface")
        breaks = [
            f"{module.name} imports {name}"
            for module in MODULES
            if module.layer == 4
            for name in module.imports
            if _within(name, "oauthd") and not _within(name, *allowed)
        ]
        self.broken(breaks)

    def test_no_asyncio_and_no_inline_callbacks(self) -> None:
        """Section 3: coroutines with Twisted's Deferreds, and nothing else."""
        wanted = re.compile(r"(asyncio|twisted\.internet\.defer\.inlineCallbacks|threading\.Thread)\b")
        found = ((module.name, name) for module in MODULES for name in module.imports)
        self.broken([f"{module} imports {name}" for module, name in found if wanted.match(name)])

    def test_the_client_library_stands_beside(self) -> None:
        """Nothing in the server imports the library for resource servers, and it imports the protocol alone."""
        breaks = []
        for module in MODULES:
            inside = _within(module.name, "oauthd.client")
            for name in (one for one in module.imports if _within(one, "oauthd")):
                if inside != _within(name, "oauthd.client") and not (inside and layer_of(name) == 0):
                    breaks.append(f"{module.name} imports {name}")
        self.broken(breaks)


class PurityTests(SynchronousTestCase):
    """Section 2: time and chance are handed in."""

    def test_below_layer_5(self) -> None:
        """No module below layer 5 imports time, secrets, random or uuid4, or calls os.urandom or datetime.now."""
        breaks = []
        for module in (one for one in MODULES if one.layer < 5):
            breaks += [f"{module.name} imports {name}" for name in module.imports if _within(name, *CHANCE_AND_TIME)]
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call) and CALLS.search(ast.unparse(node.func)):
                    breaks.append(f"{module.name}:{node.lineno} calls {ast.unparse(node.func)}")
        self.assertEqual(breaks, [], "\n".join(breaks))

    def test_no_reactor_is_imported(self) -> None:
        """The reactor is handed in, save at the very top."""
        breaks = [
            f"{module.name} imports {name}"
            for module in MODULES
            if module.layer < 5
            for name in module.imports
            if _within(name, "twisted.internet.reactor")
        ]
        self.assertEqual(breaks, [], "\n".join(breaks))


class NameTests(SynchronousTestCase):
    """Sections 2 and 10: names."""

    def test_no_empty_words(self) -> None:
        """No module or class is called manager, handler, processor, engine, util, helper, misc or common."""
        breaks = []
        for module in MODULES:
            if FORBIDDEN_NAMES.search(module.name.rpartition(".")[2]):
                breaks.append(module.name)
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef):
                    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", node.name).lower()
                    if FORBIDDEN_NAMES.search(words):
                        breaks.append(f"{module.name}.{node.name}")
        self.assertEqual(breaks, [])

    def test_every_module_says_what_it_is(self) -> None:
        """Every module has a docstring."""
        self.assertEqual([module.name for module in MODULES if not ast.get_docstring(module.tree)], [])

    def test_plugin_folder(self) -> None:
        """The plugin's folders have no __init__.py, or Twisted's own plugins would be hidden."""
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])

    def test_functions_fit_a_screen(self) -> None:
        """No function is longer than 60 lines, and no module longer than 500."""
        breaks = []
        for module in MODULES:
            if module.path.read_text().count("\n") > 500:
                breaks.append(module.name)
            for node in ast.walk(module.tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = (node.end_lineno or node.lineno) - node.lineno + 1
                    if length > 60:
                        breaks.append(f"{module.name}.{node.name}: {length} lines")
        self.assertEqual(breaks, [], "\n".join(breaks))

    def test_every_test_says_what_holds(self) -> None:
        """Every test method has a docstring of one sentence's beginning: a capital letter and an end."""
        breaks = []
        for path in sorted((ROOT / "tests").rglob("test_*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                    said = ast.get_docstring(node) or ""
                    if not said.rstrip().endswith((".", "?")):
                        breaks.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
        self.assertEqual(breaks, [], "\n".join(breaks))
