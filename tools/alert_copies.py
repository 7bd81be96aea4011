"""
Copies of the alert rules: the rules of the Prometheus Operator, and those of the Helm chart.

Run ``python -m tools.alert_copies`` after a change to ``deploy/prometheus/alerts.yml``.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

DEPLOY = Path(__file__).parents[1] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
MONITORING = DEPLOY / "kubernetes" / "monitoring.yaml"
CHART = DEPLOY / "helm" / "twisted-registry" / "files" / "alerts.yml"

_KIND = "kind: PrometheusRule\n"
_SPEC = "spec:\n"


def copies() -> Mapping[Path, str]:
    """
    Return what the files with copies contain.
    """
    rules = RULES.read_text()
    before, kind, rest = MONITORING.read_text().partition(_KIND)
    head, spec, _ = rest.partition(_SPEC)
    groups = rules[rules.index("groups:\n") :]
    indented = "".join(f"  {line}" if line.strip() else line for line in groups.splitlines(keepends=True))
    return {MONITORING: before + kind + head + spec + indented, CHART: rules}


def main() -> int:
    """
    Write the copies.

    Returns:
        the exit status.
    """
    for path, text in copies().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
