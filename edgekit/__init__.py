"""EdgeKit: image-embedding backbones from PyTorch to phones, and proof that nothing was lost on the way."""

from edgekit.support.version import VERSION as __version__

__all__ = ["__version__"]
