"""Stand-ins for plain values that training scripts keep beside weights: their settings, and NumPy's numbers.

Reading a file calls what its pickle names. For these names nothing real is called: each becomes an object without
content, so that the file can be read, whatever it passes to them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


class Plain:
    """In place of a value that is no weight."""

    def __new__(cls, *_: object, **__: object) -> Plain:
        """Nothing is kept of the arguments."""
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        """Nothing is kept of the state."""


class PlainMapping:
    """In place of a dictionary's subclass: called, it gives an `OrderedDict`, which torch's reader can fill."""

    def __new__(cls, *_: object, **__: object) -> Any:
        """An empty dictionary."""
        return OrderedDict()


_NUMBERS = (
    *("bool", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "longdouble", "complex64", "complex128", "str_", "bytes_"),
)
_NAMES = {
    "argparse": ("Namespace",),
    "builtins": ("bool", "bytes", "dict", "float", "frozenset", "int", "list", "range", "slice", "str", "tuple"),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Decimal",),
    "numpy": ("dtype", "ndarray", *_NUMBERS),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "numpy.core.numeric": ("_frombuffer",),
    "numpy._core.numeric": ("_frombuffer",),
    "numpy.dtypes": tuple(f"{name.strip('_').title().replace('Uint', 'UInt')}DType" for name in _NUMBERS),
    "pathlib": ("Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"),
    "pathlib._local": ("Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"),
    "types": ("SimpleNamespace",),
    "uuid": ("UUID",),
}
_MAPPINGS = ("collections.defaultdict", "easydict.EasyDict", "yacs.config.CfgNode")

# For `torch.serialization.safe_globals`: what is called, under which name.
STAND_INS: list[Any] = [
    *((Plain, f"{module}.{name}") for module, names in _NAMES.items() for name in names),
    *((PlainMapping, name) for name in _MAPPINGS),
]
