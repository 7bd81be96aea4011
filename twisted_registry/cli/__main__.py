"""
The command ``python -m twisted_registry.cli``, the same as ``twisted-registry``.
"""

from twisted_registry.cli.main import main

if __name__ == "__main__":
    main()
