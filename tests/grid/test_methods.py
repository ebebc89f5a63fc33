"""Method files: what they register, how their errors are told, and that nothing else is ever loaded."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.grid.axes import AXES
from suite.grid.grid import load_grid
from suite.grid.methods import (
    Carried,
    MethodFile,
    code_of,
    load_files,
    load_methods,
    loaded_files,
    option_texts,
    origin,
    unload,
)
from suite.models.joins import JOINS
from suite.registry import Registry

JOIN = '''from suite.methods import Terms, join


@join(source="a paper")
def halved(tables, maps):
    """Half of the position before every block."""
    return Terms(stream=[tables[0] / 2] * len(maps))
'''
HEAD = "from suite.methods import Terms, architecture, dataset, join, loss, named_size, norm, position\n"
NOTHING = "def f(tables, maps):\n    return Terms()\n"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Writes a method file; whatever was loaded is forgotten at the end."""

    def one(text: str) -> Path:
        path = tmp_path / "my_trick.py"
        path.write_text(text)
        return path

    before = loaded_files()
    yield one
    unload(file for file in loaded_files() if file not in before)


def test_a_joining_method_takes_ten_lines_at_most(write: Write) -> None:
    assert len(JOIN.splitlines()) <= 10
    path = write(JOIN)
    (file,) = load_methods([path])
    level = JOINS["halved"]
    assert (level.summary, level.source) == ("Half of the position before every block.", "a paper")
    assert code_of("join", "halved") == f"{file.module}:halved"
    assert origin("join", "halved") == str(path)
    assert code_of("join", "lape") is None
    assert origin("join", "lape") == ""
    assert option_texts([file]) == ["--methods", str(path)]
    assert pickle.loads(pickle.dumps(level.terms)) is level.terms


def test_a_file_is_loaded_once_and_can_be_forgotten(write: Write) -> None:
    path = write(JOIN)
    files = load_methods([path, path])
    load_methods([path])
    assert loaded_files().count(files[0]) == 1
    unload(files)
    assert "halved" not in JOINS
    assert files[0].module not in sys.modules
    load_files([MethodFile("elsewhere.py", JOIN)])  # by its text alone, as a worker does
    assert "halved" in JOINS


@pytest.mark.parametrize(
    ("axis", "level", "text"),
    [
        (
            "pe",
            "zeros",
            "@position()\ndef zeros(grid, prefix, width):\n    'No position.'\n"
            "    import numpy as np\n    return np.zeros((prefix + grid[0] * grid[1], width))",
        ),
        (
            "norm",
            "plain",
            "from suite.models.normalisers.plain import TokenNorm\n@norm(equation='x')\nclass Plain(TokenNorm):\n"
            "    'Nothing.'\n    def __init__(self, width, *, heads, grid):\n        super().__init__(width)\n"
            "    def forward(self, x):\n        return self.affine(x)",
        ),
        (
            "loss",
            "small",
            "@loss(weight='cosine_weight')\ndef small(seen, target, smoothing):\n    'Short tokens.'\n"
            "    return seen.last.square().mean()",
        ),
        ("arch", "vit_mine", "named_size('vit_mine', 'vit_lite', embed_dim=8, depth=2, num_heads=2, mlp_ratio=1, "
         "patch_size=4)"),
        ("dataset", "mine", "dataset('mine', num_classes=2, image_size=8, channels=1, train_images=9, test_images=9, "
         "mean=(0.5,), std=(0.5,), checksum='0' * 64)"),
        ("join", "raw", "from suite.models.joins import JOINS, Join\nJOINS.register('raw', Join('raw', 's', 'p', "
         "lambda tables, maps: Terms()))"),
    ],
)  # fmt: skip
def test_every_axis_takes_levels_from_outside(write: Write, axis: str, level: str, text: str) -> None:
    path = write(HEAD + text)
    load_methods([path])
    found = AXES[axis].levels[level]
    assert found.name == level
    assert found.summary
    assert origin(axis, level) == str(path)


