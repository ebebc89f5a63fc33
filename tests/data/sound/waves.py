"""WAV files for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.io import wavfile

from suite.data.sound.settings import Sound

SOUND = Sound(sample_rate=8000, window=256, hop=128, mel_bands=16, frames=16)


def tone(hz: float, seconds: float = 0.3, rate: int = 8000) -> npt.NDArray[np.float64]:
    """A sine of half the full scale: float64 [N]."""
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def write_wav(path: Path, samples: npt.NDArray[np.float64], rate: int = 8000) -> Path:
    """Write samples [N] or [N, channels] as 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, np.rint(samples * 32767).astype(np.int16))
    return path
