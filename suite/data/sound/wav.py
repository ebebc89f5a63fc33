"""Reading WAV files. No other module reads sound."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from math import ceil, gcd
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import wavfile

from suite.data.names import shown
from suite.data.regular_files import read_regular
from suite.data.sound.log_mel import Samples
from suite.data.sound.settings import HIGHEST_RATE, LOWEST_RATE, Sound
from suite.errors import InputError, first_line

SUFFIXES = {".wav", ".wave"}
MOST_BYTES = 2**28  # size of a WAV file; 23 minutes of 16-bit stereo at 48 kHz
_MOST_CHANNELS = 64
_MOST_FLOAT = 1e6  # of a sample; a whole scale is 1

# A missing end is an error. Chunks that SciPy doesn't read, such as titles, are of no interest.
warnings.filterwarnings("error", category=wavfile.WavFileWarning, message="Reached EOF")
warnings.filterwarnings("ignore", category=wavfile.WavFileWarning, message="Chunk ")


@dataclass(frozen=True)
class Recording:
    """The samples of one spectrogram, and what was done to the recording to get them.

    Attributes:
        samples: float64 [sound.samples], in [−1, 1]: the middle of the recording, or all of it with silence on both
            sides.
        rate: the file's samples per second.
        channels: the file's channels, of which `samples` is the mean.
        seconds: the recording's length.
    """

    samples: Samples
    rate: int
    channels: int
    seconds: float


def read_wav(path: Path, sound: Sound) -> Recording:
    """Read a WAV file, mix its channels, resample it and fit it to the length of a spectrogram.

    Raises:
        InputError: the file isn't a whole WAV file of integers or floats, has no samples, or has an impossible rate.
    """
    try:
        data = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise _unreadable(path, error.strerror or first_line(error)) from error
    rate, stored = _decoded(data, path)
    mono = _scaled(_excerpt(stored, rate, sound), path).mean(axis=1)
    return Recording(_fitted(_resampled(mono, rate, sound), sound), rate, stored.shape[1], len(stored) / rate)


def _decoded(data: bytes, path: Path) -> tuple[int, npt.NDArray[Any]]:
    """The rate, and the samples as they are stored: [N, channels]."""
    end = _end_of_samples(data)
    if end > len(data):
        raise _unreadable(path, f"{len(data):,} bytes, where the header says that the samples end at byte {end:,}")
    try:
        rate, values = wavfile.read(io.BytesIO(data))
    except Exception as error:  # SciPy's parser raises ValueError, struct.error, ZeroDivisionError, EOFError and more
        raise _unreadable(path, first_line(error) or type(error).__name__) from error
    values = np.asarray(values)
    if not len(values):
        raise _unreadable(path, "a recording without samples")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise _unreadable(path, f"a rate of {rate:,} samples per second, of {LOWEST_RATE:,} to {HIGHEST_RATE:,}")
    values = values.reshape(len(values), -1)
    if values.shape[1] > _MOST_CHANNELS:
        raise _unreadable(path, f"{values.shape[1]:,} channels, of at most {_MOST_CHANNELS}")
    return rate, values


def _scaled(stored: npt.NDArray[Any], path: Path) -> Samples:
    """Stored samples as floats in [−1, 1]; their shape stays the same."""
    if stored.dtype.kind == "u":
        return stored / 128.0 - 1
    if stored.dtype.kind == "i":
        return stored / 2.0 ** (8 * stored.dtype.itemsize - 1)
    if not np.isfinite(stored).all() or np.abs(stored).max() > _MOST_FLOAT:
        raise _unreadable(path, "samples that are infinite, no numbers, or far above 1")
    return stored.astype(np.float64)


def _end_of_samples(data: bytes) -> int:
    """Where the header says that the samples end, in bytes; 0 if it is no RIFF file or has no samples."""
    position = 12
    while data[:4] == b"RIFF" and position + 8 <= len(data):
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        if data[position : position + 4] == b"data":
            return position + 8 + size
        position += 8 + size + size % 2
    return 0


def _excerpt(stored: npt.NDArray[Any], rate: int, sound: Sound) -> npt.NDArray[Any]:
    """The middle of a recording, a window longer on both sides than a spectrogram, so that little is converted."""
    kept = ceil((sound.samples + 2 * sound.window) * rate / sound.sample_rate)
    start = max(0, (len(stored) - kept) // 2)
    return stored[start : start + kept]


def _resampled(samples: Samples, rate: int, sound: Sound) -> Samples:
    from scipy.signal import resample_poly

    if rate == sound.sample_rate:
        return samples
    common = gcd(rate, sound.sample_rate)
    resampled: Samples = resample_poly(samples, sound.sample_rate // common, rate // common)
    return resampled


def _fitted(samples: Samples, sound: Sound) -> Samples:
    """The middle `sound.samples` samples, or all samples with zeros on both sides."""
    surplus = len(samples) - sound.samples
    if surplus >= 0:
        start = surplus // 2
        return samples[start : start + sound.samples]
    before = -surplus // 2
    return np.pad(samples, (before, -surplus - before))


def _unreadable(path: Path, found: str) -> InputError:
    return InputError(
        "a recording can't be read",
        expected=f"a whole WAV file of integers or floats, of at most {MOST_BYTES:,} bytes",
        found=found,
        where=shown(path),
        fix="replace the file by a good copy, convert it to WAV (such as `ffmpeg -i FILE FILE.wav`), or remove it",
    )