def test_a_grid_names_a_level_from_outside(write: Write, write_grid: Callable[..., Path]) -> None:
    path = write_grid(("join: [default, lape]", "join: [default, halved]"))
    with pytest.raises(InputError, match="unknown join 'halved'"):
        load_grid(path).expand()
    load_methods([write(JOIN)])
    assert {trial.join for trial in load_grid(path).expand().trials} == {"default", "halved"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("x = 1\ny =\n", 2, "invalid syntax"),
        ("def f():\n    raise KeyError('k')\nf()\n", 2, "KeyError: 'k'"),
        ("import sys\nsys.exit(0)\n", 2, "SystemExit"),
        ("raise BaseException('k')\n", 1, "BaseException: k"),
        ("raise GeneratorExit\n", 1, "GeneratorExit"),
        (
            "from suite.models.joins import JOINS\nJOINS.register('a\\x1b[2J', JOINS['lape'])\n",
            2,
            "can't be the name of a",
        ),
        ("from suite.models.joins import JOINS\nJOINS.register(5, JOINS['lape'])\n", 2, "can't be the name of a"),
        ("import no_such_module\n", 1, "No module named 'no_such_module'"),
        ("x = 1\n", 1, "registers nothing"),
        (HEAD + "@join(name='lape')\n" + NOTHING, 2, "join 'lape' is registered already"),
        (HEAD + ("@join(name='mine')\n" + NOTHING) * 2, 5, "it is from the same file"),
        (HEAD + "@join(name='LAPE')\n" + NOTHING, 2, "can't be the name of a level"),
        (HEAD + "\n@join()\ndef f(tables):\n    return Terms()\n", 3, "can't be called as it will be"),
        (HEAD + "def g():\n    @join()\n    def f(a, b): ...\ng()\n", 3, "defined within a function"),
        (HEAD + "@loss(weight='Own')\ndef f(a, b, c): ...\n", 2, "'Own' can't be the name of a level"),
        (HEAD + "named_size('a', 'vit_lite', embed_dim=7)\n", 2, "architecture 'a': depth"),
        (HEAD + "named_size('a', 'vit_light')\n", 2, "did you mean 'vit_lite'"),
        (HEAD + "named_size('deit_tiny', 'vit_lite')\n", 2, "registered already"),
        (HEAD + "dataset('digits', num_classes=2)\n", 2, "data set 'digits' is registered already"),
        (HEAD + "dataset('mine', num_classes=2)\n", 2, "validation errors for Dataset"),
    ],
)
def test_errors_point_into_the_file_and_leave_nothing_behind(write: Write, text: str, line: int, message: str) -> None:
    before = {axis: list(row.levels) for axis, row in AXES.items()}
    path = write(text)
    with pytest.raises(InputError) as told:
        load_methods([path])
    assert message in str(told.value)
    assert {problem.where for problem in told.value.problems} == {f"{path}:{line}"}
    assert path not in [Path(file.path) for file in loaded_files()]
    assert {axis: list(row.levels) for axis, row in AXES.items()} == before


def test_what_came_before_an_error_is_forgotten_too(write: Write) -> None:
    with pytest.raises(InputError):
        load_methods([write(JOIN + "\n1 / 0\n")])
    assert "halved" not in JOINS


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.write_bytes(b"\xff"), lambda path: None])
def test_a_file_that_cant_be_read(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "m.py"
    make(path)
    with pytest.raises(InputError, match="method file that can't be read"):
        load_methods([path])


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, write: Write) -> None:
    """Some editors put one before the first line, and Python itself reads past it."""
    path = tmp_path / "marked.py"
    path.write_bytes(b"\xef\xbb\xbf" + JOIN.replace("\n", "\r\n").encode())
    assert MethodFile.read(path).hash == MethodFile("", JOIN.replace("\n", "\r\n")).hash
    load_methods([path])
    assert "halved" in JOINS


def test_installed_packages_bring_methods(tmp_path: Path) -> None:
    """A package with an entry point of the group, in a process of its own."""
    (tmp_path / "tricks.py").write_text(JOIN)
    about = tmp_path / "tricks-1.5.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tricks\nVersion: 1.5\n")
    (about / "entry_points.txt").write_text("[lape.methods]\nmine = tricks\n")
    program = (
        "from suite.grid.methods import *; load_methods([]); load_methods([]); print(origin('join', 'halved'));"
        "print(source_of('tricks')[1], code_of('join', 'halved'), code_of('norm', 'ln'));"
        "import sys; assert 'torch' not in sys.modules"
    )
    paths = ":".join([str(tmp_path), *filter(None, sys.path)])
    found = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": paths}, capture_output=True, text=True)
    assert found.stdout.splitlines() == ["tricks 1.5", "tricks 1.5 tricks:halved None"], found.stderr
    (tmp_path / "tricks.py").write_text("1 / 0")
    found = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": paths}, capture_output=True, text=True)
    assert "ZeroDivisionError" in found.stderr
    assert "tricks (mine = tricks)" in found.stderr


def test_a_registry_knows_what_is_from_outside() -> None:
    registry: Registry[int] = Registry("number")
    registry.register("one", 1)
    registry.register("two", 2, "other:two")
    assert registry.outside.code("one") is None
    assert registry.outside.names("other") == ["two"]
    registry.forget("other")
    assert list(registry) == ["one"]
    registry.register("two", 3)
    assert registry.outside.code("two") is None


def test_a_spawned_process_has_the_method_files_of_the_one_that_spawns_it(write: Write) -> None:
    files = load_methods([write(JOIN)])
    code = (
        "import pickle, sys; from suite.models.joins import JOINS; before = 'halved' in JOINS;"
        "pickle.loads(sys.stdin.buffer.read()); print(before, 'halved' in JOINS)"
    )
    sent = pickle.dumps((Carried(), "what uses them"))
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True)
    assert done.stdout.decode().split() == ["False", "True"]
    assert loaded_files() == files
