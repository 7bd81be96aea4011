"""
The common parts of the scripts: arguments, output and exit statuses.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable

from twisted_registry.client import DEFAULT_ADDRESS
from twisted_registry.client.errors import CorruptModel, RegistryError, UnknownAlias, UnknownModel

NOTICE_SECONDS = 1.0
"""The time after which a script says that it waits, in seconds."""

ARCHIVE_FIRST = "run archive_best.py first"
"""The advice if the alias does not exist."""

ALIAS = "production"
"""The alias of the version that is deployed."""

INTERRUPTED = 130
"""The exit status after Ctrl-C, as in shells."""

TRAIN_FIRST = "start the trainer first"
"""The advice if the model does not exist."""


def parser(description: str | None) -> ArgumentParser:
    """
    Create a parser with the arguments of all scripts.
    """
    arguments = ArgumentParser(description=description)
    arguments.add_argument("--server", default=DEFAULT_ADDRESS, help="the address of the registry (%(default)s)")
    arguments.add_argument("--model", default="cartpole", help="the model's id (%(default)s)")
    return arguments


def actor_parser(description: str | None) -> ArgumentParser:
    """
    Create a parser with the arguments of all actors.
    """
    arguments = parser(description)
    arguments.add_argument("--name", default="actor", help="its name in the output (%(default)s)")
    arguments.add_argument("--episodes", type=int, default=20, help="episodes per version (%(default)s)")
    arguments.add_argument("--seed", type=int, default=0, help="the seed of the initial states (%(default)s)")
    arguments.add_argument("--until", type=int, help="exit after this version or a newer one (never)")
    return arguments


def say(line: str) -> None:
    """
    Print a line at once, also to a file or a pipe.
    """
    print(line, flush=True)


def refusal(error: RegistryError, advice: str = TRAIN_FIRST) -> str:
    """
    Return the line for an error of the registry.  The registry's texts name its calls; here a script helps.

    Args:
        advice: what to do if the model does not exist.
    """
    text = str(error)
    if isinstance(error, UnknownModel):
        text = f"there is no model {error.model_id!r}: {advice}"
    elif isinstance(error, UnknownAlias):
        text = f"model {error.model_id!r} has no alias {error.alias!r}: {ARCHIVE_FIRST}"
    elif isinstance(error, CorruptModel):
        text = f"model {error.model_id!r} is damaged in the archive ({error.reason}): {advice}, which writes it again"
    return f"{sys.argv[0]}: {text}"


def run(main: Callable[[], None], advice: str = TRAIN_FIRST) -> None:
    """
    Run a script.  An error of the registry ends it with a line that says why; Ctrl-C ends it silently.

    Args:
        advice: what to do if the model does not exist.
    """
    try:
        main()
    except RegistryError as error:
        sys.exit(refusal(error, advice))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
