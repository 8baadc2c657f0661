"""What training code puts around a model or does to it, taken off: the module itself, in float32, and its own input."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any

import torch
from torch import nn

from edgekit.errors import ModelError

__all__ = ["call_with", "drop_fake_quantization", "image_part", "own_input", "unwrap", "widen"]

# By the name of a class in the wrapper's ancestry, because most come from packages that need not be here.
_INNER = {
    "OptimizedModule": ("_orig_mod",),  # torch.compile
    "DataParallel": ("module",),
    "DistributedDataParallel": ("module",),  # torch's and apex's
    "AveragedModel": ("module",),  # torch.optim.swa_utils
    "ModelEma": ("ema", "module"),  # timm
    "ModelEmaV2": ("module",),
    "ModelEmaV3": ("module",),
    "EMA": ("ema_model",),  # ema_pytorch
    "DeepSpeedEngine": ("module",),
}
_ANYWHERE = ("OptimizedModule", "DataParallel", "DistributedDataParallel")  # transparent where a part is wrapped, too
_INSIDE = ("model", "backbone", "net", "network", "encoder", "module")  # of a container that has no forward of its own
_SHARDED = ("FullyShardedDataParallel", "FSDPModule")
_INT8 = tuple(f"torch.{place}.quantized" for place in ("ao.nn", "ao.nn.intrinsic", "nn", "nn.intrinsic"))
_IMITATIONS = ("FakeQuantizeBase", "FakeQuantizerBase", "ObserverBase")  # of torch.ao.quantization and torchao
# What models of images and text call the part that sees the image.
_TOWERS = ("vision_model", "vision_tower", "vision_encoder", "image_encoder", "image_model", "visual", "visual_encoder")
_IMAGE = ("pixel_values", "image", "images", "img", "imgs", "pixels")


def unwrap(module: nn.Module, name: str) -> tuple[nn.Module, list[str]]:
    """The module within all wrappers, its compiled parts as they were written; and what was taken off, outermost first.

    `name` is what the user typed; errors quote it. Raises ModelError for a wrapper that cannot be seen through:
    TorchScript, sharded weights, no forward.
    """
    taken: list[str] = []
    while (inner := _inner(module, name)) is not None:
        taken.append(type(module).__name__)
        module = inner
    _refuse(module, name)
    for part in list(module.modules()):
        for child_name, child in list(part.named_children()):
            inner = child
            while inner is not None and _kind(inner) in _ANYWHERE:
                inner = _inner(inner, name)
            if inner is not child:
                setattr(part, child_name, inner)
                taken.append(f"{type(child).__name__} of {child_name!r}")
        part._compiled_call_impl = None  # module.compile()
        written = getattr(part.__dict__.get("forward"), "_torchdynamo_orig_callable", None)
        if written is not None:  # module.forward = torch.compile(module.forward)
            if isinstance(written, MethodType) and written.__self__ is part:
                del part.forward
            else:
                part.forward = written
    return module, taken


def drop_fake_quantization(module: nn.Module) -> int:
    """Put the identity in place of what only imitates or observes int8, in place. Returns how many there were."""
    imitations = [
        (part, name)
        for part in module.modules()
        for name, child in part.named_children()
        if any(cls.__name__ in _IMITATIONS for cls in type(child).__mro__)
    ]
    for part, name in imitations:
        setattr(part, name, nn.Identity())
    return len(imitations)


def widen(module: nn.Module, name: str) -> list[str]:
    """Put all weights in dense float32 and in this machine's memory, in place. Returns the kinds that were changed.

    Raises ModelError for weights that have no values yet.
    """
    tensors = [*module.parameters(), *module.buffers()]
    if any(tensor.device.type == "meta" for tensor in tensors):
        raise ModelError(f"{name!r} has weights without values (the meta device): load them in the factory")
    packed = _unpack(module)
    tensors = [*module.parameters(), *module.buffers()]
    attributes = ((part, key, value) for part in module.modules() for key, value in part.__dict__.items())
    plain = [row for row in attributes if isinstance(row[2], torch.Tensor)]  # which `module.float()` does not see
    changed = {
        str(value.dtype).removeprefix("torch.")
        for value in (*tensors, *(value for _, _, value in plain))
        if value.is_floating_point() and value.dtype is not torch.float32
    }
    away = any(tensor.device.type != "cpu" for tensor in tensors)
    if changed or away:
        module.to("cpu").float()
    for part, key, value in plain:
        if value.is_floating_point() and value.dtype is not torch.float32:
            part.__dict__[key] = value.float()
    return sorted(changed | packed)


def own_input(module: nn.Module) -> dict[str, Any]:
    """What the module, or the one configured model in it, says of its images: keys of `InputSpec` and `channels`."""
    inputs: list[dict[str, Any]] = []
    depth = 0
    for path, part in module.named_modules():
        level = path.count(".") + bool(path)
        if inputs and level > depth:
            continue
        said = _configured(part)
        if said and (not inputs or level < depth):
            inputs, depth = [said], level
        elif said and said not in inputs:
            inputs.append(said)
    return inputs[0] if len(inputs) == 1 else {}


def call_with(module: nn.Module, name: str) -> str | None:
    """The keyword under which the module's forward takes the image; None where it is the first argument.

    Raises ModelError where forward asks for more than an image.
    """
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return None
    named = [item for item in parameters if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)]
    first = next((item for item in parameters if item.kind is not item.VAR_KEYWORD), None)
    image = next((item.name for item in named if item.name in _IMAGE), None)
    keyword = None
    if image is not None and (first is None or first.name != image or first.kind is first.KEYWORD_ONLY):
        keyword = image
    elif first is None and parameters:
        keyword = _IMAGE[0]  # forward(**kwargs), as transformers' wrappers have
    taken = keyword or (first.name if first is not None else "")
    needed = [item.name for item in named if item.default is item.empty and item.name != taken]
    if needed:
        raise ModelError(
            f"{name!r} needs {', '.join(needed)} besides the image: give a module whose forward takes one image"
            f"{image_part(module)}"
        )
    return keyword


def image_part(module: nn.Module) -> str:
    """Advice where a part of the module goes by a name that image towers have; else nothing."""
    part = next((path for path, _ in module.named_modules() if path.rpartition(".")[2] in _TOWERS), None)
    return "" if part is None else f"; its part {part!r} may be what sees the image: return that from the factory"


def _kind(module: nn.Module) -> str:
    return next((cls.__name__ for cls in type(module).__mro__ if cls.__name__ in _INNER), "")


def _inner(module: nn.Module, name: str) -> nn.Module | None:
    kind = _kind(module)
    if kind:
        return next((m for key in _INNER[kind] if isinstance(m := getattr(module, key, None), nn.Module)), None)
    if not isinstance(module, torch.jit.ScriptModule) and not _has_forward(module):
        children = dict(module.named_children())
        named = [children[key] for key in _INSIDE if key in children]
        for parts in (named, [*children.values()]):
            if len(parts) == 1:
                return parts[0]
        raise ModelError(
            f"{name!r} gives a {type(module).__name__} without a forward: "
            f"return the part that embeds, of {', '.join(children) or 'none'}"
        )
    return None


def _has_forward(module: nn.Module) -> bool:
    written = getattr(type(module).forward, "__module__", None) or ""  # None: generated by torch.fx
    unwritten = ("pytorch_lightning.", "lightning.")  # whose base class only passes the call on to torch's
    own = type(module).forward is not nn.Module.forward and not written.startswith(unwritten)
    return own or "forward" in module.__dict__


def _refuse(module: nn.Module, name: str) -> None:
    for path, part in module.named_modules():
        where = f" (part {path!r})" if path else ""
        if isinstance(part, torch.jit.ScriptModule):
            raise ModelError(
                f"{name!r} is a TorchScript program{where}, which has no Python code to trace: "
                "return the module from which it was scripted, with its state dict loaded"
            )
        if any(cls.__module__.startswith(_INT8) for cls in type(part).__mro__):
            raise ModelError(
                f"{name!r} is quantized to int8 already{where or f' ({type(part).__name__})'}: return the float model, "
                "which `edgekit quantize` takes"
            )
        if any(cls.__name__ in _SHARDED for cls in type(part).__mro__):
            raise ModelError(
                f"{name!r} is sharded by FSDP{where}: gather its weights (get_model_state_dict with "
                "full_state_dict=True) and load them into the plain module"
            )


def _unpack(module: nn.Module) -> set[str]:
    """Put plain tensors in place of sparse ones and of torchao's. Returns the kinds that were there."""
    kinds: set[str] = set()
    dense: dict[int, Any] = {}  # tied weights stay tied
    for part in module.modules():
        for table in (part._parameters, part._buffers, part.__dict__):
            for key, value in table.items():
                if not isinstance(value, torch.Tensor) or not (kind := _packing(value)):
                    continue
                kinds.add(kind)
                if id(value) not in dense:
                    plain = value.detach().to_dense() if kind == "sparse" else value.detach().dequantize()
                    dense[id(value)] = nn.Parameter(plain, False) if table is part._parameters else plain
                table[key] = dense[id(value)]
    return kinds


