"""
What the scripts here have in common: their arguments, how they speak, and how they end.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable

from twisted_registry.client import DEFAULT_ADDRESS
from twisted_registry.client.errors import CorruptModel, RegistryError, UnknownModel

NOTICE_SECONDS = 1.0
"""After so long a script says what it waits for."""

INTERRUPTED = 130
"""The exit status of a script that Ctrl-C has ended, as shells have it."""

TRAIN_FIRST = "start the trainer first"
"""What makes a model that is not there."""


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


def refusal(error: RegistryError, advice: str = TRAIN_FIRST) -> str:
    """
    Make the line that says why the registry has refused something.  Its own texts name its calls, where here a script
    is what helps.

    Args:
        advice: what to do where the model is missing.
    """
    told = str(error)
    if isinstance(error, UnknownModel):
        told = f"there is no model {error.model_id!r}: {advice}"
    elif isinstance(error, CorruptModel):
        told = f"model {error.model_id!r} is damaged on the archive ({error.reason}): {advice}, which writes it anew"
    return f"{sys.argv[0]}: {told}"


def run(main: Callable[[], None], advice: str = TRAIN_FIRST) -> None:
    """
    Run a script.  What the registry refuses ends it with a line that says why, and Ctrl-C without a word.

    Args:
        advice: what to do where the model is missing.
    """
    try:
        main()
    except RegistryError as error:
        sys.exit(refusal(error, advice))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
