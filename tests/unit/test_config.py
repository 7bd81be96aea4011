"""
Tests for ``twisted_registry.config``: the configuration file, origins, warnings and the reference page.
"""

import inspect
import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis.strategies import sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.config.load import (
    CONFIG_VARIABLE,
    DEFAULT,
    SECTIONS,
    SETTINGS,
    InvalidConfiguration,
    Loaded,
    load,
    unknown_variables,
)
from twisted_registry.config.network import NetworkSettings
from twisted_registry.config.reference import effective_settings, reference_page
from twisted_registry.config.setting import VARIABLE_PREFIX, Machine, settings_of
from twisted_registry.config.values import seconds, whole

ROOT = Path(__file__).parents[2]
MACHINE = Machine(memory_bytes=2**30, descriptors=1000)


class FileTestCase(SynchronousTestCase):
    """
    A configuration file.
    """

    def setUp(self) -> None:
        """
        Name the file.
        """
        self.path = self.mktemp()

    def load(self, toml: str, *, flags: dict[str, str] | None = None, **environ: str) -> Loaded:
        """
        Load the settings with a configuration file.
        """
        Path(self.path).write_text(toml)
        variables = {VARIABLE_PREFIX + name: value for name, value in environ.items()}
        return load(flags or {}, variables, MACHINE, self.path)

    def errors(self, toml: str, **environ: str) -> list[str]:
        """
        Return the errors of a configuration, without the name of the file.
        """
        error = self.assertRaises(InvalidConfiguration, self.load, toml, **environ)
        return [each.replace(self.path, "FILE") for each in error.errors]


class BoundTests(FileTestCase):
    """
    Bounds of settings.
    """

    def test_kept_uploads(self) -> None:
        """
        No more uploads can be kept than one interruption can look at.
        """
        self.load("[limits]\nkept-uploads-max-items = 10000")
        (error,) = self.errors("[limits]\nkept-uploads-max-items = 10001")
        self.assertIn("from 0 to 10000", error)


