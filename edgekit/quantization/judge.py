"""What a choice of schemes costs the embedding: cosine and retrieval, on images that ranges were not taken from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.data.images import Picture
from edgekit.metrics.retrieval import cosine, recall
from edgekit.quantization.calibrate import pixels_of
from edgekit.quantization.simulate import Simulator
from edgekit.support.threads import in_turn

__all__ = ["Judge", "Loss", "recall_drops"]

_K = 10


@dataclass(frozen=True)
class Loss:
    """Cosines of quantized embeddings to the float ones, and points of recall@10 lost, plain and mixed.

    A drop is None where the images have no labels, or too few to say. `missed` is the image that ended the judging.
    """

    min_cosine: float
    mean_cosine: float
    recall_drop: float | None = None
    mixed_drop: float | None = None
    missed: int | None = None

    def meets(self, min_cosine: float, max_recall_drop: float) -> bool:
        """Whether both limits are kept; a drop that is not known keeps its limit."""
        drops = [drop for drop in (self.recall_drop, self.mixed_drop) if drop is not None]
        return self.min_cosine >= min_cosine and all(drop <= max_recall_drop for drop in drops)


class Judge:
    """Images, their float embeddings, and what becomes of them under any choice of schemes."""

    def __init__(
        self, simulator: Simulator, data: Iterable[Picture], progress: Callable[[int], None] = lambda done: None
    ):
        pictures = list(data)
        self._simulator = simulator
        self._labels = [picture.label for picture in pictures]
        self.images = [pixels_of(picture.image) for picture in pictures]
        rows = []
        for row in in_turn(lambda pixels: simulator.embed(pixels, {}).numpy(), self.images):
            rows.append(row)
            progress(len(rows))
        self.original = np.concatenate(rows)

    def cosines(self, schemes: Mapping[str, str], progress: Callable[[int], None] = lambda done: None) -> np.ndarray:
        """The cosine [N] that each image keeps under `schemes`, by layer."""
        cosines = []
        for _, _, own in self._each(schemes, range(len(self.images))):
            cosines.append(own)
            progress(len(cosines))
        return np.array(cosines)

    def worst(self, schemes: Mapping[str, str], which: Sequence[int], least: float) -> float:
        """The lowest cosine under `schemes` among the images `which`, in this order; the first that is below `least`
        is given at once.
        """
        lowest = 1.0
        for _, _, similarity in self._each(schemes, which):
            lowest = min(lowest, similarity)
            if lowest < least:
                break
        return lowest

    def loss(self, schemes: Mapping[str, str], first: Sequence[int] = (), least: float = -1.0) -> Loss:
        """What `schemes` lose against float, on all images.

        Args:
            schemes: by layer.
            first: images to begin with.
            least: the first image whose cosine is lower ends it; the loss is then of the images so far.
        """
        order = [*first, *sorted(set(range(len(self.images))) - set(first))]
        rows, cosines = np.empty_like(self.original), []
        for index, row, similarity in self._each(schemes, order):
            rows[index] = row
            cosines.append(similarity)
            if similarity < least:
                return Loss(cosines[-1], float(np.mean(cosines)), missed=index)
        return Loss(min(cosines), float(np.mean(cosines)), *self._drops(rows))

    def _each(self, schemes: Mapping[str, str], which: Iterable[int]) -> Iterator[tuple[int, np.ndarray, float]]:
        """Of each image `which`: its number, its embedding [D] under `schemes`, and the cosine that it keeps."""

        def embed(index: int) -> tuple[int, np.ndarray, float]:
            row = self._simulator.embed(self.images[index], schemes).numpy()
            return index, row[0], float(cosine(row, self.original[[index]])[0])

        return in_turn(embed, which)

    def _drops(self, rows: np.ndarray) -> tuple[float, float] | tuple[None, None]:
        if None in self._labels or len(set(self._labels)) < 2:
            return None, None
        return recall_drops(rows, self.original, self._labels)


def recall_drops(quantized: np.ndarray, original: np.ndarray, labels: Sequence) -> tuple[float, float]:
    """Points of recall@10 that `quantized` [N,D] loses against `original` [N,D]: alone, and in its gallery."""
    at = [
        recall(query, gallery, labels, labels, at=(_K,), exclude_self=True).at[_K]
        for query, gallery in ((original, original), (quantized, quantized), (quantized, original))
    ]
    return 100 * (at[0] - at[1]), 100 * (at[0] - at[2])
