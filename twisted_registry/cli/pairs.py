"""
User data on the command line.
"""

import click


class PairType(click.ParamType):  # type: ignore[type-arg]  # at run time older ones of click take none
    """
    ``KEY=VALUE``.
    """

    name = "pair"

    def convert(
        self, value: "str | tuple[str, str]", param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """
        Read it.  The value may be empty, and may hold further ``=``.
        """
        if not isinstance(value, str):
            return value
        key, equals, rest = value.partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail(f"{value!r} is not Unicode text", param, ctx)
        return key, rest
