"""
The protocol edge: the one place that knows gRPC, protobuf and asyncio.
"""

import os

# What gRPC's core prints by itself goes to stderr, past the log, and holds what clients sent, raw: a stranger could
# write what he likes there.  It is read when gRPC is first used.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
