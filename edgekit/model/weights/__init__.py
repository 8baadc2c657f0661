"""Weights from files nobody vouches for: read without running their code, fitted to the model by name and shape."""

from __future__ import annotations

from edgekit.model.weights.files import files_of, is_index
from edgekit.model.weights.take import Taken, apply_state_dict, load_weights

__all__ = ["Taken", "apply_state_dict", "files_of", "is_index", "load_weights"]
