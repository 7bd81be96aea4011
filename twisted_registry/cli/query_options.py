"""
Options of the commands that filter and sort.
"""

import click

filter_option = click.option(
    "--filter", "filter_text", metavar="FILTER", default="", help="Only what matches, such as 'metrics.return > 200'."
)
sort_option = click.option(
    "--sort", "order_by", metavar="ORDER", default="", help="The order, such as 'metrics.return desc'."
)
