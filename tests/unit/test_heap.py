"""
Tests of what is done about the garbage collector.
"""

import gc
import weakref

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.daemon.heap import SETTLING


class Node:
    """
    An object that may refer to itself.
    """

    def __init__(self) -> None:
        self.other: Node | None = None


class SettleTests(SynchronousTestCase):
    """
    Objects are out of the collector's sight, and return to it.
    """

    def setUp(self) -> None:
        """
        Leave the collector as it was.
        """
        self.addCleanup(gc.unfreeze)

    def test_out_of_sight(self) -> None:
        """
        The collector does not look at settled objects until they are unsettled.
        """
        node = Node()
        SETTLING.settle()
        self.assertFalse(any(each is node for each in gc.get_objects()))
        SETTLING.unsettle()
        self.assertTrue(any(each is node for each in gc.get_objects()))

    def test_freed(self) -> None:
        """
        A settled object is freed when nothing refers to it.
        """
        node = Node()
        found = weakref.ref(node)
        SETTLING.settle()
        del node
        self.assertIsNone(found())

    def test_young_garbage(self) -> None:
        """
        Objects that are garbage already are not kept.
        """
        node = Node()
        node.other = node
        found = weakref.ref(node)
        del node
        SETTLING.settle()
        self.assertIsNone(found())
