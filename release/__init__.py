"""
The release tooling: ``make release``, then ``make tag``; docs/guides/release.md has the steps.

It does not push or upload. A person does that, after a look at the result.
"""

import click


class Refused(click.ClickException):
    """
    The error that ends a release if something does not agree.  The command prints it in one line and exits with 1.
    """
