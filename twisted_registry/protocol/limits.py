"""
The limits of the wire that both ends know.
"""

from twisted_registry.domain.models import MAX_ENTRIES

METADATA_MAX_BYTES = 32 * 1024
"""
The most metadata that a call may have.  The server refuses more with RESOURCE_EXHAUSTED.  They are counted as in
HTTP/2: the bytes of all names and values, including gRPC's own, and 32 bytes for each pair.
"""

TOKEN_MAX_BYTES = 16 * 1024
"""The longest bearer token.  The rest is left for other metadata."""

REQUEST_MAX_BYTES = 2**20 + 2**16
"""The longest request of a call, and header of an upload.  Requests that name models may be longer."""

MODELS_REQUEST_MAX_BYTES = REQUEST_MAX_BYTES + 203 * MAX_ENTRIES
"""The longest ``RetrieveModelsRequest``: ``MAX_ENTRIES`` ids of the longest form."""
