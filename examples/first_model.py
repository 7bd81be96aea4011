"""
Create a model, publish a version, receive its notification and fetch it.

Run it while a daemon runs::

    python examples/first_model.py [ADDRESS]
"""

import os
import sys

from twisted_registry.client import BlockingClient


def main(address: str) -> None:
    """
    Run each step once.
    """
    with BlockingClient(address) as registry:
        registry.ensure_model("walker", {"algorithm": "ppo"})

        weights = os.urandom(10_000_000)
        published = registry.publish("walker", weights)
        print("published version", published.version_number)

        with registry.track("walker") as tracker:
            latest = next(tracker)
        print("notified of version", latest.version_number)

        fetched = registry.retrieve("walker", latest)
        print("fetched", len(fetched), "bytes,", "intact" if fetched == weights else "but they differ")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "localhost:9000")
