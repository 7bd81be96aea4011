"""
The page docs/reference/configuration.md, made from the settings.

    python -m tools.configuration_page            write it
    python -m tools.configuration_page --check    fail if it is not current
"""

import sys
from pathlib import Path

from twisted_registry.config.reference import reference_page

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "configuration.md"


def main() -> int:
    """
    Write or check the page.

    Returns:
        the exit status.
    """
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(reference_page())
        return 0
    if PAGE.exists() and PAGE.read_text() == reference_page():
        return 0
    print("docs/reference/configuration.md is not current: run 'make reference'", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
