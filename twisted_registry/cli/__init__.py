"""
The command line: ``twisted-registry``.
"""

import os

# What gRPC's core prints by itself would stand between what the commands say.  It is read when gRPC is first used.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
