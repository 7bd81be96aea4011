"""
The registry's log.
"""

from twisted.logger import Logger

log = Logger(namespace="twisted_registry.registry")
