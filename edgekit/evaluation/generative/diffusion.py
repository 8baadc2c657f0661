"""Pipelines of diffusers, from a folder or the hub: few steps, half precision where the device has it, no pickle."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import InputError, MissingDependencyError, ModelError
from edgekit.support.files import read_json, sha256_file
from edgekit.support.progress import Reporter
from edgekit.support.quiet import quiet
from edgekit.support.text import reason_of, shown

__all__ = ["Diffusion"]

_READ = ("*.json", "*.txt", "*.model", "*.safetensors")  # of a pipeline's folder; nothing else is fetched or hashed
_PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth")
_LIBRARIES = ("diffusers", "transformers")  # the libraries whose classes a pipeline may name


class Diffusion:
    """A text-to-image pipeline. The picture of a text follows from the text, the seed, and `key`.

    Raises:
        InputError: it is no pipeline, has no weights as safetensors, or brings code of its own.
        ModelError: it cannot be fetched.
        MissingDependencyError: diffusers is not installed.
    """

    languages = None  # what it understands is what it was trained on; it says of no text that it does not

    def __init__(self, name: str, seed: int, size: int | None, steps: int, guidance: float, reporter: Reporter) -> None:
        self._library()
        self._folder = _fetched(name, reporter) if name.startswith("hf-hub:") else Path(name)
        _check_pipeline(self._folder)
        self._seed, self._size, self._steps, self._guidance = seed, size, steps, guidance
        self._device, self._half = _device()
        with reporter.stage(f"hash {shown(self._folder.name)}"):
            digest = _sha256(self._folder)
        precision = "fp16" if self._half else "fp32"
        called = name.removeprefix("hf-hub:") if name.startswith("hf-hub:") else self._folder.resolve().name
        self.name = f"{shown(called, 80)}, seed {seed}, {steps} steps"
        self.key = f"diffusers {digest} {precision} seed={seed} steps={steps} guidance={guidance:g} size={size}"

    def draw(self, text: str, language: str) -> np.ndarray:
        """See `Generator`.

        Raises:
            ModelError: the pipeline fails, or gives what is no picture.
        """
        import torch

        words = hashlib.sha256(f"{self._seed}\0{text}".encode("utf-8", "surrogatepass")).digest()
        noise = torch.Generator("cpu").manual_seed(int.from_bytes(words[:7]))  # the same on every device
        size = {} if self._size is None else {"height": self._size, "width": self._size}
        try:
            with quiet("diffusers"), torch.inference_mode():
                made = self._pipeline(
                    text,
                    num_inference_steps=self._steps,
                    guidance_scale=self._guidance,
                    generator=noise,
                    output_type="np",
                    **size,
                ).images[0]
        except Exception as error:  # of any of the libraries below
            raise ModelError(f"{shown(self._folder.name)}: drawing failed ({reason_of(error, 200)})") from error
        if made.ndim != 3 or made.shape[2] != 3 or not np.isfinite(made).all():
            raise ModelError(f"{shown(self._folder.name)}: gives NaN, or no picture in three colours")
        return np.rint(np.clip(made, 0, 1) * 255).astype(np.uint8)

    @cached_property
    def _pipeline(self) -> Any:
        """Loaded when the first picture is drawn that is not there yet."""
        import torch

        diffusers = self._library()
        dtype = torch.float16 if self._half else torch.float32
        with quiet("diffusers"):
            pipeline = diffusers.DiffusionPipeline.from_pretrained(
                str(self._folder), torch_dtype=dtype, use_safetensors=True, local_files_only=True
            )
            pipeline.set_progress_bar_config(disable=True)
            return pipeline.to(self._device)

    @staticmethod
    def _library() -> Any:
        try:
            import diffusers
            import transformers
        except ImportError as error:
            raise MissingDependencyError(
                "drawing with a pipeline needs diffusers: run `pip install 'edgekit[diffusers]'`"
            ) from error
        assert transformers is not None
        return diffusers


def _device() -> tuple[str, bool]:
    """Where the pipeline runs, and whether in half precision."""
    import torch

    if torch.cuda.is_available():
        return "cuda", True
    if torch.backends.mps.is_available():
        return "mps", True
    return "cpu", False


def _fetched(name: str, reporter: Reporter) -> Path:
    from huggingface_hub import snapshot_download

    repository = name.removeprefix("hf-hub:")
    try:
        with reporter.stage(f"fetch {shown(repository, 80)}"), quiet("huggingface_hub"):
            return Path(snapshot_download(repository, allow_patterns=list(_READ)))
    except Exception as error:
        raise ModelError(
            f"cannot fetch {shown(repository, 80)!r}: {reason_of(error, 200)}; is the hub reachable? Give the folder "
            "of a pipeline as `generator` instead",
            field="generator",
        ) from error


def _files(folder: Path) -> list[Path]:
    return sorted(path for pattern in _READ for path in folder.rglob(pattern) if path.is_file())


def _check_pipeline(folder: Path) -> None:
    """Refuse what could run code of its own, before a library opens it."""
    where, index = shown(str(folder)), folder / "model_index.json"
    if not index.is_file():
        raise InputError(
            f"{where}: has no model_index.json; give the folder of a diffusers pipeline", field="generator"
        )
    content = read_json(index, max_bytes=1 << 20)
    if not isinstance(content, dict) or not isinstance(content.get("_class_name"), str):
        raise InputError(f"{where}: its model_index.json names no pipeline; save the pipeline again", field="generator")
    for name, value in content.items():
        if name.startswith("_") or not isinstance(value, list) or value == [None, None]:
            continue
        if len(value) != 2 or not all(isinstance(part, str) for part in value):
            raise InputError(f"{where}: model_index.json has no class for {shown(name, 60)!r}; save the pipeline again")
        if value[0] not in _LIBRARIES and not _is_pipeline_module(value[0]):
            raise InputError(
                f"{where}: {shown(name, 60)!r} is of {shown(value[0], 60)!r}, code that is not of diffusers or "
                "transformers and is not run; take a pipeline of theirs alone"
            )
        part = folder / name
        pickles = [path.name for path in sorted(part.glob("*")) if path.suffix in _PICKLES]
        if pickles and not any(part.glob("*.safetensors")):
            raise InputError(
                f"{where}: {shown(name, 60)} has its weights as a pickle alone ({shown(pickles[0], 60)}), which could "
                "run code; save the pipeline with safe_serialization=True"
            )


def _is_pipeline_module(library: str) -> bool:
    """Whether it is a package of diffusers' own pipelines, such as the checker of Stable Diffusion."""
    with quiet("diffusers"):
        from diffusers import pipelines

        return not library.startswith("_") and library in getattr(pipelines, "_import_structure", {})


def _sha256(folder: Path) -> str:
    """Of the names and contents of what is read; links are followed, of which the hub's cache is made."""
    digest = hashlib.sha256()
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + bytes.fromhex(sha256_file(path)))
    return digest.hexdigest()
