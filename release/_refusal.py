"""
Why a release is not made.
"""

import click


class Refused(click.ClickException):
    """
    Something does not agree.  The command says it in one line, and ends with 1.
    """
