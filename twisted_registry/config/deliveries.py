"""
Settings of deliveries: events that are sent to webhooks, and commands that run on events.
"""

from attrs import frozen

from twisted_registry.config.setting import setting
from twisted_registry.config.values import FILE


@frozen
class DeliverySettings:
    """
    Settings of deliveries.

    Attributes:
        file: the file of webhooks and commands.
        journal: the file with what waits to be delivered.
    """

    file: str | None = setting(
        "deliveries-file",
        FILE,
        "TOML file with the webhooks that events are sent to, and the commands that run on events; read again when it "
        "changes",
        None,
        "none",
    )
    journal: str | None = setting(
        "deliveries-journal",
        FILE,
        "file where events wait until they are delivered, also over a restart; on a local disk; needed with "
        "--deliveries-file",
        None,
        "none",
    )
