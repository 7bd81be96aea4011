"""
The command line: ``twisted-registry``.
"""

import os

# Otherwise gRPC's own log lines would mix with the output.  gRPC reads the variable when it is first used.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
