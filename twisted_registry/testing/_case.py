"""
The base of the contract suites.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unittest import TestCase as ContractCase
else:

    class ContractCase:
        """
        A suite of tests without a test case: a class that derives from a suite and from ``unittest.TestCase``, in this
        order, runs it.  So no test runner collects a suite by itself.
        """

        def setUp(self) -> None:
            """
            Set up the test case.
            """
            super().setUp()


__all__ = ["ContractCase"]
