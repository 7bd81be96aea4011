"""
Tests for ``twisted_registry.daemon.providers``.
"""

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from hypothesis import given
from hypothesis.strategies import lists, text
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, implementer
from zope.interface.verify import verifyObject

from tests.unit.twistd_process import TAP, run_twistd
from twisted_registry.config.descriptions import escape, parse_description
from twisted_registry.config.values import whole
from twisted_registry.contracts.ownership import ArchiveIdentity, IIdentifiableArchive
from twisted_registry.contracts.providers import IArchiveProvider, ITransientProvider
from twisted_registry.contracts.transient import TransientBudget
from twisted_registry.daemon.options import Options
from twisted_registry.daemon.providers import (
    LazyArchiveProvider,
    LazyTransientProvider,
    Stores,
    create_archive,
    create_stores,
    create_transient_store,
)
from twisted_registry.domain.errors import CannotStart
from twisted_registry.domain.kept import UnfinishedLimits
from twisted_registry.storage.memory import MemoryStore
from twisted_registry.testing.memory_archive import MemoryArchive

BUDGET = TransientBudget(max_items=1, max_bytes=2)
HERE = __name__
ROOT = Path(__file__).parents[2]


@implementer(IPlugin, IArchiveProvider)
class FakeArchiveProvider:
    """
    A provider that returns its arguments in place of an archive.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def create_archive(self, *arguments: str, **options: str) -> Any:
        """
        Return the arguments.
        """
        return arguments, options


@implementer(IPlugin, IArchiveProvider)
class PickyArchiveProvider:
    """
    A provider with an argument and an option, which fails.
    """

    name = "picky"

    # An interface cannot say so, but a provider takes the arguments that it knows, and no others.
    def create_archive(self, place: str, *, mode: str = "rw") -> Any:  # type: ignore[override]
        """
        Fail because of a bug.
        """
        raise TypeError("a fault of the provider")


@implementer(IPlugin, ITransientProvider)
class FakeTransientProvider:
    """
    A provider that returns its arguments in place of a transient store.
    """

    name = "fake"

    def create_transient_store(self, budget: TransientBudget, *arguments: str, **options: str) -> Any:
        """
        Return the arguments.
        """
        return budget, arguments, options


def installed(*plugins: object) -> Callable[[type[Interface]], Iterable[Any]]:
    """
    Return a replacement for ``twisted.plugin.getPlugins``.
    """
    return lambda interface: [plugin for plugin in plugins if interface(plugin, None) is not None]


def archive_of(root: str) -> Any:
    """
    Return a fake archive.
    """
    return SimpleNamespace(root=root)


def store_of(budget: TransientBudget, *, flavour: str = "plain") -> Any:
    """
    Return a fake transient store.
    """
    return SimpleNamespace(budget=budget, flavour=flavour)


class MadeArchive(MemoryArchive):
    """
    An archive that remembers its arguments.
    """

    def __init__(self, *arguments: str, **options: str) -> None:
        super().__init__()
        self.made_with = arguments, options


class MadeStore(MemoryStore):
    """
    A transient store that remembers its budget and its arguments.
    """

    def __init__(self, budget: TransientBudget, *arguments: str) -> None:
        super().__init__(budget)
        self.made_with = budget, arguments


def typed_archive(
    root: str,
    *,
    size: int = 1,
    rate: float = 1.0,
    fast: bool = False,
    mode: Literal["ro", "rw"] = "rw",
    retries: Annotated[int, whole(1, 5)] = 1,
    limit: int | None = None,
    **others: int,
) -> Any:
    """
    Return the options of a fake archive, which have several types.
    """
    return {"size": size, "rate": rate, "fast": fast, "mode": mode, "retries": retries, "limit": limit, **others}


class DescriptionTests(SynchronousTestCase):
    """
    Descriptions are parsed like those of Twisted's endpoints.
    """

    def read(self, description: str) -> tuple[str, tuple[str, ...], dict[str, str]]:
        """
        Parse a description.
        """
        parsed = parse_description(description)
        return parsed.name, parsed.arguments, parsed.options

    def test_name_alone(self) -> None:
        """
        A description may be a name only.
        """
        self.assertEqual(self.read("memory"), ("memory", (), {}))

    def test_arguments_and_options(self) -> None:
        """
        Parts with an equals sign are options; the others are arguments, in their order.
        """
        self.assertEqual(self.read("s3:one:k=v:two"), ("s3", ("one", "two"), {"k": "v"}))

    def test_empty_argument(self) -> None:
        """
        An empty part is an empty argument.
        """
        self.assertEqual(self.read("a:"), ("a", ("",), {}))
        self.assertEqual(self.read("a:k="), ("a", (), {"k": ""}))

    def test_later_equals_signs(self) -> None:
        """
        The value of an option may contain equals signs.
        """
        self.assertEqual(self.read("a:k=v=w"), ("a", (), {"k": "v=w"}))

    def test_backslash(self) -> None:
        """
        A backslash makes the next character literal.
        """
        self.assertEqual(self.read(r"a:C\:\\x:p\=q:k\=l=m\:n"), ("a", ("C:\\x", "p=q"), {"k=l": "m:n"}))

    def test_lone_backslash(self) -> None:
        """
        A backslash at the end is refused.
        """
        error = self.assertRaises(CannotStart, parse_description, "a:b\\")
        self.assertIn("ends with a single backslash", str(error))

    def test_no_name(self) -> None:
        """
        A description without a name is refused.
        """
        for description in ("", ":x", "k=v:x"):
            error = self.assertRaises(CannotStart, parse_description, description)
            self.assertIn("must begin with a provider's name", str(error))

    def test_option_twice(self) -> None:
        """
        An option cannot be given twice.
        """
        error = self.assertRaises(CannotStart, parse_description, "a:k=1:k=2")
        self.assertIn("sets k twice", str(error))

    @given(lists(text()))
    def test_escape(self, arguments: list[str]) -> None:
        """
        Any escaped text is parsed as one argument, unchanged.
        """
        description = ":".join(["name", *map(escape, arguments)])
        self.assertEqual(self.read(description), ("name", tuple(arguments), {}))


class CreateTests(SynchronousTestCase):
    """
    Storage is made by the plugin that its description names.
    """

    def test_archive(self) -> None:
        """
        The named provider is called with the description's arguments.
        """
        plugins = installed(FakeArchiveProvider("one"), FakeArchiveProvider("two"), FakeTransientProvider())
        made: Any = create_archive("two:/data:mode=ro", plugins)
        self.assertEqual(made, (("/data",), {"mode": "ro"}))

    def test_must_exist(self) -> None:
        """
        An archive that must exist is made so; an archive that cannot check that is refused.
        """
        expected: list[bool] = []

        @implementer(IIdentifiableArchive)
        class Identifiable:
            def expect_existing(self) -> None:
                expected.append(True)

            def identity(self) -> ArchiveIdentity:
                return ArchiveIdentity()

        provider: Any = FakeArchiveProvider("one")
        error = self.assertRaises(CannotStart, create_archive, "one", installed(provider), must_exist=True)
        self.assertIn("--archive-must-exist", str(error))
        provider.create_archive = Identifiable
        create_archive("one", installed(provider))
        self.assertEqual(expected, [])
        create_archive("one", installed(provider), must_exist=True)
        self.assertEqual(expected, [True])

    def test_transient_store(self) -> None:
        """
        The named provider is called with the budget and the description's arguments.
        """
        made: Any = create_transient_store("fake:x:k=v", BUDGET, installed(FakeTransientProvider()))
        self.assertEqual(made, (BUDGET, ("x",), {"k": "v"}))

    def test_unknown(self) -> None:
        """
        An unknown name is refused, with the names that are known.
        """
        plugins = installed(FakeArchiveProvider("two"), FakeArchiveProvider("one"), FakeTransientProvider())
        error = self.assertRaises(CannotStart, create_archive, "three:/data", plugins)
        self.assertEqual(str(error), "there is no archive 'three', which 'three:/data' names; known: one, two")

    def test_nothing_installed(self) -> None:
        """
        The refusal reports that no plugin is installed.
        """
        error = self.assertRaises(CannotStart, create_transient_store, "fake", BUDGET, installed())
        self.assertIn("there is no transient store 'fake'", str(error))
        self.assertIn("known: none", str(error))

    def test_ambiguous(self) -> None:
        """
        A name that two plugins have is refused, because it is ambiguous.
        """
        plugins = installed(FakeArchiveProvider("one"), FakeArchiveProvider("one"))
        error = self.assertRaises(CannotStart, create_archive, "one", plugins)
        self.assertIn("2 plugins", str(error))

    def test_arguments_that_do_not_fit(self) -> None:
        """
        Arguments that the provider does not take are refused, with the form of its descriptions.
        """
        for description in ("picky", "picky:a:b", "picky:a:colour=red", "picky:a:place=b"):
            error = self.assertRaises(CannotStart, create_archive, description, installed(PickyArchiveProvider()))
            self.assertIn("write it as 'picky:place:mode=...'", str(error))

    def test_fault_within(self) -> None:
        """
        A ``TypeError`` inside the provider is a bug, and not reported as a wrong description.
        """
        error = self.assertRaises(TypeError, create_archive, "picky:a", installed(PickyArchiveProvider()))
        self.assertEqual(str(error), "a fault of the provider")

    def test_built_in(self) -> None:
        """
        Twisted finds this package's storage providers.
        """
        for missing, create in (
            ("filesystem", lambda: create_archive("nothing")),
            ("memory", lambda: create_transient_store("nothing", BUDGET)),
        ):
            self.assertIn(missing, str(self.assertRaises(CannotStart, create)))


class TypedOptionTests(SynchronousTestCase):
    """
    Options have the types that a provider's annotations declare.
    """

    def create(self, options: str) -> Any:
        """
        Create a typed archive.
        """
        return create_archive(
            f"typed:/data:{options}", installed(LazyArchiveProvider("typed", f"{HERE}.typed_archive"))
        )

    def test_types(self) -> None:
        """
        A provider gets values, not text.
        """
        made = self.create("size=-7:rate=0.5:fast=on:mode=RO:retries=5:limit=3:more=9")
        expected = {"size": -7, "rate": 0.5, "fast": True, "mode": "ro", "retries": 5, "limit": 3, "more": 9}
        self.assertEqual(made, expected)

    def test_invalid_values(self) -> None:
        """
        An error names the option, its value and what is expected.
        """
        for option, value, expected in (
            ("size", "1_0", "a whole number"),
            ("rate", "inf", "a number"),
            ("rate", "fast", "a number"),
            ("fast", "maybe", "one of 1, true, yes, on, 0, false, no, off"),
            ("mode", "x", "one of ro, rw"),
            ("retries", "6", "a whole number from 1 to 5"),
            ("limit", "", "a whole number"),
            ("more", "x", "a whole number"),
        ):
            error = self.assertRaises(CannotStart, self.create, f"{option}={value}")
            self.assertEqual(
                str(error), f"the option {option} of the storage 'typed' is {value!r}; expected {expected}"
            )


class StoresTests(SynchronousTestCase):
    """
    The storage that the settings describe.
    """

    plugins = staticmethod(
        installed(LazyArchiveProvider("one", f"{HERE}.MadeArchive"), LazyTransientProvider("fake", f"{HERE}.MadeStore"))
    )

    def stores(self, *flags: str) -> Stores:
        """
        Create the stores of a command line.
        """
        return create_stores(Options({}).parse(["--version-cache-max-items=3", *flags]).settings, self.plugins)

    def test_stores(self) -> None:
        """
        Each store is made by its provider, the transient store with the budget.
        """
        made: Any = self.stores("--archive=one:a:k=v", "--transient=fake:b")
        self.assertEqual(made.archive.made_with, (("a",), {"k": "v"}))
        budget, arguments = made.transient.made_with
        self.assertEqual((budget.max_items, arguments), (3, ("b",)))
        self.assertEqual((made.archive_threads, made.transient_threads), (None, None))

    def test_limits(self) -> None:
        """
        The archive has the limits on unfinished uploads.
        """
        made: Any = self.stores("--archive=one", "--transient=fake", "--kept-uploads-max-items=2")
        self.assertEqual(made.archive.limits, UnfinishedLimits(count=2))

    def test_threads(self) -> None:
        """
        The option ``threads`` is valid for each provider, which does not get it.
        """
        made: Any = self.stores("--archive=one:threads=4:k=v", "--transient=fake:threads=1000")
        self.assertEqual((made.archive_threads, made.transient_threads), (4, 1000))
        self.assertEqual(made.archive.made_with, ((), {"k": "v"}))
        for value in ("0", "1001", "x", ""):
            error = self.assertRaises(CannotStart, self.stores, f"--archive=one:threads={value}", "--transient=fake")
            self.assertEqual(
                str(error),
                f"the option threads of the storage 'one' is {value!r}; expected a whole number from 1 to 1000",
            )


class LazyProviderTests(SynchronousTestCase):
    """
    Providers that import their storage when it is made.
    """

    def test_interfaces(self) -> None:
        """
        The providers provide their interfaces.
        """
        self.assertTrue(verifyObject(IArchiveProvider, LazyArchiveProvider("a", "b")))
        self.assertTrue(verifyObject(ITransientProvider, LazyTransientProvider("a", "b")))

    def test_archive(self) -> None:
        """
        An archive's factory is called with the arguments.
        """
        plugins = installed(LazyArchiveProvider("filesystem", f"{HERE}.archive_of"))
        made: Any = create_archive("filesystem:" + escape("C:\\a=b"), plugins)
        self.assertEqual(made.root, "C:\\a=b")

    def test_transient_store(self) -> None:
        """
        A transient store's factory is called with the budget and the arguments.
        """
        plugins = installed(LazyTransientProvider("memory", f"{HERE}.store_of"))
        made: Any = create_transient_store("memory:flavour=odd", BUDGET, plugins)
        self.assertEqual((made.budget, made.flavour), (BUDGET, "odd"))

    def test_arguments_that_do_not_fit(self) -> None:
        """
        Arguments that the factory does not take are refused, whatever their names.
        """
        archives = installed(LazyArchiveProvider("filesystem", f"{HERE}.archive_of"))
        for description in ("filesystem", "filesystem:a:b", "filesystem:self=a"):
            error = self.assertRaises(CannotStart, create_archive, description, archives)
            self.assertIn("write it as 'filesystem:root'", str(error))
        stores = installed(LazyTransientProvider("memory", f"{HERE}.store_of"))
        for description in ("memory:x", "memory:budget=1", "memory:self=1"):
            error = self.assertRaises(CannotStart, create_transient_store, description, BUDGET, stores)
            self.assertIn("write it as 'memory:flavour=...'", str(error))

    def test_nothing_is_imported_early(self) -> None:
        """
        A provider can be made and found even if its storage cannot be imported.
        """
        plugins = installed(LazyArchiveProvider("broken", "no.such.module"), FakeArchiveProvider("one"))
        made: Any = create_archive("one", plugins)
        self.assertEqual(made, ((), {}))


class OtherVersionTests(SynchronousTestCase):
    """
    Plugins that were written for another version of this project.
    """

    def test_factory_cannot_be_imported(self) -> None:
        """
        If the code of the storage cannot be imported, the refusal names the plugin, what is missing and the guide.
        """
        guide = "see docs/guides/write-a-provider.md"
        missing: Any = ("twisted_registry.interfaces.IArchive", f"{HERE}.no_such_archive")
        for factory in missing:
            plugins = installed(LazyArchiveProvider("old", factory))
            error = self.assertRaises(CannotStart, create_archive, "old:x", plugins)
            beginning = f"the plugin of the storage 'old' cannot import {factory}"
            self.assertRegex(str(error), rf"^{beginning} \(.+\); .*{guide}$")
        store = installed(LazyTransientProvider("old", missing[0]))
        error = self.assertRaises(CannotStart, create_transient_store, "old", BUDGET, store)
        self.assertIn("interfaces", str(error))

    def test_plugin_cannot_be_imported(self) -> None:
        """
        If the plugin's module itself cannot be imported, the last line of the start says so; plugins of others are not
        mentioned.
        """
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
            plugins = Path(other) / "twisted" / "plugins"
            plugins.mkdir(parents=True)
            (plugins / "old_plugin.py").write_text("from twisted_registry.interfaces import IArchive")
            (plugins / "unrelated_plugin.py").write_text("import no_such_module")
            path = os.pathsep.join([folder, str(ROOT), other])
            service = "from twisted_registry.daemon.options import Options"
            done = run_twistd(Path(folder), service, TAP, "--check-config", "--archive=old:x", PYTHONPATH=path)
        self.assertEqual(
            done.stderr.splitlines()[-1],
            "twistd model-registry: there is no archive 'old', which 'old:x' names; known: filesystem; the plugin "
            f"{plugins}/old_plugin.py cannot be imported (No module named 'twisted_registry.interfaces'), "
            "see docs/guides/write-a-provider.md",
        )
        self.assertEqual(done.returncode, 1)

    def test_incomplete(self) -> None:
        """
        Storage without all calls of its interface is refused with those that it lacks.
        """

        class Old(MemoryArchive):
            set_high_water_mark = property()  # reading it raises AttributeError

        @implementer(IPlugin, IArchiveProvider)
        class OldProvider(FakeArchiveProvider):
            def create_archive(self, *arguments: str, **options: str) -> Any:
                return Old()

        settings = Options({}).parse(["--archive=old"]).settings
        error = self.assertRaises(CannotStart, create_stores, settings, installed(OldProvider("old")))
        self.assertIn("the archive 'old' lacks set_high_water_mark; install", str(error))
