"""bom.cdx.json: a CycloneDX 1.7 bill of materials of a bundle's models, checked with the library's own schema."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from edgekit.errors import EdgeKitError, MissingDependencyError
from edgekit.release.licenses import is_listed
from edgekit.release.material import Given, Subject
from edgekit.support.text import reason_of, shown

if TYPE_CHECKING:
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License

__all__ = ["FILENAME", "bill_of_materials", "check_bom"]

FILENAME: Final = "bom.cdx.json"
_VENDOR: Final = "edgekit:"  # what a property's name begins with, as CycloneDX asks of each vendor


def bill_of_materials(subject: Subject, created: str | None) -> str:
    """The bill's text: each model with its files, hashes, precision, scheme, data sets and figures. Equal subjects give
    equal bytes: the serial number is made of the content, and there is no time but SOURCE_DATE_EPOCH's.

    Raises:
        MissingDependencyError: cyclonedx-python-lib is not installed.
        EdgeKitError: the bill is not one by the library's schema, which is a mistake of EdgeKit's.
    """
    try:
        from cyclonedx.output.json import JsonV1Dot7
    except ImportError as error:
        raise MissingDependencyError("cyclonedx-python-lib is not installed; pip install 'edgekit[release]'") from error
    content: dict[str, Any] = json.loads(JsonV1Dot7(_bom(subject)).output_as_string())
    cards = {f"model:{given.folder.name}": _model_card(subject, given) for given in subject.given}
    for component in content["components"]:
        component["modelCard"] = cards[component["bom-ref"]]  # which the library does not model yet
    content["metadata"].pop("timestamp", None)
    if created is not None:
        content["metadata"]["timestamp"] = created
    content.pop("serialNumber", None)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    content["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'sha256:{digest}')}"
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    if fault := check_bom(text):
        raise EdgeKitError(f"{FILENAME}: not a bill of materials by the schema of CycloneDX 1.7 ({fault})")
    return text


def check_bom(text: str) -> str | None:
    """What is wrong with a bill by the strict schema of CycloneDX 1.7, in one line; None where nothing is.

    Raises:
        MissingDependencyError: what checks it is not installed.
    """
    try:
        from cyclonedx.exception import MissingOptionalDependencyException
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator

        fault = JsonStrictValidator(SchemaVersion.V1_7).validate_str(text)
    except (ImportError, MissingOptionalDependencyException) as error:
        raise MissingDependencyError(
            "cyclonedx-python-lib cannot check JSON; pip install 'edgekit[release]'"
        ) from error
    return None if fault is None else reason_of(Exception(str(fault)), 200)


def _bom(subject: Subject) -> Bom:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository

    whole = Component(
        name=subject.name,
        version=subject.version,
        type=ComponentType.APPLICATION,
        bom_ref="bundle",
        description=subject.description,
        properties=_properties(kind=subject.kind, space=subject.space),
    )
    tools = {"edgekit": subject.manifest.edgekit}
    for given in subject.given:
        tools |= given.manifest.toolchain
    used = [
        Component(name=name, version=version, type=ComponentType.LIBRARY, bom_ref=f"tool:{name}")
        for name, version in sorted(tools.items())
    ]
    bom = Bom(
        metadata=BomMetaData(component=whole, tools=ToolRepository(components=used)),
        components=(_component(subject, given) for given in subject.given),
    )
    bom.register_dependency(whole, bom.components)
    return bom


def _component(subject: Subject, given: Given) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    manifest, name = given.manifest, given.folder.name
    scheme = (manifest.quantization or {}).get("scheme")
    facts = {
        "format": manifest.target.format,
        "target": manifest.target.name,
        "precision": manifest.precision,
        "quantization-scheme": "none" if scheme is None else scheme,
    }
    files = [
        Component(
            name=f"{name}/{entry.path}",
            type=ComponentType.FILE,
            bom_ref=f"file:{name}/{entry.path}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=entry.sha256)],
            properties=_properties(bytes=entry.bytes, **facts),
        )
        for entry in given.model_files
    ]
    figures = [
        f"{figure.obtained} {figure.verdict}, min cosine {figure.min_cosine} on {figure.images} images"
        for figure in given.figures
    ]
    return Component(
        name=name,
        version=subject.version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{name}",
        description=subject.description,
        licenses=[_license(subject.license)],
        components=files,
        properties=[
            *_properties(**facts, space=subject.space, **{"weights-sha256": manifest.weights.sha256 or "none"}),
            *(one for figure in figures for one in _properties(parity=figure)),
        ],
    )


def _license(name: str) -> License:
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
    from cyclonedx.spdx import is_expression

    if is_listed(name):
        return DisjunctiveLicense(id=name)
    if is_expression(name):
        return LicenseExpression(value=name)
    return DisjunctiveLicense(name=shown(name, 200))


def _properties(**values: object) -> Iterable[Property]:
    from cyclonedx.model import Property

    return [Property(name=f"{_VENDOR}{name}", value=shown(str(value), 500)) for name, value in values.items()]


def _model_card(subject: Subject, given: Given) -> dict[str, Any]:
    manifest, card = given.manifest, subject.card
    model = manifest.recipe.get("model")
    backbone = str(model.get("backbone")) if isinstance(model, dict) else "unknown"
    parameters: dict[str, Any] = {
        "task": "image embedding",
        "modelArchitecture": shown(backbone, 200),
        "inputs": [{"format": shown(f"{manifest.input.layout}, {manifest.input.dtype}", 200)}],
        "outputs": [{"format": f"{manifest.embedding.dtype}, {manifest.embedding.dim} values"}],
    }
    metrics = [
        {"type": f"min cosine to the original ({figure.obtained})", "value": f"{figure.min_cosine:.7f}",
         "slice": f"{figure.images} images, {shown(str(figure.runtime), 100)}"}
        for figure in given.figures
        if figure.min_cosine is not None
    ]  # fmt: skip
    if card is not None:
        parameters["datasets"] = [_data_set(one.name, one.photos, one.sha256) for one in card.data]
        metrics += [
            {"type": name, "value": f"{value:.6g}", **({"slice": on} if on else {})} for name, on, value in card.metrics
        ]
    if manifest.parity.dataset is not None:
        used = parameters.setdefault("datasets", [])
        used.append(
            _data_set(manifest.parity.dataset, manifest.parity.images, manifest.parity.dataset_sha256, "parity")
        )
    return {
        "modelParameters": parameters,
        "quantitativeAnalysis": {"performanceMetrics": metrics},
        "considerations": {
            "useCases": ["Comparing pictures by the cosine of their embeddings."],
            "technicalLimitations": [shown(f"{one.where}: {one.effect}", 500) for one in manifest.hazards],
        },
    }


def _data_set(name: str, images: int, sha256: str | None, use: str = "training") -> dict[str, Any]:
    facts = [{"name": f"{_VENDOR}images", "value": str(images)}]
    if sha256 is not None:
        facts.append({"name": f"{_VENDOR}sha256", "value": sha256})
    return {"type": "dataset", "name": shown(name, 200), "description": use, "contents": {"properties": facts}}
