"""Log-mel spectrograms as images: uint8, one channel."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from suite.data.sound.settings import Sound
from suite.errors import InputError

Samples = npt.NDArray[np.float64]

# Slaney's mel scale (Auditory Toolbox, 1998): linear up to 1 kHz, with 200/3 Hz per mel; then logarithmic, with 27 mels
# for a factor of 6.4.
_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


def hz_to_mel(hz: npt.ArrayLike) -> Samples:
    """Frequencies in hertz on Slaney's mel scale."""
    values = np.asarray(hz, dtype=np.float64)
    above = _BREAK_MEL + np.log(np.maximum(values, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(values < _BREAK_HZ, values / _HZ_PER_MEL, above)


def mel_to_hz(mel: npt.ArrayLike) -> Samples:
    """The inverse of `hz_to_mel`."""
    values = np.asarray(mel, dtype=np.float64)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(values, _BREAK_MEL) - _BREAK_MEL))
    return np.where(values < _BREAK_MEL, values * _HZ_PER_MEL, above)


@lru_cache(maxsize=8)
def mel_filters(sound: Sound) -> Samples:
    """The weights of a window's power spectrum in each mel band: float64 [mel_bands, window // 2 + 1].

    The bands are triangles with corners at equal distances on Slaney's mel scale, each divided by half of its width in
    hertz.

    Raises:
        InputError: a band has no frequency of the spectrum inside.
    """
    corners = mel_to_hz(np.linspace(hz_to_mel(sound.lowest_hz), hz_to_mel(sound.top_hz), sound.mel_bands + 2))
    frequencies = np.fft.rfftfreq(sound.window, 1 / sound.sample_rate)
    left, centre, right = (corners[start : start + sound.mel_bands, None] for start in range(3))
    rising, falling = (frequencies - left) / (centre - left), (right - frequencies) / (right - centre)
    filters = np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)
    empty = np.flatnonzero(filters.sum(axis=1) == 0)
    if len(empty):
        low, high = corners[empty[0]], corners[empty[0] + 2]
        raise InputError(
            "a mel band has no frequency inside",
            expected="every band wide enough for a frequency of the windows' spectrum",
            found=f"{len(empty)} of {sound.mel_bands} bands without one: the first is from {low:.1f} to {high:.1f} Hz, "
            f"but the spectrum has steps of {sound.sample_rate / sound.window:.1f} Hz",
            where=f"--sound with window={sound.window}, mel_bands={sound.mel_bands}",
            fix="take a longer window, or fewer mel bands",
        )
    return filters


def log_mel(samples: Samples, sound: Sound) -> npt.NDArray[np.uint8]:
    """The log-mel spectrogram of a recording: uint8 [mel_bands, frames], the highest band in the first row.

    A frame's power spectrum (periodic Hann window) is summed in mel bands. Decibels below the recording's largest value
    are scaled so that 255 is that value and 0 is `range_db` below it or less. Recordings are therefore equally loud. A
    silent recording is all 0.

    Args:
        samples: float64 [sound.samples].
        sound: the settings.
    """
    from scipy.fft import rfft
    from scipy.signal import get_window

    frames = np.lib.stride_tricks.sliding_window_view(samples, sound.window)[:: sound.hop]
    spectrum = rfft(frames * get_window("hann", sound.window, fftbins=True), axis=1)
    power = mel_filters(sound) @ (spectrum.real**2 + spectrum.imag**2).T
    peak = power.max()
    if peak <= 0:
        return np.zeros(power.shape, dtype=np.uint8)
    decibels = 10 * np.log10(np.maximum(power / peak, 10 ** (-sound.range_db / 10)))
    pixels: npt.NDArray[np.uint8] = np.rint(255 * (1 + decibels / sound.range_db)).astype(np.uint8)
    return pixels[::-1]
