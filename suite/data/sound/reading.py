"""Reading recordings on all cores, to prepare a data set of spectrograms."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from suite.data.arrays import Split
from suite.data.parallel import Answer, on_all_cores
from suite.data.reading import tell_others
from suite.data.sound.log_mel import log_mel, mel_filters
from suite.data.sound.settings import Sound
from suite.data.sound.wav import read_wav
from suite.data.tree import Tree
from suite.text import Progress, note


def read_spectrograms(tree: Tree, sound: Sound, progress: Progress) -> dict[str, Split]:
    """The spectrograms of both splits, in the order of the files.

    Notes are printed about recordings that were mixed, resampled or cut, and about silent ones.

    Args:
        tree: the recordings.
        sound: the settings.
        progress: receives progress updates.

    Raises:
        InputError: a recording can't be read, or the settings leave a mel band empty.
    """
    mel_filters(sound)  # before any file is read
    splits, done, total = {}, Counter[str](), len(tree.paths)
    progress.phase("making spectrograms", total)
    for split, files in tree.splits.items():
        images = np.empty((len(files), sound.mel_bands, sound.frames, 1), dtype=np.uint8)
        paths = [str(path) for path, _ in files]
        read = on_all_cores(f"{__name__}:spectrogram_task", paths, settings=sound.model_dump(mode="json"))
        for i, (remarks, pixels) in enumerate(read):
            images[i] = np.frombuffer(pixels, dtype=np.uint8).reshape(images.shape[1:])
            done.update(remarks)
            progress.advance()
        splits[split] = Split(images, np.array([label for _, label in files], dtype=np.int64))
    tell_others(tree)
    for remark, count in sorted(done.items()):
        note(f"{count:,} of {total:,} recordings {remark}")
    return splits


def spectrogram_task(path: str, settings: dict[str, object]) -> Answer:
    """A task for `on_all_cores`: remarks about what was done to a recording, and its spectrogram's pixels.

    Args:
        path: the WAV file.
        settings: the values of a `Sound`.
    """
    sound = Sound.model_validate(settings)
    recording = read_wav(Path(path), sound)
    image = log_mel(recording.samples, sound)
    covered = sound.samples / sound.sample_rate
    remarks = []
    if recording.channels > 1:
        remarks.append(f"have {recording.channels} channels, which are mixed to one: their mean")
    if recording.rate != sound.sample_rate:
        remarks.append(f"have {recording.rate:,} samples per second: resampled to {sound.sample_rate:,}")
    if recording.seconds > covered:
        remarks.append(f"are longer than the {covered:.3f} s of a spectrogram: their middle is used")
    if not image.any():
        remarks.append("are silent: their spectrograms are all 0")
    return remarks, image.tobytes()
