"""
The bytes of objects in memory, without a copy.
"""

import re
import sys
from pickle import PickleBuffer
from typing import Any

_FIELD_NAME = re.compile(":[^:]*:")
_POINTER = re.compile("[OPz&]|Z(?![fdg])|X{")
"""Formats of the buffer protocol (PEP 3118) whose bytes are addresses of this process; ``Zd`` is a complex number."""


def as_buffer(data: Any) -> memoryview | None:
    """
    Return the bytes of an object in memory; ``None`` if it does not expose its bytes.

    Raises:
        TypeError: the bytes are not contiguous, or mean nothing outside this process.
    """
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and isinstance(data, numpy.ndarray | numpy.generic):
        return _of_array(numpy, data)
    try:
        view = memoryview(data)
    except (TypeError, ValueError, BufferError):
        return None
    if view.format != "B" and _POINTER.search(_FIELD_NAME.sub("", view.format)):
        raise _pointers(data)
    if not view.c_contiguous:
        raise _not_contiguous()
    if view.format == "B" and view.ndim == 1:
        return view
    # A view of an unusual format, such as big-endian numbers, cannot be cast; PickleBuffer has its raw bytes.
    return PickleBuffer(view).raw() if view.nbytes else memoryview(b"")


def _of_array(numpy: Any, data: Any) -> memoryview:
    # NumPy does not export buffers of types that other packages add, such as bfloat16, nor of NumPy's time types.
    if data.dtype.hasobject:
        raise _pointers(data)
    if isinstance(data, numpy.ma.MaskedArray):
        raise TypeError("the mask of a masked array would be lost: pass it.filled(), or save both with numpy.savez")
    array = numpy.asarray(data)
    if not array.flags.c_contiguous:
        raise _not_contiguous()
    return memoryview(array.reshape(-1).view(numpy.uint8)) if array.nbytes else memoryview(b"")


def _not_contiguous() -> TypeError:
    return TypeError("the array does not lie in memory row by row: pass a copy that does, numpy.ascontiguousarray(it)")


def _pointers(data: object) -> TypeError:
    return TypeError(
        f"the {type(data).__name__} holds Python objects or pointers, whose bytes are addresses in this process: "
        "convert it to a numeric type, or save it first, such as with numpy.savez or pickle.dumps, and publish that"
    )
