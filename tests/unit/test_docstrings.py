"""
Tests for the docstring lint.
"""

from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

from tools.docstrings import check, error_names


def findings(text: str) -> list[str]:
    """
    Return what the lint finds in a module, without the path.
    """
    names = frozenset({"UnknownModel", "ValueError"})
    return [line.removeprefix("a.py:") for line in check(dedent(text), "a.py", names)]


class DocstringTests(SynchronousTestCase):
    """
    Docstrings of public functions.
    """

    def test_parameters(self) -> None:
        """
        Each parameter needs an entry; two may share one, and a starred one has no star.
        """
        text = '''\
        def f(a, b, c, *d, e=1) -> None:
            """
            Do it.

            Args:
                a: an entry
                    of two lines: with a colon.
                b, d: two of them.
                gone: it was removed.
            """
        '''
        expected = ["the parameter 'c' is not documented", "the parameter 'e' is not documented"]
        self.assertEqual(findings(text), [f"1: f: {each}" for each in [*expected, "there is no parameter 'gone'"]])

    def test_results(self) -> None:
        """
        A result needs a section or a summary that says what is returned, unless it is ``None``.
        """
        text = '''\
        class A:
            async def missing(self) -> int:
                """Count."""
            def section(self) -> int:
                """
                Count.

                Returns:
                    The number.
                """
            def summary(self) -> int:
                """Return the number."""
            def none(self) -> None:
                """Count."""
            def later() -> Awaitable[None]:
                """Count."""
            @property
            def size(self) -> int:
                """The size."""
        '''
        self.assertEqual(findings(text), ["2: A.missing: the result is not documented"])

    def test_errors(self) -> None:
        """
        Errors in ``Raises`` and after 'fails with' must exist.
        """
        text = '''\
        def f() -> None:
            """
            Do it.

            Returns:
                Fires with ``Nothing``; fails with ``UnknownModel``,
                or with ``Gone``.

            Raises:
                ValueError: it is wrong.
                UnknownModl: it does not exist.
            """
        '''
        self.assertEqual(findings(text), ["1: f: there is no error 'Gone'", "1: f: there is no error 'UnknownModl'"])

    def test_exceptions(self) -> None:
        """
        Private functions, tests, overloads, and those that refer to an interface need nothing.
        """
        text = '''\
        def _private(a): ...
        class _Private:
            def f(self, a): ...
        class A:
            def test_a(self, a): ...
            def setUp(self): ...
            @overload
            def f(self, a): ...
            def f(self, a):
                """See ``IA.f``."""
        '''
        self.assertEqual(findings(text), [])

    def test_known_errors(self) -> None:
        """
        The errors of the domain, of the client and of Python are known.
        """
        self.assertLessEqual({"UnknownModel", "Unreachable", "OSError"}, error_names())