def _packing(tensor: torch.Tensor) -> str:
    """What keeps a tensor from being one of plain numbers; "" where nothing does."""
    if tensor.is_quantized or type(tensor).dequantize is not torch.Tensor.dequantize:
        return type(tensor).__name__ if type(tensor) is not torch.Tensor else "quantized"
    return "" if tensor.layout is torch.strided else "sparse"


def _configured(module: nn.Module) -> dict[str, Any]:
    return next((said for read in _CONFIGURATIONS if (said := read(module))), {})


def _timm(module: nn.Module) -> dict[str, Any]:
    import timm.data

    config = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None)
    if not isinstance(config, Mapping) or not config:
        return {}
    config = timm.data.resolve_model_data_config(module, pretrained_cfg=dict(config))
    channels, *size = config["input_size"]
    built_for = _pair(getattr(getattr(module, "patch_embed", None), "img_size", None))  # img_size of create_model
    keys = ("mean", "std", "interpolation", "crop_pct", "crop_mode")
    said = {key: config[key] for key in keys if key in config}
    return said | {"size": built_for or tuple(size), "channels": channels}


def _open_clip(module: nn.Module) -> dict[str, Any]:
    """open_clip's towers: `image_size`, `image_mean`, `image_std`."""
    size, mean, std = (getattr(module, key, None) for key in ("image_size", "image_mean", "image_std"))
    if mean is None or std is None:
        return {}
    said: dict[str, Any] = {"mean": tuple(mean), "std": tuple(std)}
    return said | ({"size": _pair(size)} if _pair(size) else {})


def _transformers(module: nn.Module) -> dict[str, Any]:
    """transformers' vision models: `config.image_size`; the mean and std are in a file of their own."""
    config = getattr(module, "config", None)
    config = getattr(config, "vision_config", None) or config
    size = _pair(getattr(config, "image_size", None))
    return {"size": size, "channels": getattr(config, "num_channels", 3)} if size else {}


def _pair(size: Any) -> tuple[int, int] | None:
    if isinstance(size, int) and not isinstance(size, bool):
        return size, size
    return (size[0], size[1]) if isinstance(size, (tuple, list)) and len(size) == 2 else None


_CONFIGURATIONS: tuple[Callable[[nn.Module], dict[str, Any]], ...] = (_timm, _open_clip, _transformers)
