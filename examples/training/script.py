"""
What the scripts here have in common: their arguments, how they speak, and how they end.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable

from twisted_registry.client import DEFAULT_ADDRESS
from twisted_registry.errors import RegistryError

NOTICE_SECONDS = 1.0
"""After so long a script says what it waits for."""


def parser(description: str | None) -> ArgumentParser:
    """
    Make a parser with the arguments that all scripts take.
    """
    arguments = ArgumentParser(description=description)
    arguments.add_argument("--server", default=DEFAULT_ADDRESS, help="where the registry is (%(default)s)")
    arguments.add_argument("--model", default="cartpole", help="the model's id (%(default)s)")
    return arguments


def actor_parser(description: str | None) -> ArgumentParser:
    """
    Make a parser with the arguments that all actors take.
    """
    arguments = parser(description)
    arguments.add_argument("--name", default="actor", help="what it calls itself (%(default)s)")
    arguments.add_argument("--episodes", type=int, default=20, help="how many to play with a version (%(default)s)")
    arguments.add_argument("--seed", type=int, default=0, help="of the states they begin in (%(default)s)")
    arguments.add_argument("--until", type=int, help="end after this version, or a newer one (no end)")
    return arguments


def say(line: str) -> None:
    """
    Print a line at once, also where it goes to a file or a pipe.
    """
    print(line, flush=True)


def run(main: Callable[[], None]) -> None:
    """
    Run a script.  What the registry refuses ends it with a line that says why, and Ctrl-C without a word.
    """
    try:
        main()
    except RegistryError as error:
        sys.exit(f"{sys.argv[0]}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
