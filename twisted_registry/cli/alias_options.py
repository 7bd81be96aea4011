"""
Options of the commands that move aliases.
"""

import click

from twisted_registry.domain.models import MAX_VERSION_NUMBER

expected_option = click.option(
    "--expected",
    "expected_number",
    type=click.IntRange(0, MAX_VERSION_NUMBER),
    metavar="N",
    help="Only if the alias names version N now; 0 if it must not exist.",
)
reason_option = click.option("--reason", metavar="TEXT", default="", help="Why, for the history.")
