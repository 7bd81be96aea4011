"""
Tests of the alert rules with Prometheus' own test program: each fires when it should, and otherwise not.
"""

from collections.abc import Mapping
from pathlib import Path

import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemon import run_command
from tests.support.proxies import program

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"

_P = "twisted_registry_"
_HOURS = 8
_STEPS = _HOURS * 60
"""Minutes, one value for each."""


def _constant(value: float) -> str:
    return f"{value}+0x{_STEPS}"


def _rising(step: float) -> str:
    return f"0+{step}x{_STEPS}"


def _slow(name: str, labels: str = "") -> dict[str, str]:
    """
    Return a histogram in which each observation takes longer than its last bound.
    """
    return {
        f'{_P}{name}_bucket{{instance="a",{labels}le="0.5"}}': _constant(0),
        f'{_P}{name}_bucket{{instance="a",{labels}le="10.0"}}': _rising(60),
        f'{_P}{name}_bucket{{instance="a",{labels}le="+Inf"}}': _rising(60),
    }


FIRING: Mapping[str, Mapping[str, str]] = {
    "RegistryDown": {'up{job="twisted-registry",instance="a"}': _constant(0)},
    "RegistryArchiveUnusable": {f'{_P}archive_usable{{instance="a"}}': _constant(0)},
    "RegistryNotWritable": {
        f'{_P}writes_ready{{instance="a"}}': _constant(0),
        f'{_P}archive_usable{{instance="a"}}': _constant(1),
    },
    "RegistryArchiveErrors": {
        f'{_P}archive_errors_total{{instance="a",operation="save",cause="full"}}': _rising(1),
    },
    "RegistryDiskAlmostFull": {
        f'{_P}archive_free_bytes{{instance="a"}}': _constant(9),
        f'{_P}archive_disk_bytes{{instance="a"}}': _constant(100),
    },
    "RegistryDiskFullSoon": {f'{_P}archive_free_bytes{{instance="a"}}': f"1000-1x{_STEPS}"},
    "RegistryLatestVersionsEvicted": {
        f'{_P}evictions_total{{instance="a",rank="latest",exceeded="bytes"}}': _rising(1),
    },
    "RegistryUploadsRefused": {f'{_P}uploads_refused_total{{instance="a"}}': _rising(1)},
    "RegistryCallsRefused": {f'{_P}refusals_total{{instance="a",kind="denied"}}': _rising(120)},
    "RegistryBugs": {f'{_P}calls_total{{instance="a",method="Prune",code="INTERNAL"}}': _rising(1)},
    "RegistrySlowSyncs": _slow("archive_sync_duration_seconds"),
    "RegistryReactorLags": _slow("loop_lag_seconds", 'loop="reactor",'),
    "RegistrySlowDelivery": _slow("delivery_duration_seconds"),
    "RegistryConnectionsAlmostUsedUp": {
        f'{_P}connections{{instance="a"}}': _constant(91),
        f'{_P}connections_max{{instance="a"}}': _constant(100),
    },
    "RegistryAccessFilesRefused": {f'{_P}access_files_refused{{instance="a"}}': _constant(1)},
    "RegistryAuditIncomplete": {f'{_P}audit_entries_missing_total{{instance="a"}}': _rising(1)},
    "RegistryCertificateExpires": {f'{_P}certificate_expires_seconds{{instance="a"}}': _constant(86400)},
    "RegistryDeliveriesFail": {f'{_P}deliveries_total{{instance="a",destination="ci",result="given_up"}}': _rising(1)},
    "RegistryPoolFull": {f'{_P}pool_queued_jobs{{instance="a",pool="archive"}}': _constant(101)},
}
"""For each alert, the series with which it fires."""

