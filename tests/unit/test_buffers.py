"""
Tests of the bytes of objects in memory.
"""

import array
import ctypes
from typing import Any

import numpy as np
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from twisted_registry.client._transfer.buffers import as_buffer


class BufferTests(SynchronousTestCase):
    """
    ``as_buffer``.
    """

    def test_arrays_of_any_numeric_type(self) -> None:
        """
        The bytes of an array are found for any type and shape, even if NumPy does not export a buffer, as for times.
        """
        cases: list[Any] = [
            np.arange(6, dtype=">f4").reshape(2, 3),
            np.arange(6, dtype="<i2"),
            np.zeros(2, dtype=[("a", ">i4"), ("b", "f2")]),
            np.array(["2026-01-01", "2027-01-01"], dtype="M8[s]"),
            np.zeros(3, dtype="m8[ns]"),
            np.ones((2, 2), dtype=complex),
            np.array(1.5),
            np.float32(1),
            np.zeros((0, 3)),
            np.array(["ab"], dtype="U3"),
            np.matrix([[1, 2], [3, 4]]),
        ]
        for data in cases:
            read_only = np.array(data)
            read_only.setflags(write=False)
            for each in (data, read_only):
                view = as_buffer(each)
                assert view is not None
                self.assertEqual((view.tobytes(), view.format, view.ndim), (np.asarray(data).tobytes(), "B", 1))

    def test_types_that_others_add(self) -> None:
        """
        The bytes of arrays of bfloat16 and 8-bit floats are found.
        """
        try:
            import ml_dtypes
        except ImportError:
            raise SkipTest("ml_dtypes is not installed") from None
        for dtype in (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2):
            values = np.arange(6).reshape(2, 3).astype(dtype)
            for data in (values, values[0, 1], np.array(1, dtype=dtype)):
                view = as_buffer(data)
                assert view is not None
                self.assertEqual(view.tobytes(), np.asarray(data).tobytes())

    def test_other_buffers(self) -> None:
        """
        The bytes of other objects with a buffer are found.
        """
        for data in (b"ab", bytearray(b"ab"), memoryview(b"xab")[1:], array.array("d", [1]), (ctypes.c_int * 2)(1, 2)):
            view = as_buffer(data)
            assert view is not None
            self.assertEqual((view.tobytes(), view.format), (bytes(data), "B"))

    def test_addresses(self) -> None:
        """
        Objects and pointers are refused: their bytes are addresses of this process.
        """
        cases: list[Any] = [
            np.array([object()]),
            np.zeros(2, dtype=[("a", "i4"), ("b", "O")]),
            np.zeros(2, dtype=[("a", "i4"), ("b", "O")])[0],
            (ctypes.py_object * 2)(),
            (ctypes.c_char_p * 2)(),
            (ctypes.c_void_p * 2)(),
            (ctypes.POINTER(ctypes.c_int) * 2)(),
        ]
        if hasattr(np.dtypes, "StringDType"):
            cases.append(np.array(["abc"], dtype=np.dtypes.StringDType()))
        for data in cases:
            with self.assertRaises(TypeError) as caught:
                as_buffer(data)
            self.assertIn("save", str(caught.exception))

    def test_names_that_look_like_addresses(self) -> None:
        """
        The name of a field does not count as a format.
        """

        class Step(ctypes.Structure):
            _fields_ = (("OzP", ctypes.c_int),)

        view = as_buffer((Step * 2)())
        assert view is not None
        self.assertEqual(view.nbytes, 8)

    def test_masked_arrays(self) -> None:
        """
        A masked array is refused: its bytes would lack the mask.
        """
        with self.assertRaises(TypeError) as caught:
            as_buffer(np.ma.masked_array([1, 2], [False, True]))
        self.assertIn("filled", str(caught.exception))

    def test_not_contiguous(self) -> None:
        """
        An object that is not contiguous is refused, whether of NumPy or not.
        """
        for data in (np.zeros(10)[::2], np.asfortranarray(np.zeros((2, 3))), memoryview(b"abcd")[::2]):
            with self.assertRaises(TypeError) as caught:
                as_buffer(data)
            self.assertIn("ascontiguousarray", str(caught.exception))

    def test_what_holds_no_bytes(self) -> None:
        """
        An object without a buffer gives ``None``.
        """
        cases: list[Any] = ["text", 7, None, [b"a"], {}]
        for data in cases:
            self.assertIsNone(as_buffer(data))
