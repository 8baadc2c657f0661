"""The catalogue: listings and photos addressed by number, rendered on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgekit.data.catalog.backdrops import STYLES
from edgekit.data.catalog.camera import Levels, flatten
from edgekit.data.catalog.captions import write_captions
from edgekit.data.catalog.product import Identity, draw_product, make_identity
from edgekit.data.catalog.scene import draw_shot, photograph
from edgekit.data.catalog.shapes import SHAPES
from edgekit.errors import UsageError

__all__ = ["RENDERER", "Catalog", "Listing", "Photo", "Split"]

RENDERER = 1
"""Raised whenever the same seed would give other pixels."""

Split = Literal["test", "train"]

_SPLITS: tuple[Split, ...] = ("test", "train")
_SIZES = (16, 2048)


@dataclass(frozen=True)
class Listing:
    """What a shop would say about one product. `captions` maps a language code to a sentence."""

    index: int
    id: str
    category: str
    fine_category: str
    color: str
    material: str
    pattern: str
    captions: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Photo:
    """One picture of a listing: `image` is uint8 [H, W, 3] RGB, `style` is "seller" or "review"."""

    name: str
    listing: int
    photo: int
    style: str
    image: NDArray[np.uint8]


def _rng(purpose: int, split: Split, seed: int, listing: int, photo: int) -> np.random.Generator:
    return np.random.default_rng([RENDERER, purpose, _SPLITS.index(split), seed, listing, photo])


@lru_cache(maxsize=256)
def _identity(split: Split, seed: int, listing: int) -> Identity:
    return make_identity(_rng(0, split, seed, listing, 0))


@lru_cache(maxsize=16)
def _product(split: Split, seed: int, listing: int) -> Levels:
    return flatten(draw_product(_identity(split, seed, listing)))


class Catalog:
    """`listings` products with `photos` pictures each, `size` pixels square, the same for the same seed everywhere.

    Photo n of a listing does not depend on how many photos or listings there are, and is the same picture at every
    size up to resampling. Even photos are "seller" pictures, odd ones "review" pictures. The two splits draw from
    different random streams, so no listing of one is in the other. Raises UsageError for arguments out of range.
    """

    def __init__(
        self, listings: int = 100, photos: int = 2, *, seed: int = 0, size: int = 224, split: Split = "test"
    ) -> None:
        if listings < 1 or photos < 1:
            raise UsageError(f"a catalogue needs at least 1 listing and 1 photo, got {listings} and {photos}")
        if not _SIZES[0] <= size <= _SIZES[1]:
            raise UsageError(f"catalogue image size must be {_SIZES[0]} to {_SIZES[1]} pixels, got {size}")
        if not 0 <= seed < 2**32:
            raise UsageError(f"catalogue seed must be 0 to {2**32 - 1}, got {seed}")
        if split not in _SPLITS:
            raise UsageError(f"catalogue split must be one of {', '.join(_SPLITS)}, got {split!r}")
        self.listings, self.photos, self.seed, self.size, self.split = listings, photos, seed, size, split

    def __len__(self) -> int:
        return self.listings * self.photos

    def __iter__(self) -> Iterator[Photo]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Photo:
        """Photo `index` in listing-major order; raises IndexError past the end."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"photo {index} of a catalogue of {len(self)}")
        listing, photo = divmod(index % len(self), self.photos)
        style = STYLES[photo % 2]
        name = f"{self._id(listing)}/photo-{photo}-{style}.png"
        return Photo(name, listing, photo, style, self.render(listing, photo))

    def _id(self, listing: int) -> str:
        return f"listing-{listing:06d}"

    def identity(self, listing: int) -> Identity:
        """The drawing parameters behind a listing: ground truth for training."""
        if not 0 <= listing < self.listings:
            raise IndexError(f"listing {listing} of a catalogue of {self.listings}")
        return _identity(self.split, self.seed, listing)

    def listing(self, index: int) -> Listing:
        """What is said about listing `index`; raises IndexError past the end."""
        identity = self.identity(index)
        return Listing(
            index=index,
            id=self._id(index),
            category=SHAPES[identity.fine_category].category,
            fine_category=identity.fine_category,
            color=identity.color,
            material=identity.material,
            pattern=identity.pattern,
            captions=write_captions(identity.color, identity.pattern, identity.material, identity.fine_category),
        )

    def render(self, listing_index: int, photo_index: int) -> NDArray[np.uint8]:
        """Photo `photo_index` of listing `listing_index`: uint8 [size, size, 3] RGB.

        Any photo number from 0 may be asked for, not only those below `photos`.
        """
        if not 0 <= listing_index < self.listings or photo_index < 0:
            raise IndexError(f"photo {photo_index} of listing {listing_index} in a catalogue of {self.listings}")
        product = _product(self.split, self.seed, listing_index)
        rng = _rng(1, self.split, self.seed, listing_index, photo_index)
        return photograph(product, rng, STYLES[photo_index % 2], self.size)

    def lighting(self, listing_index: int, photo_index: int) -> str:
        """The light of a photo: dark, even or bright, as far as it was exposed for less or more than it should be."""
        rng = _rng(1, self.split, self.seed, listing_index, photo_index)
        return draw_shot(rng, STYLES[photo_index % 2]).lighting

    def digest(self) -> str:
        """sha256 (hex) of what defines the catalogue and of the pixels of a few of its photos."""
        facts = f"edgekit-catalog {RENDERER} {self.seed} {self.listings} {self.photos} {self.size} {self.split}"
        digest = hashlib.sha256(facts.encode())
        for index in sorted({0, len(self) // 3, len(self) // 2, len(self) - 1}):
            digest.update(self[index].image.tobytes())
        return digest.hexdigest()
