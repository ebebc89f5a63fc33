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


class PlainList:
    """The stand-in for a sequence. Calling it returns a list, which torch's reader can fill."""

    def __new__(cls, *_: object, **__: object) -> Any:
        """Return an empty list; the arguments are discarded."""
        return []


_NUMBERS = (
    *("bool", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "longdouble", "complex64", "complex128", "str_", "bytes_"),
)
_NAMES = {
    "argparse": ("Namespace",),
    "fractions": ("Fraction",),
    "typing": ("Any",),
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
    # Settings and random states that trainers save beside the weights.
    "numpy.random._mt19937": ("MT19937",),
    "numpy.random._pcg64": ("PCG64",),
    "numpy.random._pickle": ("__bit_generator_ctor", "__generator_ctor", "__randomstate_ctor"),
    "numpy.random.bit_generator": ("SeedSequence", "__pyx_unpickle_SeedSequence"),
    "omegaconf.base": ("ContainerMetadata", "Metadata"),
    "omegaconf.dictconfig": ("DictConfig",),
    "omegaconf.listconfig": ("ListConfig",),
    "omegaconf.nodes": ("AnyNode", "BooleanNode", "FloatNode", "IntegerNode", "StringNode"),
    "mmengine.logging.history_buffer": ("HistoryBuffer",),
    "torchvision.transforms.functional": ("InterpolationMode",),
}
_MAPPINGS = (
    *("collections.defaultdict", "easydict.EasyDict", "yacs.config.CfgNode", "addict.addict.Dict", "box.box.Box"),
    *("fvcore.common.config.CfgNode", "ml_collections.config_dict.config_dict.ConfigDict", "munch.Munch"),
    *("mmcv.utils.config.ConfigDict", "mmengine.config.config.ConfigDict"),
    *(f"{package}.utilities.parsing.AttributeDict" for package in ("pytorch_lightning", "lightning.pytorch")),
    "lightning.fabric.utilities.data.AttributeDict",
)

# For `torch.serialization.safe_globals`: pairs of a stand-in and the name that it replaces.
STAND_INS: list[Any] = [
    *((Plain, f"{module}.{name}") for module, names in _NAMES.items() for name in names),
    *((PlainMapping, name) for name in _MAPPINGS),
    (PlainList, "collections.deque"),
]
