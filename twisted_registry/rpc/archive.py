"""
What clients know of the archive: the version numbers they have seen.
"""

from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.protocol.archive_metadata import seen_in
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.lookup import Lookup


async def note_seen(lookup: Lookup, snapshot: ModelSnapshot, call: CallContext) -> None:
    """
    Compare the highest number that a client has seen with the highest that was given here: if an archive went back to
    an earlier state, only the client knows of the later numbers.
    """
    seen = seen_in(call.metadata)
    if seen and lookup.registry.went_back(snapshot.model_id, seen):
        await lookup.bridge.call(lambda: lookup.registry.note_seen(snapshot, seen))
