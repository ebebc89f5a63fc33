"""Reading WAV files: formats, rates, channels, lengths, and files that aren't usable."""

from __future__ import annotations

import os
import struct
import tracemalloc

import numpy as np
import pytest
from scipy.io import wavfile

from suite.data.sound import wav
from suite.data.sound.wav import read_wav
from suite.errors import InputError
from tests.data.sound.waves import SOUND, tone, write_wav


def refused(path, found):
    with pytest.raises(InputError) as caught:
        read_wav(path, SOUND)
    (problem,) = caught.value.problems
    assert problem.what == "a recording can't be read"
    assert found in problem.found
    assert str(path) in problem.where
    return problem


@pytest.mark.parametrize(
    ("dtype", "scale", "offset"), [("u1", 127, 128), ("<i2", 2**15, 0), ("<i4", 2**31, 0), ("<f4", 1, 0), ("<f8", 1, 0)]
)
def test_integers_and_floats_are_the_same_samples(tmp_path, dtype, scale, offset):
    samples = tone(440, 1.0)
    stored = samples * scale + offset
    wavfile.write(tmp_path / "a.wav", 8000, (stored if dtype[-2] == "f" else np.rint(stored)).astype(dtype))
    read = read_wav(tmp_path / "a.wav", SOUND)
    middle = (len(samples) - SOUND.samples) // 2
    np.testing.assert_allclose(read.samples, samples[middle : middle + SOUND.samples], atol=1.5 / 127)
    assert (read.rate, read.channels, read.seconds) == (8000, 1, 1.0)


def test_24_bits(tmp_path):
    values = np.rint(tone(440, 1.0) * 2**23).astype("<i4")
    pcm = values[:, None].view("u1")[:, :3].tobytes()
    header = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 24000, 3, 24) + b"data" + struct.pack("<I", len(pcm))
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(header) + len(pcm)) + header + pcm)
    write_wav(tmp_path / "b.wav", tone(440, 1.0))
    read = [read_wav(tmp_path / name, SOUND).samples for name in ("a.wav", "b.wav")]
    np.testing.assert_allclose(*read, atol=1e-4)


def test_channels_are_mixed_and_short_recordings_get_silence(tmp_path):
    left, right = tone(440, 0.1), tone(880, 0.1)
    read = read_wav(write_wav(tmp_path / "a.wav", np.stack([left, right], axis=1)), SOUND)
    before = (SOUND.samples - 800) // 2
    np.testing.assert_allclose(read.samples[before : before + 800], (left + right) / 2, atol=1e-4)
    assert not read.samples[:before].any()
    assert not read.samples[before + 800 :].any()
    assert read.channels == 2


@pytest.mark.parametrize("rate", [16000, 44100, 11025])
def test_other_rates_are_resampled(tmp_path, rate):
    path = write_wav(tmp_path / "a.wav", tone(440, 2.0, rate), rate)
    read = read_wav(path, SOUND).samples
    spectrum = np.abs(np.fft.rfft(read * np.hanning(len(read))))
    assert np.fft.rfftfreq(len(read), 1 / 8000)[spectrum.argmax()] == pytest.approx(440, abs=8000 / len(read))
    assert np.abs(read).max() == pytest.approx(0.5, abs=0.01)
    assert read.shape == (SOUND.samples,)


@pytest.mark.filterwarnings("ignore:Chunk")  # as outside of pytest, which sets filters anew
def test_any_missing_end_is_refused_and_a_title_is_no_matter(tmp_path):
    whole = write_wav(tmp_path / "a.wav", tone(440, 0.01)).read_bytes()
    (tmp_path / "b.wav").write_bytes(whole + b"note" + struct.pack("<I", 4) + b"abcd")
    assert read_wav(tmp_path / "b.wav", SOUND).seconds == 0.01
    for end in range(len(whole)):
        (tmp_path / "a.wav").write_bytes(whole[:end])
        refused(tmp_path / "a.wav", "")


@pytest.mark.parametrize(
    ("start", "values", "found"),
    [
        (40, [2**32 - 1], "the samples end at byte 4,294,967,339"),
        (0, [0x12345678], "not understood"),
        (24, [7, 14], "a rate of 7 samples per second"),
        (24, [10**9, 2 * 10**9], "a rate of 1,000,000,000"),
        (24, [7, 15], "nAvgBytesPerSec"),
        (20, [0x00010055], "Unknown wave file format"),
    ],
)
def test_headers_that_are_wrong(tmp_path, start, values, found):
    """Nothing is allocated for a header that claims gigabytes."""
    data = bytearray(write_wav(tmp_path / "a.wav", tone(440, 0.01)).read_bytes())
    data[start : start + 4 * len(values)] = struct.pack(f"<{len(values)}I", *values)
    (tmp_path / "a.wav").write_bytes(data)
    tracemalloc.start()
    refused(tmp_path / "a.wav", found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_no_recordings(tmp_path, monkeypatch):
    (tmp_path / "text.wav").write_text("a letter")
    refused(tmp_path / "text.wav", "not understood")
    (tmp_path / "empty.wav").write_bytes(b"")
    refused(tmp_path / "empty.wav", "")
    refused(write_wav(tmp_path / "zero.wav", np.zeros(0)), "without samples")
    wavfile.write(tmp_path / "nan.wav", 8000, np.full(100, np.nan, np.float32))
    refused(tmp_path / "nan.wav", "infinite")
    os.mkfifo(tmp_path / "pipe.wav")
    refused(tmp_path / "pipe.wav", "a pipe")
    refused(tmp_path / "gone.wav", "No such file")
    monkeypatch.setattr(wav, "MOST_BYTES", 1000)
    refused(write_wav(tmp_path / "long.wav", tone(440, 1.0)), "a file of 16,044 bytes, of at most 1,000")
