"""Which lists a data set has, and the tokens that they are written in. Nothing here makes a list."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from suite.data.settings_text import checksum_with, read_values, refusal

# The place of a symbol is its token. 0 fills a list up to the longest length.
SYMBOLS = ("padding", *map(str, range(10)), "[MIN", "[MAX", "[MED", "[SM", "]")
PADDING = 0
FIRST_DIGIT = SYMBOLS.index("0")
FIRST_OPERATOR = SYMBOLS.index("[MIN")
OPERATORS = SYMBOLS[FIRST_OPERATOR:-1]
END = SYMBOLS.index("]")
CLASSES = 10  # the value of a list is a digit
MOST_TOKENS = 4096  # of a list
_MOST_BYTES = 2**31  # of all lists together; they are kept in memory
_EXAMPLE = "seed=0,min_length=32,max_length=128,train=10000,test=2000"


class ListOps(BaseModel):
    """The rule that generates the lists (arXiv 2011.04006, `lra_benchmarks/data/listops.py`).

    All of it is part of the data set's checksum.

    Attributes:
        seed: seeds the generator; None: the lists were read from files.
        min_length: lists have more tokens than this.
        max_length: lists have fewer tokens than this. It is also the length of the padded sequences.
        depth: at this depth, every element is a digit. The whole list is at depth 1.
        arguments: an operator has 2 to this many arguments.
        train: the number of training lists.
        test: the number of test lists.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    seed: int | None = Field(default=None, ge=0, lt=2**63)
    min_length: int = Field(ge=1, lt=MOST_TOKENS)
    max_length: int = Field(ge=1, le=MOST_TOKENS)
    depth: int = Field(default=10, ge=2, le=50)
    arguments: int = Field(default=10, ge=2, le=50)
    train: int = Field(ge=1, le=10_000_000)
    test: int = Field(ge=1, le=10_000_000)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.max_length < self.min_length + 2:
            raise ValueError("max_length of at least min_length + 2: lengths lie between the two")
        if self.max_length < 5:
            raise ValueError("max_length of at least 5: the shortest list has 4 tokens")
        if (self.train + self.test) * self.max_length > _MOST_BYTES:
            raise ValueError(f"(train + test) × max_length of at most {_MOST_BYTES:,}")
        if self.longest <= self.min_length:
            raise ValueError(
                f"min_length below {self.longest}, the tokens of the longest list of depth {self.depth} "
                f"with {self.arguments} arguments"
            )
        return self

    @property
    def longest(self) -> int:
        """The number of tokens of the longest list, at most `MOST_TOKENS`."""
        tokens = 1
        for _ in range(1, self.depth):
            tokens = min(MOST_TOKENS, 2 + self.arguments * tokens)
        return tokens

    @property
    def options(self) -> str:
        """The option of `lape data prepare` that generates these lists."""
        values = {key: value for key, value in self.model_dump().items() if value is not None}
        return "--listops " + ",".join(f"{key}={value}" for key, value in values.items())

    def checksum(self, arrays: str) -> str:
        """A data set's checksum: SHA-256 over these settings and the checksum of its arrays."""
        return checksum_with("listops", self.model_dump(mode="json"), arrays)


def parse_listops(text: str) -> ListOps:
    """The settings that the command line gives.

    text: KEY=NUMBER, separated by commas; `depth` and `arguments` may be left out.

    Raises:
        InputError: a key or a value is unknown, missing or out of its range, or no list has such a length.
    """
    try:
        return ListOps.model_validate(read_values(text, lambda key, value: int(value)))
    except ValueError as error:
        raise refusal(
            error, ListOps, text,
            what="the settings of the lists can't be used",
            expected="seed (unless the lists are read from files), min_length, max_length, train and test as "
            "KEY=NUMBER, separated by commas, and if wanted depth and arguments",
            where=f"--listops {text}",
            fix=f"give, for instance, --listops {_EXAMPLE}",
        ) from None  # fmt: skip
