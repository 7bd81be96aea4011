"""
Tests of the file of deliveries.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.deliveries.destinations import Command, Destination, Webhook
from twisted_registry.deliveries.file import BadDeliveries, parse_deliveries
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.events import AliasChanged, ModelDeleted, VersionEvicted
from twisted_registry.domain.models import VersionKey

_DIRECTORY = Path("/etc/registry")
_WEBHOOK = 'name = "ci"\nurl = "https://ci.example.com/hook?key=hidden"\nsecret_file = "ci.secret"\n'
_COMMAND = 'name = "mirror"\nrun = ["/bin/mirror", "--all"]\n'


def parse(text: str) -> "list[Destination]":
    """
    Read a file of deliveries.
    """
    return list(parse_deliveries(text.encode(), _DIRECTORY))


class FileTests(SynchronousTestCase):
    """
    Files that can be used, and files that cannot.
    """

    def test_webhook(self) -> None:
        """
        A webhook has its URL, its secret beside the file, and defaults for the rest.
        """
        (webhook,) = parse(f"[[webhooks]]\n{_WEBHOOK}")
        assert isinstance(webhook, Webhook)
        self.assertEqual((webhook.name, webhook.timeout_seconds, webhook.is_encrypted), ("ci", 15.0, True))
        self.assertEqual((webhook.secret_file, webhook.ca_file), (_DIRECTORY / "ci.secret", None))
        self.assertFalse(webhook.rule.allows("10.0.0.1"))
        self.assertTrue(webhook.selection.wants(ModelDeleted("m", 1)))

    def test_command(self) -> None:
        """
        A command has its arguments.
        """
        (command,) = parse(f"[[commands]]\n{_COMMAND}timeout_seconds = 600")
        assert isinstance(command, Command)
        self.assertEqual((command.run, command.timeout_seconds), (("/bin/mirror", "--all"), 600.0))

    def test_selection(self) -> None:
        """
        Events are selected by their type and their model; evictions only if they are named.
        """
        (some,) = parse(f'[[commands]]\n{_COMMAND}events = "alias.moved"\nmodels = ["team-a/*", "walker"]')
        moves = {
            model_id: AliasChanged(model_id, 1, AliasMove("a", 0, 1, 5)) for model_id in ("team-a/x", "walker", "x")
        }
        self.assertEqual([id for id, event in moves.items() if some.selection.wants(event)], ["team-a/x", "walker"])
        self.assertFalse(some.selection.wants(ModelDeleted("walker", 1)))
        evicted = VersionEvicted(VersionKey("m", 1, 1), 5, "recent", "bytes")
        (default,) = parse(f"[[commands]]\n{_COMMAND}")
        (named,) = parse(f'[[commands]]\n{_COMMAND}events = ["version.evicted"]')
        self.assertEqual((default.selection.wants(evicted), named.selection.wants(evicted)), (False, True))

    def test_private_networks(self) -> None:
        """
        A network may be allowed.
        """
        (webhook,) = parse(f'[[webhooks]]\n{_WEBHOOK}private_networks = ["10.0.0.0/8"]\nca_file = "/etc/ca.pem"')
        assert isinstance(webhook, Webhook)
        self.assertTrue(webhook.rule.allows("10.0.0.1"))
        self.assertEqual(webhook.ca_file, Path("/etc/ca.pem"))

    def test_refused(self) -> None:
        """
        Each mistake is named, with what to do.
        """
        for text, problem in (
            ("[[webhooks", "not valid TOML"),
            ("[[hooks]]", "unknown key 'hooks'; did you mean 'webhooks'"),
            ("[webhooks]", "must be tables; write [[webhooks]]"),
            (f"[[webhooks]]\n{_WEBHOOK}secrets = 1", "webhook 1 has an unknown key 'secrets'"),
            ("[[webhooks]]\nurl='https://a.example/'\nsecret_file='s'", "webhook 1 needs 'name'"),
            ("[[webhooks]]\nname='a b'\nurl='https://a.example/'\nsecret_file='s'", "webhook 1 needs 'name'"),
            ("[[webhooks]]\nname='a'\nurl='https://a.example/'", "webhook 1 needs 'secret_file'"),
            ("[[webhooks]]\nname='a'\nsecret_file='s'", "webhook 1 needs 'url'"),
            ("[[webhooks]]\nname='a'\nurl='ftp://a.example/'\nsecret_file='s'", "it needs a scheme, https or http"),
            ("[[webhooks]]\nname='a'\nurl='https://u:p@a.example/'\nsecret_file='s'", "it names a user"),
            ("[[webhooks]]\nname='a'\nurl='https://a.example:x/'\nsecret_file='s'", "it is not a URL"),
            (f"[[webhooks]]\nname='a'\nurl='https://{'a' * 64}.example/'\nsecret_file='s'", "it is not a URL"),
            ("[[webhooks]]\nname='a'\nurl='https://a..example/'\nsecret_file='s'", "it is not a URL"),
            ("[[webhooks]]\nname='a'\nurl='https://a.example/ b'\nsecret_file='s'", "encode them"),
            (f"[[webhooks]]\n{_WEBHOOK}private_networks='10.0.0.1/8'", "write it as 10.1.0.0/16"),
            (f"[[webhooks]]\n{_WEBHOOK}timeout_seconds=0", "a number from 1 to 3600"),
            (f"[[webhooks]]\n{_WEBHOOK}timeout_seconds=true", "a number from 1 to 3600"),
            ("[[commands]]\nname='a'\nrun='mirror'", "the absolute path of a program"),
            (
                f"[[commands]]\n{_COMMAND}events=['version.made']",
                "there are no events 'version.made'; there are alias.mo",
            ),
            (f"[[commands]]\n{_COMMAND}models='a*b'", "only a final one is a wildcard"),
            (f"[[webhooks]]\n{_WEBHOOK}[[commands]]\nname='ci'\nrun='/bin/true'", "the name 'ci' is used twice"),
            ("\n".join(f"[[commands]]\nname='c{each}'\nrun='/bin/true'" for each in range(51)), "at most 50"),
        ):
            error = self.assertRaises(BadDeliveries, parse, text)
            self.assertIn(problem, str(error), text)

    def test_errors_keep_secrets(self) -> None:
        """
        A URL may hold a secret, and does not stand in errors.
        """
        text = "[[webhooks]]\nname='a'\nurl='https://a.example/hidden#x'\nsecret_file='s'"
        self.assertNotIn("hidden", str(self.assertRaises(BadDeliveries, parse, text)))