QUIET: Mapping[str, str] = {
    'up{job="twisted-registry",instance="a"}': _constant(1),
    f'{_P}archive_usable{{instance="a"}}': _constant(1),
    f'{_P}writes_ready{{instance="a"}}': _constant(1),
    f'{_P}archive_errors_total{{instance="a",operation="save",cause="full"}}': _constant(7),
    f'{_P}archive_free_bytes{{instance="a"}}': _constant(50),
    f'{_P}archive_disk_bytes{{instance="a"}}': _constant(100),
    f'{_P}evictions_total{{instance="a",rank="latest",exceeded="bytes"}}': _constant(3),
    f'{_P}evictions_total{{instance="a",rank="superseded",exceeded="bytes"}}': _rising(100),
    f'{_P}uploads_refused_total{{instance="a"}}': _constant(2),
    f'{_P}refusals_total{{instance="a",kind="denied"}}': _rising(30),
    f'{_P}refusals_total{{instance="a",kind="unavailable"}}': _rising(1000),
    f'{_P}calls_total{{instance="a",method="Prune",code="INTERNAL"}}': _constant(1),
    f'{_P}calls_total{{instance="a",method="Prune",code="NOT_FOUND"}}': _rising(1000),
    f'{_P}archive_sync_duration_seconds_bucket{{instance="a",le="0.5"}}': _rising(60),
    f'{_P}archive_sync_duration_seconds_bucket{{instance="a",le="+Inf"}}': _rising(60),
    f'{_P}loop_lag_seconds_bucket{{instance="a",loop="grpc",le="0.001"}}': _rising(60),
    f'{_P}loop_lag_seconds_bucket{{instance="a",loop="grpc",le="+Inf"}}': _rising(60),
    f'{_P}delivery_duration_seconds_bucket{{instance="a",le="0.01"}}': _rising(60),
    f'{_P}delivery_duration_seconds_bucket{{instance="a",le="+Inf"}}': _rising(60),
    f'{_P}connections{{instance="a"}}': _constant(89),
    f'{_P}connections_max{{instance="a"}}': _constant(100),
    f'{_P}access_files_refused{{instance="a"}}': _constant(0),
    f'{_P}audit_entries_missing_total{{instance="a"}}': _constant(5),
    f'{_P}certificate_expires_seconds{{instance="a"}}': _constant(8 * 86400 + _HOURS * 3600),
    f'{_P}deliveries_total{{instance="a",destination="ci",result="failed"}}': _rising(5),
    f'{_P}deliveries_total{{instance="a",destination="ci",result="given_up"}}': _constant(5),
    f'{_P}deliveries_oldest_pending_seconds{{instance="a",destination="ci"}}': _constant(800),
    f'{_P}pool_queued_jobs{{instance="a",pool="archive"}}': _constant(99),
    f'{_P}pool_queued_jobs{{instance="a",pool="rendering"}}': _constant(1000),
}
"""The series of a registry that is well, though not everything was always well."""


class AlertTests(SynchronousTestCase):
    """
    The rules, evaluated on made-up series.
    """

    def check(self, series: Mapping[str, str], alert: str, firing: int) -> dict[str, object]:
        """
        Return the test that so many alerts fire.
        """
        samples = [{"labels": "{}", "value": firing}] if firing else []
        expression = f'count(ALERTS{{alertstate="firing"{alert}}})'
        return {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [{"expr": expression, "eval_time": f"{_HOURS}h", "exp_samples": samples}],
        }

    def test_complete(self) -> None:
        """
        Each alert has its series above.
        """
        declared = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
        self.assertEqual(set(FIRING), declared)

    def test_alerts(self) -> None:
        """
        Each alert fires with its series, and none with those of a registry that is well.
        """
        promtool = program("promtool")
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        (directory / "alerts.yml").write_bytes(RULES.read_bytes())
        tests = [self.check(series, f',alertname="{alert}"', 1) for alert, series in FIRING.items()]
        tests.append(self.check(QUIET, "", 0))
        written = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": tests}
        (directory / "tests.yml").write_text(yaml.safe_dump(written))
        done = run_command(directory, promtool, "test", "rules", "tests.yml")
        self.assertEqual(done.returncode, 0, f"{done.stdout}{done.stderr}")
