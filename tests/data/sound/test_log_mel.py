"""Log-mel spectrograms: Slaney's scale, the filters, and known sounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from suite.data.sound.log_mel import hz_to_mel, log_mel, mel_filters, mel_to_hz
from suite.data.sound.settings import Sound
from suite.errors import InputError
from tests.data.sound.waves import SOUND, tone


def plain_mel(hz: float) -> float:
    """Slaney's scale (Auditory Toolbox, 1998): 13.33 Hz apart below 1 kHz, 27 logarithmic steps up to 6.4 kHz."""
    return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000, 6.4)


def test_the_scale_is_slaneys_and_its_inverse():
    for hz in (0, 200, 999, 1000, 1001, 4000, 6400, 22050):
        assert hz_to_mel(hz) == pytest.approx(plain_mel(hz), abs=1e-12)
        assert mel_to_hz(hz_to_mel(hz)) == pytest.approx(hz, abs=1e-9)
    assert hz_to_mel(6400) == pytest.approx(42)


# Of librosa 0.11.0, filters.mel(htk=False, norm="slaney"): the first non-zero weights of band 5, and their place.
@pytest.mark.parametrize(
    ("rate", "window", "bands", "low", "high", "place", "weights"),
    [
        (8000, 512, 32, 0.0, 0.0, 23, [0.0008294062738819348, 0.003925683237552582, 0.007021960201223229]),
        (44100, 2048, 128, 0.0, 0.0, 8, [0.017941741334730338, 0.024164853409327787, 0.0017633573738958417]),
        (16000, 400, 40, 20.0, 7600.0, 10, [0.003998666829386596, 0.01174282164762709, 0.008341345111691658]),
    ],
)
def test_the_filters_are_librosas(rate, window, bands, low, high, place, weights):
    sound = Sound(
        sample_rate=rate, window=window, hop=64, mel_bands=bands, frames=bands, lowest_hz=low, highest_hz=high
    )
    band = mel_filters(sound)[5]
    assert np.flatnonzero(band)[0] == place
    np.testing.assert_allclose(band[place : place + 3], weights, rtol=1e-12)


def test_a_filter_is_a_triangle_of_the_formula():
    corners = [mel_to_hz(plain_mel(4000) * i / 17) for i in range(18)]
    filters = mel_filters(SOUND)
    for band in range(16):
        left, centre, right = corners[band : band + 3]
        for k in range(129):
            hz = k * 8000 / 256
            height = (hz - left) / (centre - left) if hz < centre else (right - hz) / (right - centre)
            assert filters[band, k] == pytest.approx(max(0.0, height) * 2 / (right - left), abs=1e-12)


@pytest.mark.parametrize("band", [2, 7, 14])
def test_a_pure_tone_lands_in_its_band(band):
    corners = mel_to_hz(np.linspace(0, hz_to_mel(4000), 18))
    image = log_mel(tone(corners[band + 1])[: SOUND.samples], SOUND)
    assert (image.argmax(axis=0) == 15 - band).all()  # the highest band is the first row
    assert image.max() == 255


def test_loudness_and_silence():
    samples = tone(440)[: SOUND.samples]
    np.testing.assert_array_equal(log_mel(samples, SOUND), log_mel(samples / 8, SOUND))
    assert not log_mel(np.zeros(SOUND.samples), SOUND).any()


def test_a_pixel_is_the_decibels_below_the_peak():
    """The second half of a tone is 20 dB weaker: 20/80 of 255 darker."""
    samples = tone(1000)[: SOUND.samples]
    samples[len(samples) // 2 :] *= 0.1
    row = log_mel(samples, SOUND).max(axis=0).astype(int)
    assert row[2] - row[-2] == pytest.approx(255 * 20 / 80, abs=1)


def test_an_empty_band_is_refused():
    with pytest.raises(InputError) as caught:
        mel_filters(Sound(sample_rate=44100, window=256, hop=64, mel_bands=128, frames=128))
    assert "without one" in caught.value.problems[0].found
