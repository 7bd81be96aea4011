"""
The page docs/reference/metrics.md, made from the declarations of the metrics.

    python -m tools.metrics_page            write it
    python -m tools.metrics_page --check    fail if it is not current
"""

import sys
from pathlib import Path

from tools.generated_page import write_or_check
from twisted_registry.observability.metrics import ALL, Metric

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "metrics.md"

_HEAD = """\
# Metrics

<!-- Made by 'make reference' from twisted_registry/observability/metrics.py. Do not edit. -->

`--http-port` serves these at `/metrics`, in the formats of Prometheus and OpenMetrics
([how to use them](../guides/observe.md)). Prometheus adds `_bucket`, `_count` and `_sum` to the name of a histogram.

Labels have few values, whatever clients do. The label `model` exists only in metrics that begin with
`twisted_registry_model_`, for the models that `--metrics-models` names. Beside these metrics there are those of the
process (`process_…`) and of Python's garbage collector (`python_gc_…`).

| name | kind | labels | meaning |
| --- | --- | --- | --- |
"""


def page() -> str:
    """
    Return the page, in Markdown.
    """
    buckets = "".join(
        f"- `{metric.name}`: {', '.join(f'{bound:g}' for bound in metric.buckets)}\n"
        for metric in ALL
        if metric.buckets
    )
    return f"{_HEAD}{''.join(map(_row, ALL))}\n## Buckets\n\nThe upper bounds in seconds, beside infinity:\n\n{buckets}"


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |\n"


def main() -> int:
    """
    Write or check the page.

    Returns:
        the exit status.
    """
    return write_or_check(PAGE, page())


if __name__ == "__main__":
    sys.exit(main())
