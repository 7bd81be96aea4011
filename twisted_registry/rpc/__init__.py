"""
The gRPC edge of the server.
"""

import os

# gRPC's core prints to stderr by itself, past the log, and with what clients sent as it came: anyone could write there
# what they like.  The variable is read when gRPC is first used.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
