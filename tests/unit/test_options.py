"""
Tests for ``twisted_registry.daemon.options`` and for flags and variables of ``twisted_registry.config``.
"""

from operator import attrgetter
from typing import Any

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.config.access import AccessSettings, TlsSettings
from twisted_registry.config.deliveries import DeliverySettings
from twisted_registry.config.descriptions import parse_description
from twisted_registry.config.limits import ClientLimits, Limits, connections_within
from twisted_registry.config.load import SETTINGS, InvalidConfiguration, Settings
from twisted_registry.config.logging import LoggingSettings
from twisted_registry.config.memory import MemorySettings
from twisted_registry.config.network import MAX_CHUNK_SIZE_BYTES, NetworkSettings, UnixSettings
from twisted_registry.config.storage import StorageSettings
from twisted_registry.config.tracing import TracingSettings
from twisted_registry.config.web import MetricsSettings, WebSettings
from twisted_registry.daemon.descriptor_limit import usable_descriptors
from twisted_registry.daemon.memory_limit import usable_memory
from twisted_registry.daemon.options import Options
from twisted_registry.domain.kept import UnfinishedLimits
from twisted_registry.registry.searches import MAX_INDEX_BYTES

PREFIX = "COGMENT_MODEL_REGISTRY_"


# A setting, the name of what becomes of it, a value, what becomes of that, and values that are refused.
ROWS: list[tuple[str, str, str, Any, list[str]]] = [
    ("port", "network.port", "0", 0, ["abc", "65536", "-1", "+1", " 1", "1_0", "1.0", "\u0661", "9" * 5000]),
    ("interface", "network.interface", "0.0.0.0", "0.0.0.0", ["1.2.3", "256.0.0.1", "a b", "[::1", "*", "a:80", "-a"]),
    ("archive", "storage.archive_description", "s3:bucket", "s3:bucket", ["a\0b"]),
    ("archive-dir", "storage.archive_description", "/a:b", "filesystem:/a\\:b", ["a\0b"]),
    ("transient", "storage.transient", "memory:x", "memory:x", ["a\0b"]),
    ("sent-model-version-data-chunk-size", "network.chunk_size_bytes", "5242880", 5 * 2**20, ["0", "67108864", "5MiB"]),
    ("grpc-reflection", "network.reflection", "true", True, ["2", "maybe", "y"]),
    ("log-level", "logging.level", "WARN", "warn", ["loud", "warning"]),
    ("log-format", "logging.format", "json", "json", ["xml"]),
    ("access-log", "logging.access_log", "1/100", "1/100", ["some", "1/0", "2/3", "0.1", "1/10000000"]),
    ("access-log-slow-seconds", "logging.access_log_slow_seconds", "0.5", 0.5, ["0", "fast"]),
    ("health-port", "network.health_port", "0", 0, ["x", "65536"]),
    ("socket", "unix.path", "unix:/run/r.sock", "/run/r.sock", ["unix:", "a\0b", "s" * 108]),
    ("socket-mode", "unix.mode", "660", "0660", ["8", "0888", "rw", "01660"]),
    ("socket-group", "unix.group", "ml", "ml", ["a\0b"]),
    ("socket-only", "unix.is_alone", "yes", True, ["maybe"]),
    ("tls-certificate", "tls.certificate", "cert.pem", "cert.pem", ["a\0b"]),
    ("tls-key", "tls.key", "key.pem", "key.pem", ["a\0b"]),
    ("tls-client-ca", "tls.client_ca", "ca.pem", "ca.pem", ["a\0b"]),
    ("tls-client-port", "tls.client_port", "9443", 9443, ["x", "65536"]),
    ("tokens-file", "access.tokens", "tokens", "tokens", ["a\0b"]),
    ("policy-file", "access.policy", "policy.toml", "policy.toml", ["a\0b"]),
    ("insecure", "access.insecure", "true", True, ["maybe"]),
    ("http-port", "web.port", "0", 0, ["x", "65536"]),
    ("http-interface", "web.interface", "::1", "::1", ["1.2.3", "*"]),
    ("http-names", "web.names", "A.example, b", ("a.example", "b"), ["a,,b", "a:1", "http://a", "*.a"]),
    ("deliveries-file", "deliveries.file", "x.toml", "x.toml", ["a\0b"]),
    ("deliveries-journal", "deliveries.journal", "x.journal", "x.journal", ["a\0b"]),
    ("metrics-models", "metrics.models", "a/b, c,a/b", ("a/b", "c"), ["a,,b", "a\nb", ",".join(map(str, range(101)))]),
    ("grace-seconds", "network.grace_seconds", "0.5", 0.5, ["-1", "inf", "nan", "1e3", "86401", ".", "soon"]),
]
COUNTS = (
    *("version-cache-max-items", "version-cache-max-bytes"),
    *("max-connections", "max-calls-per-connection", "max-calls"),
)


