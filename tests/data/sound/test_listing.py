"""Splits by folders, by speakers and by the lists of a DCASE folder."""

from __future__ import annotations

import pytest

from suite.data.sound.listing import list_recordings
from suite.errors import InputError
from tests.data.sound.waves import SOUND


def listed(folder, split):
    tree = list_recordings(folder, SOUND.model_copy(update={"split": split}))
    return {
        name: sorted((path.name, tree.classes[label]) for path, label in files) for name, files in tree.splits.items()
    }


def refused(folder, split):
    with pytest.raises(InputError) as caught:
        listed(folder, split)
    (problem,) = caught.value.problems
    assert problem.expected
    assert problem.fix
    return f"{problem.what} | {problem.found} | {problem.where}"


@pytest.fixture
def digits(tmp_path):
    """Four digits by three speakers, in subfolders, as empty files: listing doesn't read them."""
    for index, speaker in enumerate(("ann", "bob", "cy")):
        (tmp_path / "recordings" / str(index)).mkdir(parents=True)
        for digit in "0123":
            (tmp_path / "recordings" / str(index) / f"{digit}_{speaker}_{index}.wav").touch()
    return tmp_path


@pytest.fixture
def dcase(tmp_path):
    """A DCASE folder of two scenes, with one fold."""
    names = [f"audio/{scene}-{index}.wav" for scene in ("park", "bus") for index in range(3)]
    (tmp_path / "audio").mkdir()
    (tmp_path / "evaluation_setup").mkdir()
    for name in names:
        (tmp_path / name).touch()
    rows = [f"{name}\t{name[6:].split('-')[0]}" for name in names]
    (tmp_path / "meta.csv").write_text("filename\tscene_label\tidentifier\n" + "".join(f"{row}\tx\n" for row in rows))
    train, test = [row for row in rows if "-2" not in row], [row for row in rows if "-2" in row]
    (tmp_path / "evaluation_setup/fold1_train.csv").write_text("filename\tscene_label\n" + "\n".join(train))
    (tmp_path / "evaluation_setup/fold1_evaluate.csv").write_text("filename\tscene_label\n" + "\n".join(test))
    return tmp_path


def test_speakers(digits):
    found = listed(digits, "speakers:cy")
    assert found["test"] == [(f"{digit}_cy_2.wav", digit) for digit in "0123"]
    assert len(found["train"]) == 8
    assert not any("cy" in name for name, _ in found["train"])


def test_speakers_that_cannot_be_used(digits):
    assert "unknown speaker 'bobb' | bobb" in refused(digits, "speakers:bobb").replace("'bobb' |", "'bobb' | bobb |")
    assert "no speaker is left for training" in refused(digits, "speakers:ann,bob,cy")
    (digits / "7_cy_1.wav").touch()
    assert "a class is missing in the train split | no recording of 7" in refused(digits, "speakers:cy")
    (digits / "7_cy_1.wav").rename(digits / "seven.wav")
    assert "doesn't say its class and its speaker | seven.wav" in refused(digits, "speakers:cy")


def test_folders(tmp_path):
    for split in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / f"{split}.WAV").touch()
    assert listed(tmp_path, "folders")["test"] == [("test.WAV", "a"), ("test.WAV", "b")]
    (tmp_path / "test/b/test.WAV").rename(tmp_path / "test/b/test.mp3")
    assert "a class without recordings | test.mp3" in refused(tmp_path, "folders")
    (tmp_path / "test/c.wav").touch()
    assert "a recording lies outside of the class folders" in refused(tmp_path, "folders")


def test_a_dcase_fold(dcase):
    expected = [("bus-2.wav", "bus"), ("park-2.wav", "park")]
    found = listed(dcase.parent if len(list(dcase.parent.iterdir())) == 1 else dcase, "fold:1")
    assert found["test"] == expected
    assert len(found["train"]) == 4
    # Older editions: no heading, .txt, and a test list without scenes.
    lists = dcase / "evaluation_setup"
    (lists / "fold1_evaluate.csv").unlink()
    (lists / "fold1_test.txt").write_text("audio/bus-2.wav\naudio/park-2.wav\n")
    assert listed(dcase, "fold:1")["test"] == expected


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("meta.csv", "audio/bus-1.wav\tbus", "audio/bus-1.wav\t", "a file without a scene"),
        ("meta.csv", "audio/bus-1.wav\tbus", "audio/bus-0.wav\tpark", "audio/bus-0.wav with two scenes"),
        ("meta.csv", "audio/bus-1.wav", '"', "unexpected end of data"),
        ("fold1_train.csv", "audio/bus-1.wav\tbus", "audio/bus-9.wav\tbus", "audio/bus-9.wav"),
        ("fold1_train.csv", "audio/bus-1.wav\tbus", "audio/bus-1.wav\tpark", "| park |"),
        ("fold1_train.csv", "audio/bus-1.wav", "audio/bus-0.wav", "which the train list has too"),
        ("fold1_train.csv", "audio/bus-1.wav", "audio/bus-2.wav", "which the train list has too"),
        ("fold1_train.csv", "audio/bus-1.wav", "", "an empty cell"),
    ],
)
def test_lists_that_cannot_be_used(dcase, file, old, new, told):
    path = next(dcase.rglob(file))
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    message = refused(dcase, "fold:1")
    assert "a list of recordings can't be used" in message
    assert told in message
    assert ", line " in message


def test_a_dcase_folder_that_is_not_whole(dcase):
    assert "a list of a fold is missing | fold1_evaluate.csv, fold1_train.csv" in refused(dcase, "fold:2")
    (dcase / "audio/bus-2.wav").unlink()
    assert "no file audio/bus-2.wav" in refused(dcase, "fold:1")
    meta = dcase / "meta.csv"
    meta.write_text(meta.read_text().replace("audio/bus-2.wav", "../bus-2.wav"))
    path = dcase / "evaluation_setup/fold1_evaluate.csv"
    path.write_text(path.read_text().replace("audio/bus-2.wav", "../bus-2.wav"))
    assert "../bus-2.wav" in refused(dcase, "fold:1")
    meta.write_bytes(b"audio/\xff.wav\tbus\n")
    assert "text in another encoding" in refused(dcase, "fold:1")
    meta.write_text("")
    assert "no files" in refused(dcase, "fold:1")
    meta.unlink()
    assert "not one DCASE folder | no meta.csv" in refused(dcase, "fold:1")
