"""
What calls say about the archive: which one their client has worked with, and which numbers it has seen there.
"""

from typing import Any

from attrs import frozen

from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.domain.errors import ArchiveChanged
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.protocol.archive_metadata import ARCHIVE_KEY, ASKED, archive_in, seen_in
from twisted_registry.rpc.lookup import Lookup


@frozen
class ArchiveCheck:
    """
    Checks that a call is meant for the archive that is served.
    """

    _archive_status: ArchiveStatus

    async def check(self, context: Any) -> None:
        """
        Refuse the call of a client that has worked with another archive, and tell the id to one that asks for it.

        Raises:
            ArchiveChanged: the client has worked with another archive.
        """
        named = archive_in(context.invocation_metadata())
        if not named:
            return
        served = self._archive_status.identity.archive_id
        if named == ASKED:
            if served:
                await context.send_initial_metadata(((ARCHIVE_KEY, served),))
        elif served is not None and served != named:
            raise ArchiveChanged(named, served)


async def note_seen(lookup: Lookup, snapshot: ModelSnapshot, context: Any) -> None:
    """
    Compare the highest number that a client has seen with the highest that was given here: where an archive went back
    to an earlier state, the client alone knows of the later numbers.
    """
    seen = seen_in(context.invocation_metadata())
    if seen and lookup.registry.went_back(snapshot.model_id, seen):
        await lookup.bridge.call(lambda: lookup.registry.note_seen(snapshot, seen))
