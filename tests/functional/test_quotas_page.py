"""
Tests of the guide on quotas, and of a daemon with quotas.
"""

from pathlib import Path

from tests.functional.test_access import TLS_FLAGS, AccessTestCase
from tests.support.daemon import wait_until
from tests.support.guide import blocks
from twisted_registry.access.policy.file import parse_policy
from twisted_registry.client import BlockingClient
from twisted_registry.client.errors import QuotaExceeded

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "quotas.md").read_text()
(POLICY,) = [block.text for block in blocks(PAGE) if block.language == "toml"]


class PageTests(AccessTestCase):
    """
    The page's policy, in a daemon.
    """

    def setUp(self) -> None:
        """
        Start a daemon with the page's policy.
        """
        super().setUp()
        self.policy = self.directory / "policy.toml"
        self.replace(POLICY)
        self.flags = (*TLS_FLAGS, "--tokens-file", "tokens", "--policy-file", "policy.toml", "--archive-dir", "archive")
        self.daemon = self.start(*self.flags)

    def replace(self, text: str) -> None:
        """
        Replace the policy.
        """
        new_file = self.directory / "policy.new"
        new_file.write_text(text)
        new_file.replace(self.policy)

    def refusing(self, client: BlockingClient, model_id: str, size_bytes: int) -> str:
        """
        Return the name of the quota that refuses an archived version; empty if none does.
        """
        try:
            client.store(model_id, bytes(size_bytes))
        except QuotaExceeded as error:
            return error.quota
        return ""

    def test_policy(self) -> None:
        """
        The page's quotas are read as the page says.
        """
        team_a, trainers, team_b = parse_policy(POLICY.encode()).quotas
        self.assertEqual((team_a.memory_bytes, team_a.archive_bytes), (4 * 2**30, 2 * 2**40))
        self.assertEqual((trainers.subjects, trainers.bytes_per_second), (("token:*",), 100 * 2**20))
        self.assertEqual((team_b.is_shared, team_b.bytes_per_second), (True, 500_000_000))

    def test_reload_and_restart(self) -> None:
        """
        A new policy counts while the daemon runs, and what is stored counts after a restart.
        """
        client, model_id = self.client(self.daemon, self.token, retry_seconds=30), "team-a/walker"
        for each in (model_id, "probe"):
            client.ensure_model(each)
        self.assertEqual(self.refusing(client, model_id, 600), "")
        probe = '[[quotas]]\nname = "probe"\nmodels = "probe"\narchive_bytes = 1\n'
        self.replace(POLICY.replace("2 TiB", "1000 B") + probe)
        wait_until(lambda: self.refusing(client, "probe", 2), "the new policy counts")
        self.assertEqual(self.refusing(client, model_id, 401), "team-a")
        self.assertEqual([info.version_number for info in client.versions(model_id)], [1])
        self.assertEqual(self.daemon.stop(), 0)
        again = self.start(*self.flags)
        client = self.client(again, self.token, retry_seconds=5)
        refusing = [self.refusing(client, model_id, size_bytes) for size_bytes in (401, 400, 1)]
        self.assertEqual(refusing, ["team-a", "", "team-a"], again.lines)

    def test_calls(self) -> None:
        """
        Calls beyond the quota are refused with the time to come back, and served then.
        """
        self.replace(POLICY.replace("calls_per_second = 200", "calls_per_second = 2"))
        hasty, patient = (self.client(self.daemon, self.token, retry_seconds=seconds) for seconds in (0, 30))

        def is_refused() -> bool:
            try:
                hasty.server_versions()
            except QuotaExceeded as error:
                self.assertTrue(0 < error.retry_after_seconds <= 0.5)
                return True
            return False

        wait_until(is_refused, "the new policy counts")
        for _ in range(4):
            patient.server_versions()
