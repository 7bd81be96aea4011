"""
Limits of the wire that both ends know.
"""

from twisted_registry.domain.models import MAX_ENTRIES

METADATA_MAX_BYTES = 32 * 1024
"""
Metadata of one call that the server always takes; more it always refuses, with RESOURCE_EXHAUSTED.  Counted as HTTP/2
does: the bytes of all names and values, gRPC's own among them, and 32 bytes for each pair.
"""

TOKEN_MAX_BYTES = 16 * 1024
"""The longest bearer token; the rest of the metadata is left for what else comes with a call."""

REQUEST_MAX_BYTES = 2**20 + 2**16
"""The longest request of a call, the header of an upload among them; list calls by names may be longer."""

MODELS_REQUEST_MAX_BYTES = REQUEST_MAX_BYTES + 203 * MAX_ENTRIES
"""The longest ``RetrieveModelsRequest``: so many ids, each as long as may be."""
