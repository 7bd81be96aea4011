"""
What gRPC's core is told by variables of the environment.  It reads them when it is first imported.
"""

import os
import sys

_FORK_SUPPORT = "GRPC_ENABLE_FORK_SUPPORT"
_OFF = ("0", "false", "no", "off")

# Else it tells on stderr of each server that goes away, which is nothing to worry about.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

if "grpc" not in sys.modules:
    os.environ.setdefault(_FORK_SUPPORT, "0")

WORKERS_MAY_FORK = os.environ.get(_FORK_SUPPORT, "").lower() in _OFF
"""Whether gRPC leaves forks alone: see ``twisted_registry.client._transport.fork``."""
