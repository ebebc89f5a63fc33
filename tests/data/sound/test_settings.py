"""The settings of spectrograms on the command line and in the checksum."""

from __future__ import annotations

import pytest

from suite.data.sound.settings import Sound, parse_sound
from suite.errors import InputError

TEXT = "sample_rate=8000,window=256,hop=128,mel_bands=32"


def test_options_and_settings_are_inverse():
    sound = parse_sound(f"{TEXT},lowest_hz=50,range_db=60.5", "speakers:theo,lucas")
    assert sound.test_speakers == ("theo", "lucas")
    assert (sound.frames, sound.lowest_hz, sound.range_db, sound.top_hz) == (32, 50.0, 60.5, 4000.0)
    _, text, _, split = sound.options.split(" ")
    assert parse_sound(text, split) == sound


def test_each_setting_is_in_the_checksum():
    sound = parse_sound(TEXT, "folders")
    changed = [
        *({key: getattr(sound, key) + 1} for key in ("sample_rate", "window", "hop", "lowest_hz", "range_db")),
        {"highest_hz": 3999.0},
        {"mel_bands": 33, "frames": 33},
        {"split": "fold:1"},
    ]
    assert {key for change in changed for key in change} == set(Sound.model_fields)
    others = [Sound.model_validate({**sound.model_dump(), **change}) for change in changed]
    assert len({one.checksum("a" * 64) for one in (sound, *others)}) == 9
    assert sound.checksum("a" * 64) != sound.checksum("b" * 64)


@pytest.mark.parametrize(
    ("text", "split", "found"),
    [
        ("", "folders", "''"),
        ("sample_rate", "folders", "'sample_rate'"),
        ("sample_rate=8000", "folders", "no window"),
        (f"{TEXT},hop=1", "folders", "hop twice"),
        (f"{TEXT},hops=1", "folders", "an unknown key 'hops'"),
        (f"{TEXT},split=1", "folders", "split twice"),
        (f"{TEXT},range_db=nan", "folders", "range_db=nan"),
        (TEXT.replace("8000", "8"), "folders", "sample_rate=8"),
        (TEXT.replace("8000", "1e4"), "folders", "'sample_rate=1e4'"),
    ],
)
def test_what_cannot_be_used(text, split, found):
    with pytest.raises(InputError) as caught:
        parse_sound(text, split)
    (problem,) = caught.value.problems
    assert found in problem.found
    assert problem.where == f"--sound {text} --split {split}"


@pytest.mark.parametrize(
    ("text", "split", "expected"),
    [
        (f"{TEXT},frames=16", "folders", "as many frames as mel_bands"),
        (f"{TEXT},highest_hz=4001", "folders", "highest_hz at most half of sample_rate"),
        (TEXT.replace("=128", "=1048576"), "folders", "of at most 16,777,216 samples"),
    ],
)
def test_what_does_not_fit_together(text, split, expected):
    with pytest.raises(InputError) as caught:
        parse_sound(text, split)
    (problem,) = caught.value.problems
    assert expected in problem.expected
    assert problem.found == f"{text} --split {split}"
    assert problem.where == f"--sound {text} --split {split}"


@pytest.mark.parametrize("split", ["speaker:theo", "speakers:", "fold:one"])
def test_what_is_no_split(split):
    with pytest.raises(InputError) as caught:
        parse_sound(TEXT, split)
    (problem,) = caught.value.problems
    assert problem.expected == "a split of the form folders, speakers:NAME,NAME or fold:NUMBER"
    assert problem.found == f"split={split}"
