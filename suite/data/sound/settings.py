"""How recordings become images, and which of them are the test split. Nothing here reads a file."""

from __future__ import annotations

import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from suite.data.settings_text import checksum_with, read_values, refusal

FOLDERS = "folders"
SPEAKERS = "speakers:"
FOLD = "fold:"
SPLIT_FORMS = f"{FOLDERS}, {SPEAKERS}NAME,NAME or {FOLD}NUMBER"
_SPLIT = re.compile(rf"{FOLDERS}|{SPEAKERS}[^,:]+(,[^,:]+)*|{FOLD}[0-9]{{1,4}}")

LOWEST_RATE, HIGHEST_RATE = 1_000, 384_000  # samples per second, of a recording and of a spectrogram
MOST_SAMPLES = 2**24  # of one spectrogram; almost six minutes at 48 kHz
_MOST_SIDE = 1024  # mel bands, and frames


class Sound(BaseModel):
    """The settings of the spectrograms, and the rule that makes the test split.

    All of them are part of the data set's checksum.

    Attributes:
        sample_rate: samples per second; recordings of another rate are resampled.
        window: samples of a Hann window, and of its Fourier transform.
        hop: samples from one window's start to the next one's.
        mel_bands: the image's height in pixels.
        frames: the image's width in pixels; equal to `mel_bands`, because images are squares.
        lowest_hz: the lower edge of the lowest band.
        highest_hz: the upper edge of the highest band; 0 for half of the sample rate.
        range_db: the decibels below the recording's loudest point that pixel 0 stands for.
        split: "folders" (train/ and test/), "speakers:NAME,NAME" (those of the test split, by the files' names), or
            "fold:NUMBER" (the lists of a DCASE folder).
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    sample_rate: int = Field(ge=LOWEST_RATE, le=HIGHEST_RATE)
    window: int = Field(ge=16, le=2**16)
    hop: int = Field(ge=1, le=2**20)
    mel_bands: int = Field(ge=4, le=_MOST_SIDE)
    frames: int = Field(ge=4, le=_MOST_SIDE)
    lowest_hz: float = Field(default=0.0, ge=0)
    highest_hz: float = Field(default=0.0, ge=0)
    range_db: float = Field(default=80.0, gt=0, le=200)
    split: str = FOLDERS

    @field_validator("split")
    @classmethod
    def _known_split(cls, split: str) -> str:
        if not _SPLIT.fullmatch(split):
            raise ValueError(f"a split of the form {SPLIT_FORMS}")
        return split

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.frames != self.mel_bands:
            raise ValueError("as many frames as mel_bands, because images are squares")
        if self.samples > MOST_SAMPLES:
            raise ValueError(f"window + (frames − 1) × hop of at most {MOST_SAMPLES:,} samples")
        if not self.lowest_hz < self.top_hz <= self.sample_rate / 2:
            raise ValueError("lowest_hz below highest_hz, and highest_hz at most half of sample_rate")
        return self

    @property
    def samples(self) -> int:
        """The number of samples that a spectrogram covers."""
        return self.window + (self.frames - 1) * self.hop

    @property
    def top_hz(self) -> float:
        """The upper edge of the highest band, in hertz."""
        return self.highest_hz or self.sample_rate / 2

    @property
    def test_speakers(self) -> tuple[str, ...]:
        """The speakers of the test split; empty for another rule."""
        return tuple(self.split.removeprefix(SPEAKERS).split(",")) if self.split.startswith(SPEAKERS) else ()

    @property
    def fold(self) -> int | None:
        """The number of a DCASE fold; None for another rule."""
        return int(self.split.removeprefix(FOLD)) if self.split.startswith(FOLD) else None

    @property
    def options(self) -> str:
        """The options of `lape data prepare` that give these settings."""
        values = ",".join(f"{key}={getattr(self, key)}" for key in ("sample_rate", "window", "hop", "mel_bands"))
        optional = "".join(
            f",{key}={getattr(self, key):g}"
            for key in ("lowest_hz", "highest_hz", "range_db")
            if getattr(self, key) != type(self).model_fields[key].default
        )
        return f"--sound {values}{optional} --split {self.split}"

    def checksum(self, arrays: str) -> str:
        """A data set's checksum: SHA-256 over these settings and the checksum of its arrays."""
        return checksum_with("sound", self.model_dump(mode="json"), arrays)


def parse_sound(text: str, split: str) -> Sound:
    """The settings that the command line gives.

    Args:
        text: KEY=NUMBER, separated by commas; `frames` may be left out.
        split: one of the forms above.

    Raises:
        InputError: a key or a value is unknown, missing or out of its range.
    """
    try:
        values = read_values(text, _number, "split")
        if "mel_bands" in values:
            values.setdefault("frames", values["mel_bands"])
        return Sound.model_validate({"split": split, **values})
    except (ValueError, OverflowError) as error:  # the second, of a number that no float holds
        raise refusal(
            error, Sound, f"{text} --split {split}",
            what="the settings of the spectrograms can't be used",
            expected="sample_rate, window, hop and mel_bands as KEY=NUMBER, separated by commas, and if wanted "
            f"lowest_hz, highest_hz, range_db and frames; a split of the form {SPLIT_FORMS}",
            where=f"--sound {text} --split {split}",
            fix="give, for instance, --sound sample_rate=8000,window=512,hop=256,mel_bands=32 --split folders",
        ) from None  # fmt: skip


def _number(key: str, value: str) -> float:
    return float(value) if key in ("lowest_hz", "highest_hz", "range_db") else int(value)
