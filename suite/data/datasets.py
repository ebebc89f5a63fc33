"""The data sets: their names, shapes and checksums. Nothing here reads an image or imports torch."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from suite.data.listops.settings import CLASSES, ListOps
from suite.data.regions.settings import Regions
from suite.data.segmentation.settings import Segmentation
from suite.data.sound.settings import Sound
from suite.data.tasks import TaskName
from suite.registry import Registry

MOST_NAME = 100  # characters of a name, which is also a folder's name
MOST_PIXELS = 4096  # of an image's side; a batch of larger images wouldn't fit in memory
_RULES = ("sound", "listops", "segmentation", "regions")  # keys that most data sets don't have
TOKEN_MEAN, TOKEN_STD = (0.0,), (1 / 255,)  # pixels are divided by 255: these give back the tokens


class Dataset(BaseModel):
    """A data set as a grid declares it.

    Attributes:
        checksum: SHA-256 of the prepared images and labels in canonical order (sorted by the SHA-256 of each image's
            pixels, then by label). The same images from any source are therefore the same data set.
        storage: "arrays" (uint8 arrays in the cache) or "folder" (an index; images are decoded when read).
        checksum_of: what the checksum covers. "images" is the default. "classes" is for data sets that may not be
            redistributed: the checksum covers the names of the class folders and the numbers of images, which are
            public. The files are then checked against the index that was made when they were prepared.
        sound: how recordings became these images; None for images. The checksum covers it.
        listops: the rule that generated these lists; None for images. The checksum covers it. A list is a sequence of
            tokens, stored as an image of one row: `image_size` is its length, and pixels are tokens.
        segmentation: the classes of the images' masks, and the rule that makes the splits; None for images without
            masks. The checksum covers it. A mask is stored as a last channel of its image: see `read_pairs`.
        regions: the rule that makes the splits of images with regions without classes; None for other images. The
            checksum covers it. Annotations are stored as further channels of their image: see `Regions`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=MOST_NAME)
    num_classes: int = Field(ge=1, le=1_000_000, description="of images with regions, 1: these have no classes")
    image_size: int = Field(
        ge=1, le=MOST_PIXELS, description="height and width in pixels; of sequences, the number of tokens"
    )
    channels: Literal[1, 3]
    train_images: int = Field(ge=1, lt=2**40)
    test_images: int = Field(ge=1, lt=2**40)
    mean: tuple[float, ...] = Field(strict=False, description="per channel, of pixels scaled to [0, 1]")
    std: tuple[float, ...] = Field(strict=False)
    checksum: str = Field(pattern=r"^[0-9a-f]{64}$")
    storage: Literal["arrays", "folder"] = "arrays"
    checksum_of: Literal["images", "classes"] = "images"
    source: str = ""
    sound: Sound | None = None
    listops: ListOps | None = None
    segmentation: Segmentation | None = None
    regions: Regions | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image. A sequence has one row."""
        return self.channels, 1 if self.listops else self.image_size, self.image_size

    @property
    def size_text(self) -> str:
        """The size of an image, such as "32×32×3", or of a sequence, such as "128 tokens"."""
        if self.listops:
            return f"{self.image_size} tokens"
        size = f"{self.image_size}×{self.image_size}×{self.channels}"
        rule = self.segmentation
        return size if rule is None or rule.height is None else f"{size} of up to {rule.width}×{rule.height}"

    @property
    def generated(self) -> bool:
        """Whether it is generated from a seed, so that nothing is downloaded or read."""
        return self.listops is not None and self.listops.seed is not None

    @property
    def windowed(self) -> bool:
        """Whether its images are larger than the model's input, which then is a crop or a window of an image."""
        return self.segmentation is not None and self.segmentation.height is not None

    @property
    def task(self) -> TaskName:
        """The task that its labels are of, a name in `TASKS`. Recordings and lists are classified as images are."""
        return "segmentation" if self.segmentation else "grouping" if self.regions else "classification"

    @property
    def items(self) -> str:
        """What its images are, in the plural."""
        of_images = "images with masks" if self.segmentation else "images with regions" if self.regions else "images"
        return "lists" if self.listops else of_images

    @property
    def guessed(self) -> float | None:
        """The accuracy of guessing, in percent; None for images without classes."""
        return None if self.regions else 100 / self.num_classes

    @property
    def summary(self) -> str:
        """The numbers of images, pixels, channels and classes, as a text."""
        answers = f"up to {self.regions.annotators} annotations" if self.regions else f"{self.num_classes} classes"
        return f"{self.train_images} + {self.test_images} {self.items}, {self.size_text}, {answers}"

    @property
    def description(self) -> str:
        """The summary and the source, in one line."""
        return f"{self.summary}; {self.source}"

    @property
    def options(self) -> str:
        """The options of `lape data prepare` that make a data set of the user's own so."""
        if self.sound is not None:
            return self.sound.options
        if self.listops is not None:
            return self.listops.options
        if self.segmentation is not None:
            return f"--image-size {self.image_size} {self.segmentation.options}"
        if self.regions is not None:
            return f"--image-size {self.image_size} {self.regions.options}"
        return f"--image-size {self.image_size}" + (" --storage folder" if self.storage == "folder" else "")

    def whole_checksum(self, arrays: str) -> str:
        """The checksum of this data set with arrays of that checksum."""
        masks = self.segmentation
        if masks is not None and masks.covers == "counts":
            return masks.counted(self.train_images, self.test_images, self.image_size, self.channels)
        rule = self.sound or self.listops or masks or self.regions
        return arrays if rule is None else rule.checksum(arrays)

    @model_validator(mode="after")
    def _a_value_per_channel(self) -> Self:
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.channels:
                raise ValueError(f"{name} with a value for each of {self.channels} channels")
        if min(self.std) <= 0:
            raise ValueError("std above zero in every channel")
        if self.checksum_of == "classes" and self.storage != "folder":
            raise ValueError("storage: folder for a checksum of classes")
        return self

    @model_validator(mode="after")
    def _as_the_spectrograms(self) -> Self:
        if self.sound is not None and (self.channels != 1 or self.image_size != self.sound.frames):
            raise ValueError("channels: 1 and an image_size of as many pixels as sound.frames")
        if self.sound is not None and (self.storage, self.checksum_of) != ("arrays", "images"):
            raise ValueError("storage: arrays and checksum_of: images for spectrograms")
        return self

    @model_validator(mode="after")
    def _as_the_lists(self) -> Self:
        lists = self.listops
        if lists is None:
            return self
        if self.sound is not None:
            raise ValueError("sound or listops, and not both")
        if (self.channels, self.image_size, self.num_classes) != (1, lists.max_length, CLASSES):
            raise ValueError(f"channels: 1, an image_size of listops.max_length, and num_classes: {CLASSES}")
        if (self.train_images, self.test_images) != (lists.train, lists.test):
            raise ValueError("as many train_images and test_images as listops.train and listops.test")
        if (self.mean, self.std) != (TOKEN_MEAN, TOKEN_STD):
            raise ValueError(f"mean: {[*TOKEN_MEAN]} and std: {[*TOKEN_STD]}, which keep tokens as they are")
        if (self.storage, self.checksum_of) != ("arrays", "images"):
            raise ValueError("storage: arrays and checksum_of: images for lists")
        return self

    @model_validator(mode="after")
    def _as_the_masks(self) -> Self:
        rule = self.segmentation
        if rule is None:
            return self
        if self.sound is not None or self.listops is not None:
            raise ValueError("one of sound, listops and segmentation")
        if self.num_classes != rule.classes:
            raise ValueError("num_classes of segmentation.classes")
        if rule.height is not None and rule.width is not None and self.image_size > min(rule.height, rule.width):
            raise ValueError("an image_size of at most segmentation.height and segmentation.width")
        if (self.storage, self.checksum_of) != ("arrays", "images"):
            raise ValueError("storage: arrays and checksum_of: images for images with masks")
        return self

    @model_validator(mode="after")
    def _as_the_regions(self) -> Self:
        if self.regions is None:
            if self.num_classes == 1:
                raise ValueError("num_classes of at least 2")
            return self
        if self.sound is not None or self.listops is not None or self.segmentation is not None:
            raise ValueError("one of sound, listops, segmentation and regions")
        if (self.num_classes, self.channels) != (1, 3):
            raise ValueError("num_classes: 1 and channels: 3 for images with regions")
        if (self.storage, self.checksum_of) != ("arrays", "images"):
            raise ValueError("storage: arrays and checksum_of: images for images with regions")
        return self

    @model_serializer(mode="wrap")
    def _without_rules(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """All values, but rules only where there are some: what was written before they existed stays the same."""
        values: dict[str, Any] = handler(self)
        return {key: value for key, value in values.items() if key not in _RULES or value is not None}


DATASETS: Registry[Dataset] = Registry("data set")

# mean and std are those of the published recipes. Where the training split gives other last digits, the recipe's values
# are kept, because they are part of what is reproduced. Labels are the official ones.

DATASETS.register(
    "digits",
    Dataset(
        name="digits",
        num_classes=10,
        image_size=8,
        channels=1,
        train_images=1195,  # the first two thirds of each class in canonical order
        test_images=602,
        mean=(0.3047,),
        std=(0.3756,),
        checksum="e273c8a917a8bb9806a9eead6b42de28f2b3f2c3f802f71cc7fd67fe393723ae",
        source="scikit-learn's copy of the UCI Optical Recognition of Handwritten Digits test set",
    ),
)
DATASETS.register(
    "fashion_mnist",
    Dataset(
        name="fashion_mnist",
        num_classes=10,
        image_size=28,
        channels=1,
        train_images=60000,
        test_images=10000,
        mean=(0.2860,),
        std=(0.3530,),
        checksum="e6919b9b1a4926bd594250f92f5af5e5c1a0d8a5d0d19f288cf6ea627ec03a8c",
        source="https://github.com/zalandoresearch/fashion-mnist",
    ),
)
DATASETS.register(
    "cifar10",
    Dataset(
        name="cifar10",
        num_classes=10,
        image_size=32,
        channels=3,
        train_images=50000,
        test_images=10000,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        checksum="16caae464d2d29ed65e24105e100137d156bc94d7857776b1707e4140529b17b",
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
)
DATASETS.register(
    "cifar100",
    Dataset(
        name="cifar100",
        num_classes=100,
        image_size=32,
        channels=3,
        train_images=50000,
        test_images=10000,
        mean=(0.5071, 0.4867, 0.4408),  # as in Compact Transformers' recipe; measured: 0.5071 0.4865 0.4409
        std=(0.2675, 0.2565, 0.2761),  # measured: 0.2673 0.2564 0.2762
        checksum="9b961fcba5bbf89c4989f2561e04aaec535b9589519ba56093d0960c9d6c36f5",
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
)
DATASETS.register(
    "imagenet1k",
    Dataset(
        name="imagenet1k",
        num_classes=1000,
        image_size=224,
        channels=3,
        train_images=1281167,
        test_images=50000,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        checksum="5a08c9f51d3152c55f2cb875f379e65a285a6f139fbc78be9937ed3099369885",
        storage="folder",
        checksum_of="classes",
        source="https://www.image-net.org, ILSVRC 2012: train/ and val/, with a folder per class in each",
    ),
)
