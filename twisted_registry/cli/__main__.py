"""
C{python -m twisted_registry.cli}: the same as C{twisted-registry}.
"""

from twisted_registry.cli.main import main

if __name__ == "__main__":
    main()
