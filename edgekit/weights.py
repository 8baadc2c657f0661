"""State dicts from files nobody vouches for: read without running their code, checked, and matched key by key."""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import InputError
from edgekit.files import printable

if TYPE_CHECKING:
    import torch

__all__ = ["SUFFIXES", "apply_state_dict", "load_state_dict"]

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")  # averaged weights first, as timm prefers them
_PREFIXES = ("module.", "_orig_mod.")  # left by DataParallel and torch.compile
_HEADS = ("head", "head_dist", "fc", "classifier", "last_linear")


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors by name, on the CPU, from safetensors or from a .pt, .pth or .bin opened with weights_only.

    A checkpoint that holds its state dict under "state_dict_ema", "model_ema", "state_dict" or "model" (the first of
    these that is there) is unwrapped; the prefixes "module." and "_orig_mod." are taken off. dtypes stay as stored.
    Raises InputError, one line: missing or unreadable file, wrong extension, damaged file, a pickle that wants to run
    code (nothing of it is run), anything that is not a dense CPU tensor, NaN or infinite values.
    """
    path = Path(path)
    name = _shown(str(path))
    if not path.is_file():
        raise InputError(f"{name}: {'is not a regular file' if path.exists() else 'no such weights file'}")
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{name}: the name of a weights file must end in one of {', '.join(SUFFIXES)}")
    try:
        size = path.stat().st_size
        if size == 0:
            raise InputError("the file has 0 bytes")
        state = _safetensors(path) if path.suffix.lower() == ".safetensors" else _unwrap(_pickle(path))
        _check(state, size)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except Exception as error:  # both readers raise many types on damaged bytes
        reason = _shown(str(error).strip().split("\n")[0])[:160] or type(error).__name__
        raise InputError(f"{name}: damaged, or not what its suffix says ({reason}); fetch or save it again") from None
    return state


def _shown(text: str) -> str:
    return printable(text)[:300]


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return _without_prefix(load_file(path, device="cpu"))


def _pickle(path: Path) -> Any:
    import pickle

    import torch

    with path.open("rb") as stream:
        is_zip = stream.read(4) == b"PK\x03\x04"
    if is_zip:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        if any("/code/" in entry.filename for entry in entries):
            raise InputError("a TorchScript program, not a state dict; save model.state_dict()")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise InputError("a compressed archive, which torch.save never writes; save it again")
    elif tarfile.is_tarfile(path):  # torch.load would unpack it into a temporary folder
        raise InputError("a tar archive of an ancient torch; load and save it again")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)|[Uu]nsupported (?:global|class) ([\w.]+)", str(error))
        if wanted is None:  # torch's own text here advises to switch the protection off
            raise InputError("damaged, or not written by torch.save; fetch or save it again") from None
        what = wanted.group(1) or wanted.group(2)
        raise InputError(
            f"its pickle asks for code ({what}), which is refused and was not run; save the state dict as safetensors"
        ) from None


def _unwrap(content: Any) -> dict[str, torch.Tensor]:
    if not isinstance(content, Mapping):
        raise InputError(f"holds a {type(content).__name__}, not a state dict; save model.state_dict()")
    for key in _WRAPPERS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    return _without_prefix(content)


def _without_prefix(state: Mapping[Any, Any]) -> dict[str, Any]:
    result = dict(state)
    for prefix in _PREFIXES:
        if result and all(isinstance(key, str) and key.startswith(prefix) for key in result):
            result = {key.removeprefix(prefix): value for key, value in result.items()}
    return result


def _check(state: Mapping[Any, Any], size: int) -> None:
    import torch

    if not state:
        raise InputError("holds no tensors")
    bad = []
    for key, value in state.items():
        if not isinstance(key, str):
            raise InputError(f"has a key that is no text ({_shown(repr(key))}); save model.state_dict()")
        shown = _shown(key)
        if not isinstance(value, torch.Tensor):
            raise InputError(f"{shown!r} is of type {type(value).__name__}, not a tensor; save model.state_dict()")
        if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise InputError(f"{shown!r} is not a dense tensor in memory; save plain weights")
        if value.numel() * value.element_size() > size:  # stride 0 lets a few bytes claim any shape
            raise InputError(f"{shown!r} claims {list(value.shape)}, more values than the file holds")
        if value.is_floating_point() or value.is_complex():
            wide = value.float() if value.element_size() == 1 else value
            if not bool(torch.isfinite(wide).all()):
                bad.append(shown)
    if bad:
        raise InputError(f"NaN or infinite values in {len(bad)} of {len(state)} tensors, first {bad[0]!r}")


def apply_state_dict(module: torch.nn.Module, state: Mapping[str, torch.Tensor], *, source: str) -> list[str]:
    """Copy `state` into `module` (an Embedder, or any module), strictly, and return the keys that were dropped.

    Keys are those of the module or, when more of them match, those of its bare `backbone`; only then classifier heads
    that the backbone does not have ("head.*", "fc.*", "classifier.*" ...) are dropped. Values are cast to the
    parameters' dtype. Nothing is copied on an error.
    Raises InputError that names `source` and the first missing, unexpected and misshapen key with their counts.
    """
    import torch

    own = module.state_dict()
    backbone = getattr(module, "backbone", None)
    bare = backbone.state_dict() if isinstance(backbone, torch.nn.Module) else {}
    dropped: list[str] = []
    given = dict(state)
    if len(given.keys() & bare.keys()) > len(given.keys() & own.keys()):
        dropped = [key for key in given if key not in bare and key.split(".")[0] in _heads(backbone)]
        given = {f"backbone.{key}": value for key, value in given.items() if key not in dropped}

    # A BatchNorm's batch counter says nothing at inference, and old checkpoints lack it.
    missing = [key for key in own if key not in given and not key.endswith(".num_batches_tracked")]
    unexpected = [key for key in given if key not in own]
    misshapen = [key for key in given if key in own and given[key].shape != own[key].shape]
    wrong_kind = [key for key in given if key in own and given[key].is_floating_point() != own[key].is_floating_point()]
    problems = [
        f"{len(keys)} {what}, first {_shown(keys[0])!r}"
        for keys, what in ((missing, "missing"), (unexpected, "unexpected"))
        if keys
    ]
    if misshapen:
        key = misshapen[0]
        shapes = f"{list(given[key].shape)} in the file, {list(own[key].shape)} in the model"
        problems.append(f"{len(misshapen)} misshapen, first {_shown(key)!r}: {shapes}")
    if wrong_kind:
        key = wrong_kind[0]
        problems.append(f"{len(wrong_kind)} of another kind, first {_shown(key)!r}: {given[key].dtype}")
    if problems:
        raise InputError(f"{_shown(source)}: does not fit the model; keys {'; '.join(problems)}")
    module.load_state_dict(given, strict=False)
    return dropped


def _heads(backbone: Any) -> set[str]:
    named = (getattr(backbone, "pretrained_cfg", None) or {}).get("classifier") or ()
    names = (named,) if isinstance(named, str) else named
    return {*_HEADS, *(name.split(".")[0] for name in names)}
