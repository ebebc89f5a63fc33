"""Stand-ins for non-weight values in checkpoints, such as training settings and NumPy numbers.

Unpickling a file calls the classes and functions that the file names. For the names listed here, an empty stand-in is
called instead. The file can then be read safely, whatever arguments it passes to them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


class Plain:
    """The stand-in for a value that isn't a weight."""

    def __new__(cls, *_: object, **__: object) -> Plain:
        """Create an empty object; the arguments are discarded."""
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        """Discard the pickled state."""


class PlainMapping:
    """The stand-in for a dict subclass. Calling it returns an `OrderedDict`, which torch's reader can fill."""

    def __new__(cls, *_: object, **__: object) -> Any:
        """Return an empty dictionary; the arguments are discarded."""
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

# For `torch.serialization.safe_globals`: pairs of a stand-in and the name that it replaces.
STAND_INS: list[Any] = [
    *((Plain, f"{module}.{name}") for module, names in _NAMES.items() for name in names),
    *((PlainMapping, name) for name in _MAPPINGS),
]
