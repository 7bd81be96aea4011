"""
The settings of deliveries, as far as they are checked before the start.
"""

from pathlib import Path

from twisted_registry.access.file_kinds import BadFile
from twisted_registry.config.deliveries import DeliverySettings
from twisted_registry.domain.errors import CannotStart


def check_deliveries(settings: DeliverySettings) -> None:
    """
    Check the settings, and the file that they name.  This blocks.

    Raises:
        CannotStart: they cannot be used.
    """
    if settings.file is None:
        if settings.journal is not None:
            raise CannotStart("--deliveries-journal needs webhooks or commands; pass --deliveries-file too")
        return
    if settings.journal is None:
        raise CannotStart("--deliveries-file needs a file where events wait; pass --deliveries-journal too")
    # Imported late: a daemon without deliveries needs no client of HTTP.
    from twisted_registry.daemon.deliveries import check_file

    try:
        check_file(Path(settings.file))
    except BadFile as error:
        raise CannotStart(str(error)) from None