def variable(name: str) -> str:
    """
    Return a setting's environment variable.
    """
    return PREFIX + name.upper().replace("-", "_")


def parse(*arguments: str, **environ: str) -> Settings:
    """
    Parse a command line in an environment, whose variables are given without their prefix.
    """
    return Options({PREFIX + name: value for name, value in environ.items()}).parse(arguments).settings


class SettingsTests(SynchronousTestCase):
    """
    Settings from flags and variables.
    """

    def refusal(self, *arguments: str, **environ: str) -> str:
        """
        Return the text of a refusal.
        """
        text = str(self.assertRaises((UsageError, InvalidConfiguration), parse, *arguments, **environ))
        self.assertEqual(text.count("\n"), 0)
        self.assertLess(len(text), 400)
        return text

    def test_access_log(self) -> None:
        """
        All calls are logged at level debug, and otherwise none by default; the setting overrides both.
        """
        self.assertEqual(parse("--log-level", "debug").logging.access_log_share, 1)
        self.assertFalse(parse().logging.logs_calls)
        self.assertFalse(parse("--log-level", "debug", "--access-log", "off").logging.logs_calls)
        for value, share in (("errors", 0), ("1/100", 0.01), ("all", 1)):
            found = parse("--access-log", value).logging
            self.assertEqual((found.logs_calls, found.access_log_share), (True, share))

    def test_defaults(self) -> None:
        """
        Without flags and variables, the defaults apply.
        """
        self.assertEqual(
            parse(),
            Settings(
                network=NetworkSettings(
                    port=9000,
                    interface="127.0.0.1",
                    chunk_size_bytes=4 * 2**20 - 2**10,
                    reflection=False,
                    health_port=None,
                    grace_seconds=10.0,
                ),
                unix=UnixSettings(path=None, mode=None, group=None, is_alone=False),
                tls=TlsSettings(certificate=None, key=None, client_ca=None, client_port=None),
                access=AccessSettings(tokens=None, policy=None, insecure=False),
                storage=StorageSettings(
                    archive_dir=".cogment_model_registry",
                    archive=None,
                    archive_must_exist=False,
                    transient="memory",
                ),
                memory=MemorySettings(max_items=100, max_bytes=usable_memory() // 4),
                limits=Limits(
                    version_max_bytes=0,
                    uploads_max_bytes=usable_memory() // 4,
                    uploads_wait_seconds=30.0,
                    upload_idle_seconds=60.0,
                    downloads_max_bytes=usable_memory() // 8,
                    download_idle_seconds=60.0,
                    keepalive_seconds=60.0,
                ),
                clients=ClientLimits(
                    connections_max=min(10_000, connections_within(usable_descriptors())),
                    calls_per_connection_max=500,
                    calls_per_client_max=min(20_000, usable_memory() // 400_000) // 2,
                    calls_max=min(20_000, usable_memory() // 400_000),
                ),
                logging=LoggingSettings(level="info", format="text"),
                web=WebSettings(port=None, interface="127.0.0.1"),
                metrics=MetricsSettings(models=()),
                tracing=TracingSettings(is_on=False, names_callers=False),
                deliveries=DeliverySettings(file=None, journal=None),
            ),
        )
        self.assertEqual(parse().storage.archive_description, "filesystem:.cogment_model_registry")

    def test_every_variable(self) -> None:
        """
        Every setting is read from its environment variable.
        """
        for name, attribute, text, value, _ in ROWS:
            settings = Options({variable(name): text}).parse([]).settings
            self.assertEqual(attrgetter(attribute)(settings), value, name)

    def test_every_flag(self) -> None:
        """
        Every setting is read from its flag, which overrides the environment.
        """
        for name, attribute, text, value, refused in ROWS:
            if name not in ("grpc-reflection", "insecure", "socket-only"):
                settings = Options({variable(name): refused[0]}).parse([f"--{name}", text]).settings
                self.assertEqual(attrgetter(attribute)(settings), value, name)

    def test_memory(self) -> None:
        """
        The memory for versions has a limit of items and one of bytes.
        """
        settings = parse("--version-cache-max-items=7", VERSION_CACHE_MAX_BYTES="8", VERSION_CACHE_MAX_ITEMS="9")
        self.assertEqual(settings.memory, MemorySettings(max_items=7, max_bytes=8))

    def test_limits(self) -> None:
        """
        Each limit has a separate setting.
        """
        settings = parse(
            "--version-max-bytes=1",
            "--uploads-max-bytes=2",
            "--uploads-wait-seconds=0",
            "--upload-idle-seconds=4",
            DOWNLOADS_MAX_BYTES="5",
            DOWNLOAD_IDLE_SECONDS="6.5",
            KEEPALIVE_SECONDS="7",
        )
        self.assertEqual(settings.limits, Limits(1, 2, 0.0, 4.0, 5, 6.5, 7.0))

    def test_kept_uploads(self) -> None:
        """
        Settings limit what is kept of interrupted uploads; in memory it is an eighth of that for uploads by default.
        """
        limits = parse(
            "--uploads-max-bytes=80",
            "--kept-uploads-max-items=0",
            "--kept-uploads-max-bytes=2",
            KEPT_UPLOADS_SECONDS="3",
        ).limits
        self.assertEqual(limits.unfinished, UnfinishedLimits(0, 2, 3.0))
        self.assertEqual(limits.kept_uploads_max_memory_bytes, 10)
        self.assertEqual(parse("--kept-uploads-max-memory-bytes=4").limits.kept_uploads_max_memory_bytes, 4)
        self.assertEqual(parse().limits.unfinished, UnfinishedLimits())

    def test_search_index(self) -> None:
        """
        The memory for the indexes of searches is a setting.
        """
        self.assertEqual(parse("--search-index-max-bytes=5").memory.search_index_max_bytes, 5)
        self.assertEqual(parse().memory.search_index_max_bytes, MAX_INDEX_BYTES)

    def test_client_limits(self) -> None:
        """
        Each limit on clients has a separate setting; by default one address may make half of all calls.
        """
        flags = ("--max-connections=1", "--max-calls-per-connection=2", "--max-calls=8")
        self.assertEqual(parse(*flags, MAX_CALLS_PER_CLIENT="3").clients, ClientLimits(1, 0, 2, 3, 8))
        self.assertEqual(parse(*flags).clients, ClientLimits(1, 0, 2, 4, 8))
        self.assertEqual(parse("--max-calls=1").clients.calls_per_client_max, 1)

    def test_every_bad_value(self) -> None:
        """
        An invalid value is refused with one line that names its source, the value and what is expected.
        """
        rows = [(name, refused) for name, _, _, _, refused in ROWS]
        for name, refused in [*rows, *((count, ["0", "-1", "many", "9" * 20]) for count in COUNTS)]:
            for value in refused:
                text = str(self.assertRaises(InvalidConfiguration, Options({variable(name): value}).parse, []))
                self.assertTrue(text.startswith(f"{variable(name)} is '"), text)
                self.assertIn("; expected ", text)
                self.assertLess(len(text), 400)

    def test_bad_flag_value(self) -> None:
        """
        If the value was given by a flag, the line names the flag.
        """
        self.assertEqual(
            self.refusal("--port", "x", PORT="1"), "--port is 'x'; expected a whole number from 0 to 65535"
        )

    def test_empty(self) -> None:
        """
        An empty variable counts as unset; an empty flag is an invalid value.
        """
        for setting in SETTINGS:
            self.assertEqual(Options({setting.variable: ""}).parse([]).settings, parse())
            if not setting.type.is_switch:
                self.assertIn(f"{setting.flag} is ''", self.refusal(f"{setting.flag}="))

    def test_interface(self) -> None:
        """
        The interface is an address, with or without brackets, or a host name.
        """
        for text, interface in (
            ("::", "::"),
            ("[::1]", "::1"),
            ("localhost", "localhost"),
            ("node-1.example", "node-1.example"),
        ):
            self.assertEqual(parse("--interface", text).network.interface, interface)

    def test_largest_chunk(self) -> None:
        """
        The largest chunk makes a message of 64 MiB.
        """
        settings = parse(SENT_MODEL_VERSION_DATA_CHUNK_SIZE=str(MAX_CHUNK_SIZE_BYTES))
        self.assertEqual(settings.network.chunk_size_bytes, 2**26 - 5)

    def test_switch(self) -> None:
        """
        A variable sets a switch with any of the usual words, and either flag overrides it.
        """
        for words, value in (("1 true yes on TRUE Yes", True), ("0 false no off OFF No", False)):
            for word in words.split():
                self.assertIs(parse(GRPC_REFLECTION=word).network.reflection, value)
        self.assertTrue(parse("--grpc-reflection", GRPC_REFLECTION="off").network.reflection)
        self.assertFalse(parse("--no-grpc-reflection", GRPC_REFLECTION="on").network.reflection)

    def test_contradiction(self) -> None:
        """
        A switch cannot be both on and off.
        """
        self.assertIn("contradict", self.refusal("--grpc-reflection", "--no-grpc-reflection"))

    def test_archive_directory(self) -> None:
        """
        Any directory is one argument of the description.
        """
        directory = "C:\\models=\u00e9 \udcff:"
        description = parse_description(parse("--archive-dir", directory).storage.archive_description)
        self.assertEqual((description.name, description.arguments), ("filesystem", (directory,)))

    def test_archive_twice(self) -> None:
        """
        The archive cannot be given twice at the same level.
        """
        self.assertEqual(
            self.refusal("--archive-dir=a", "--archive=b"),
            "--archive-dir and --archive cannot be combined; set only one of them",
        )
        self.assertEqual(
            self.refusal(ARCHIVE_DIR="a", ARCHIVE="b"),
            f"{PREFIX}ARCHIVE_DIR and {PREFIX}ARCHIVE cannot be combined; set only one of them, "
            "and leave the other unset or empty",
        )

    def test_archive_by_flag(self) -> None:
        """
        Either flag overrides both variables.
        """
        self.assertEqual(parse("--archive-dir=a", ARCHIVE="b:c").storage.archive_description, "filesystem:a")
        self.assertEqual(parse("--archive=b:c", ARCHIVE_DIR="a").storage.archive_description, "b:c")
        self.assertEqual(parse("--archive=b:c", ARCHIVE_DIR="a", ARCHIVE="d").storage.archive_description, "b:c")

    def test_unknown(self) -> None:
        """
        An argument that is not a flag is refused.
        """
        self.assertIn("--nope", self.refusal("--nope"))
        self.assertIn("'serve' is not a flag", self.refusal("serve", "now"))


class HelpTests(SynchronousTestCase):
    """
    The help lists every setting.
    """

    def test_every_setting(self) -> None:
        """
        Each setting is listed with its flag, its variable and its default.
        """
        words = " ".join(Options({}).getUsage(width=80).split())
        for setting in SETTINGS:
            self.assertIn(f"{setting.flag}{', ' if setting.type.is_switch else '= '}", words)
            self.assertIn(f"{setting.variable} ", words)
            self.assertIn(f"[default: {setting.default_text}]", words)

    def test_width(self) -> None:
        """
        The help fits the width of the terminal.
        """
        self.assertLessEqual(max(map(len, Options({}).getUsage(width=80).splitlines())), 80)

    def test_names(self) -> None:
        """
        The variables have the names that existing scripts set.
        """
        variables = {setting.variable for setting in SETTINGS}
        for name in (
            "PORT",
            "ARCHIVE_DIR",
            "VERSION_CACHE_MAX_ITEMS",
            "SENT_MODEL_VERSION_DATA_CHUNK_SIZE",
            "GRPC_REFLECTION",
        ):
            self.assertIn(PREFIX + name, variables)
