"""EdgeKit: image-embedding backbones from PyTorch to phones, and proof that nothing was lost on the way."""

__version__ = "0.1.0"

__all__ = ["__version__"]