class FileTests(FileTestCase):
    """
    Values in a configuration file.
    """

    def test_values(self) -> None:
        """
        Each section is a table, and each setting a key with a value of its type.
        """
        settings = self.load(
            '[network]\nport = 1\ngrpc-reflection = true\ngrace-seconds = 2\n[storage]\narchive-dir = "/a:b"\n'
            '[limits]\nkeepalive-seconds = 1.5\n[logging]\nlog-level = "WARN"\n'
        ).settings
        self.assertEqual((settings.network.port, settings.network.reflection), (1, True))
        self.assertEqual((settings.network.grace_seconds, settings.limits.keepalive_seconds), (2.0, 1.5))
        self.assertEqual(settings.storage.archive_description, "filesystem:/a\\:b")
        self.assertEqual(settings.logging.level, "warn")

    def test_precedence(self) -> None:
        """
        A flag overrides a variable, a variable the file, and the file the default.
        """
        toml = "[network]\nport = 1\n"
        self.assertEqual(self.load("").settings.network.port, 9000)
        self.assertEqual(self.load(toml).settings.network.port, 1)
        self.assertEqual(self.load(toml, PORT="2").settings.network.port, 2)
        self.assertEqual(self.load(toml, PORT="").settings.network.port, 1)
        self.assertEqual(self.load(toml, flags={"port": "3"}, PORT="2").settings.network.port, 3)

    def test_excluding(self) -> None:
        """
        A variable overrides the setting of the file that it excludes; in the file both are an error.
        """
        settings = self.load('[storage]\narchive-dir = "a"\n', ARCHIVE="b:c").settings
        self.assertEqual(settings.storage.archive_description, "b:c")
        settings = self.load('[storage]\narchive = "b:c"\n', ARCHIVE_DIR="a").settings
        self.assertEqual(settings.storage.archive_description, "filesystem:a")
        (error,) = self.errors('[storage]\narchive-dir = "a"\narchive = "b:c"\n')
        self.assertEqual(
            error, "FILE: storage.archive-dir and FILE: storage.archive cannot be combined; set only one of them"
        )

    def test_wrong_values(self) -> None:
        """
        An error names the file, the key, the value and what is expected; there is one for each value.
        """
        self.assertEqual(
            self.errors(
                '[network]\nport = "9000"\ngrpc-reflection = 1\ninterface = "a b"\ngrace-seconds = inf\n'
                "[memory]\nversion-cache-max-items = 0\nversion-cache-max-bytes = true\n"
            ),
            [
                "FILE: network.port is the string '9000'; expected a whole number from 0 to 65535",
                "FILE: network.interface is 'a b'; expected an IP address or a host name",
                "FILE: network.grpc-reflection is 1; expected true or false",
                "FILE: network.grace-seconds is inf; expected a number of seconds from 0 to 86400",
                "FILE: memory.version-cache-max-items is 0; expected a whole number from 1 to 1000000000",
                "FILE: memory.version-cache-max-bytes is true; expected a whole number of bytes from 1 to "
                "9223372036854775807",
            ],
        )

    def test_unknown_keys(self) -> None:
        """
        An unknown key is refused, with the nearest one that is known.
        """
        for toml, key, nearest in (
            ("[network]\nprot = 1\n", "network.prot", "did you mean network.port?"),
            ("[network]\ngrpc_reflection = true\n", "network.grpc_reflection", "did you mean network.grpc-reflection?"),
            ("port = 1\n", "port", "did you mean network.port?"),
            ("prot = 1\n", "prot", "did you mean network.port?"),
            ("log_levle = 1\n", "log_levle", "did you mean logging.log-level?"),
            ("network = 1\n", "network", "it is a section: write [network]"),
            ("[storage]\nlog-level = 1\n", "storage.log-level", "did you mean logging.log-level?"),
            ("[netwrok]\nport = 1\n", "netwrok.port", "did you mean network.port?"),
            ("x = 1\n", "x", f"the sections are {', '.join(SECTIONS)}"),
        ):
            self.assertEqual(self.errors(toml), [f"FILE: {key!r} is not a setting; {nearest}"])

    def test_file_itself(self) -> None:
        """
        A file that cannot be read, or is not TOML, is an error; the variable names a file too.
        """
        self.assertRegex(self.errors("port")[0], "^the configuration file 'FILE' is not valid TOML: ")
        for arguments in ({}, {CONFIG_VARIABLE: "missing.toml"}):
            path = None if arguments else "missing.toml"
            error = self.assertRaises(InvalidConfiguration, load, {}, arguments, MACHINE, path)
            self.assertEqual(
                error.errors, ["the configuration file 'missing.toml' cannot be read: No such file or directory"]
            )
        self.assertEqual(load({}, {CONFIG_VARIABLE: ""}, MACHINE).settings.network.port, 9000)


class OriginTests(FileTestCase):
    """
    The effective settings, with their origins.
    """

    def test_origins(self) -> None:
        """
        Each setting has an origin, except one that another one excludes.
        """
        loaded = self.load("[network]\nport = 1\n", flags={"log-level": "warn"}, ARCHIVE="b:c")
        expected = {
            "port": f"{self.path}: network.port",
            "log-level": "--log-level",
            "archive": f"{VARIABLE_PREFIX}ARCHIVE",
        }
        names = {setting.name for setting in SETTINGS} - {"archive-dir"}
        self.assertEqual(loaded.origins, {name: expected.get(name, DEFAULT) for name in names})

    def test_effective_settings(self) -> None:
        """
        They are written as a configuration file with the same meaning.
        """
        for toml, flags in (
            ("", {}),
            ('[storage]\narchive = "a:b\\\\:c"\n[limits]\nversion-max-bytes = 5\n', {"grpc-reflection": "on"}),
            ('[storage]\narchive-dir = "\\u00e9 \\" x"\n', {"max-calls": "7", "uploads-wait-seconds": "0.25"}),
        ):
            loaded = self.load(toml, flags=flags)
            self.assertEqual(self.load(effective_settings(loaded)).settings, loaded.settings)

    def test_comments(self) -> None:
        """
        The origin stands in a comment; a default that is not a value is a comment as a whole.
        """
        lines = effective_settings(self.load("", PORT="5")).splitlines()
        self.assertIn(f"port = 5  # {VARIABLE_PREFIX}PORT", lines)
        self.assertIn("grpc-reflection = false  # default", lines)
        self.assertIn("# version-max-bytes: no limit", lines)


