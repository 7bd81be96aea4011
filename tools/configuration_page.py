"""
The page docs/reference/configuration.md, made from the settings.

    python -m tools.configuration_page            write it
    python -m tools.configuration_page --check    fail if it is not current
"""

import sys
from pathlib import Path

from tools.generated_page import write_or_check
from twisted_registry.config.reference import reference_page

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "configuration.md"


def main() -> int:
    """
    Write or check the page.

    Returns:
        the exit status.
    """
    return write_or_check(PAGE, reference_page())


if __name__ == "__main__":
    sys.exit(main())
