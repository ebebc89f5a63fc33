"""Preparing recordings: the data set, its checksum, and what is said."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from suite.data.cache import load_meta, load_split, prepare_command, verify
from suite.data.preparation import prepare
from suite.data.sound.log_mel import log_mel
from suite.data.sound.wav import read_wav
from suite.errors import InputError
from tests.data.sound.waves import SOUND, tone, write_wav

GRID = Path(__file__).parents[3] / "grids/spoken_digits.yaml"
BY_SPEAKER = SOUND.model_copy(update={"split": "speakers:cy"})


def write_digits(folder: Path) -> Path:
    """Two digits by two speakers: a low tone and a high one. One is stereo, one has another rate, one is long."""
    for index, hz in enumerate((300.0, 2000.0)):
        write_wav(folder / f"{index}_ann_0.wav", tone(hz))
        write_wav(folder / f"{index}_ann_1.wav", tone(hz, 0.2, 16000), 16000)
        write_wav(folder / f"{index}_cy_0.wav", np.stack([tone(hz + 50, 0.2)] * 2, axis=1))
    write_wav(folder / "0_cy_1.wav", np.zeros(800))
    return folder


def test_recordings_become_a_data_set(tmp_path, capsys):
    folder = write_digits(tmp_path / "digits")
    dataset = prepare("tones", root=tmp_path / "cache", source=folder, sound=BY_SPEAKER)
    assert (dataset.train_images, dataset.test_images, dataset.image_size, dataset.channels) == (4, 3, 16, 1)
    assert load_meta("tones", tmp_path / "cache").classes == ("0", "1")
    test = load_split(dataset, "test", tmp_path / "cache")
    expected = {
        (log_mel(read_wav(path, BY_SPEAKER).samples, BY_SPEAKER).tobytes(), int(path.name[0]))
        for path in folder.glob("*_cy_*")
    }
    assert {(image.tobytes(), label) for image, label in zip(test.images, test.labels, strict=True)} == expected
    told = capsys.readouterr().err
    for remark in (
        "2 of 7 recordings have 2 channels, which are mixed to one: their mean",
        "2 of 7 recordings have 16,000 samples per second: resampled to 8,000",
        "2 of 7 recordings are longer than the 0.272 s of a spectrogram: their middle is used",
        "1 of 7 recordings are silent",
    ):
        assert remark in told
    assert prepare_command("tones", dataset).endswith(
        "--from PATH --sound sample_rate=8000,window=256,hop=128,mel_bands=16 --split speakers:cy"
    )


def test_other_settings_are_another_data_set_and_the_same_ones_the_same(tmp_path):
    folder, root = write_digits(tmp_path / "digits"), tmp_path / "cache"
    dataset = prepare("tones", root=root, source=folder, sound=BY_SPEAKER)
    assert prepare("tones", root=tmp_path / "other", source=folder, sound=BY_SPEAKER) == dataset
    other = dataset.model_copy(update={"sound": BY_SPEAKER.model_copy(update={"split": "speakers:ann"})})
    with pytest.raises(InputError, match="is another than the declared one"):
        verify(other, root)
    changed = prepare("tones", root=root, source=folder, sound=BY_SPEAKER.model_copy(update={"range_db": 60.0}))
    assert changed.checksum != dataset.checksum
    with pytest.raises(InputError, match="--sound sample_rate=8000"):
        verify(dataset, root)


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("digits", {}, "digits, a built-in data set"),
        ("tones", {"source": None}, "no --from"),
        ("tones", {"image_size": 8}, "--image-size 8"),
        ("tones", {"storage": "folder"}, "--storage folder"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, name, options, found):
    with pytest.raises(InputError) as caught:
        prepare(name, **{"root": tmp_path / "cache", "source": tmp_path, "sound": SOUND, **options})
    assert caught.value.problems[0].found == found


def test_one_damaged_file_leaves_nothing(tmp_path):
    folder = write_digits(tmp_path / "digits")
    (folder / "1_ann_0.wav").write_bytes((folder / "1_ann_0.wav").read_bytes()[:1000])
    with pytest.raises(InputError, match=r"1_ann_0\.wav"):
        prepare("tones", root=tmp_path / "cache", source=folder, sound=BY_SPEAKER)
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_spoken_digits_of_the_committed_grid(tmp_path):
    """The recordings of another place give the checksum that the grid declares."""
    shared = os.environ.get("LAPE_SHARED")
    if not shared or not (Path(shared) / "data/fsdd").is_dir():
        pytest.skip("needs the Free Spoken Digit Dataset")
    from suite.grid import load_grid

    (declared,) = {trial.dataset for trial in load_grid(GRID).expand().trials}
    dataset = prepare("spoken_digits", root=tmp_path, source=Path(shared) / "data/fsdd", sound=declared.sound)
    assert dataset.checksum == declared.checksum