class VariableTests(SynchronousTestCase):
    """
    Unknown variables.
    """

    def test_unknown(self) -> None:
        """
        A variable with this project's prefix that is not a setting is reported, with the nearest one that is.
        """
        for name, nearest in (
            ("PROT", "PORT"),
            ("ARCHIVE_DIRECTORY", "ARCHIVE_DIR"),
            ("CONFIG_FILE", "CONFIG"),
            ("VERSION_CACHE_MAX_SIZE", "VERSION_CACHE_MAX_ITEMS"),
        ):
            self.assertEqual(
                unknown_variables({VARIABLE_PREFIX + name: "1"}),
                [
                    f"the variable '{VARIABLE_PREFIX}{name}' is not a setting and has no effect; did you mean "
                    f"{VARIABLE_PREFIX}{nearest}?"
                ],
            )

    @given(text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=30))
    def test_any_name(self, name: str) -> None:
        """
        A nearest setting is named for every name.
        """
        for line in unknown_variables({VARIABLE_PREFIX + name: "1"}):
            self.assertIn(f"did you mean {VARIABLE_PREFIX}", line)

    def test_known(self) -> None:
        """
        Settings, variables of clients, those that Kubernetes and Docker set, and others are not reported.
        """
        names = (
            *(setting.variable for setting in SETTINGS),
            CONFIG_VARIABLE,
            *(VARIABLE_PREFIX + name for name in ("ENDPOINT", "SERVICE_HOST", "SERVICE_PORT_GRPC")),
            *(VARIABLE_PREFIX + name for name in ("PORT_9000_TCP", "PORT_9000_TCP_ADDR", "NAME")),
            *("COGMENT_MODEL", "PATH"),
        )
        self.assertEqual(unknown_variables(dict.fromkeys(names, "1")), [])


class TableTests(SynchronousTestCase):
    """
    The settings themselves.
    """

    def test_names(self) -> None:
        """
        Names are unique; a setting that another one excludes exists.
        """
        names = [setting.name for setting in SETTINGS]
        self.assertEqual(len(names), len(set(names)))
        self.assertLessEqual({setting.excludes for setting in SETTINGS} - {""}, set(names))

    def test_every_field_is_a_setting(self) -> None:
        """
        Each field of a section has a help without a full stop, and a documented default.
        """
        for section in SECTIONS.values():
            for field, setting in settings_of(section):
                self.assertRegex(setting.help, r"[^.]$", field)
                self.assertTrue(setting.default_text, field)
                self.assertIn(f"\n    {field}: ", inspect.getdoc(section) or "")

    def test_defaults_by_machine(self) -> None:
        """
        Some defaults are shares of the machine.
        """
        settings = load({}, {}, MACHINE).settings
        self.assertEqual(settings.memory.max_bytes, 2**28)
        self.assertEqual(settings.limits.downloads_max_bytes, 2**27)
        self.assertEqual((settings.clients.connections_max, settings.clients.calls_max), (750, 2684))

    def test_sections_have_defaults(self) -> None:
        """
        A section can be made from a few values; all others have their defaults.
        """
        for section in SECTIONS.values():
            section()
        expected = NetworkSettings(1, "127.0.0.1", 4 * 2**20 - 2**10, False, None, 10.0)
        self.assertEqual(NetworkSettings(port=1), expected)

    def test_page(self) -> None:
        """
        The page in the documentation is the one that the settings make.
        """
        self.assertEqual((ROOT / "docs" / "reference" / "configuration.md").read_text(), reference_page())

    @given(sampled_from([whole(0, 2**63 - 1), seconds(0)]), text(max_size=8))
    def test_numbers(self, type: object, value: str) -> None:
        """
        Text that is not a number is refused with a ``ValueError``, whatever it is.
        """
        try:
            parsed = type.parse(value)  # type: ignore[attr-defined]
        except ValueError:
            return
        self.assertGreaterEqual(parsed, 0)


class ExampleTests(SynchronousTestCase):
    """
    The example of a configuration file.
    """

    def test_example(self) -> None:
        """
        It has every setting, and loads.
        """
        path = ROOT / "examples" / "configuration" / "model-registry.toml"
        tables = tomllib.loads(path.read_text())
        self.assertEqual(load({}, {}, MACHINE, str(path)).settings.network.interface, "0.0.0.0")
        self.assertLessEqual(set(tables), set(SECTIONS))
