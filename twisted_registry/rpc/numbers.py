"""
The numbers of a server, for metrics.
"""

from collections.abc import Callable

from attrs import frozen

from twisted_registry.application.event_feed import EventFeed
from twisted_registry.application.followers import Followers
from twisted_registry.application.kept_uploads import KeptUploads
from twisted_registry.application.subscriptions import Subscriptions
from twisted_registry.rpc.budgets import ReplyBudget, UploadBudget


@frozen
class ServerNumbers:
    """
    The parts of a server that count something.  Any thread may read the numbers.

    Attributes:
        calls: counts the calls under way.
        connections: counts the connections, which takes a while.
        subscriptions: its length is the number of subscribers.
        feed: its length is the number of watches.
        uploads: the memory of uploads.
        replies: the memory of replies.
        kept_uploads: its length is the number of uploads that are kept.
        followers: the subscribers and the watches.  Used in the thread of the server's event loop.
    """

    calls: Callable[[], int]
    connections: Callable[[], int]
    subscriptions: Subscriptions
    feed: EventFeed
    uploads: UploadBudget
    replies: ReplyBudget
    kept_uploads: KeptUploads
    followers: Followers
