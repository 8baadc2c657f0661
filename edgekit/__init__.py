"""EdgeKit: image-embedding backbones from PyTorch to phones, and proof that nothing was lost on the way.

The functions here are the commands of `edgekit`, and the types what they take and give. Nothing is imported before it
is used; nothing is said about progress unless a reporter is given.
"""

from __future__ import annotations

from importlib import import_module

from edgekit.support.version import VERSION as __version__

TYPE_CHECKING = False  # of `typing`, which takes several times as long to import as this module

if TYPE_CHECKING:
    from edgekit.artifact.check import check_parity
    from edgekit.artifact.embeddings import Embeddings, run
    from edgekit.artifact.open import Artifact, open_artifact
    from edgekit.bench.drivers.base import Outcome
    from edgekit.bench.measure import measure
    from edgekit.bench.request import BenchRequest
    from edgekit.bisect.report import BisectReport
    from edgekit.bisect.run import BisectRequest, bisect_artifact
    from edgekit.distillation.run import DistillRequest, DistillResult, distill
    from edgekit.embedding.file import EmbeddingFile, read_embeddings
    from edgekit.embedding.run import EmbedRequest, EmbedResult, embed
    from edgekit.errors import EdgeKitError
    from edgekit.evaluation.compare import CompareRequest, compare
    from edgekit.evaluation.compare_page import write_compare_page
    from edgekit.evaluation.compare_report import CompareReport
    from edgekit.evaluation.compatibility import CompatibilityReport, CompatibilityRequest, evaluate_compatibility
    from edgekit.evaluation.compatibility_page import write_compatibility_page
    from edgekit.evaluation.drift import DriftRequest, evaluate_drift
    from edgekit.evaluation.drift_page import write_drift_page
    from edgekit.evaluation.drift_report import DriftReport
    from edgekit.evaluation.generative.page import write_generative_page
    from edgekit.evaluation.generative.report import GenerativeReport
    from edgekit.evaluation.generative.request import GenerativeRequest
    from edgekit.evaluation.generative.run import evaluate_generative
    from edgekit.evaluation.retrieval import RetrievalRequest, evaluate_retrieval
    from edgekit.evaluation.retrieval_page import write_retrieval_page
    from edgekit.evaluation.retrieval_report import RetrievalReport
    from edgekit.experiment.analyze import analyze_experiment
    from edgekit.experiment.canary import CanaryRequest, CanaryResult, judge_canary
    from edgekit.experiment.metric import ExperimentMetric
    from edgekit.experiment.pages import write_analysis_page, write_canary_page, write_plan_page
    from edgekit.experiment.plan import ExperimentPlan, ExperimentPlanRequest, plan_experiment
    from edgekit.experiment.request import ExperimentRequest
    from edgekit.experiment.result import ExperimentResult
    from edgekit.parity.report import ParityReport
    from edgekit.pipeline import Export, ExportRequest, ExportResult, export
    from edgekit.project.write import ProjectRequest, ProjectResult, write_project
    from edgekit.quantization.make import QuantizeRequest, QuantizeResult, quantize
    from edgekit.quantization.plan import Plan
    from edgekit.quantization.store import read_plan
    from edgekit.recipe.recipe import Recipe, resolve_model
    from edgekit.release.package import PackageRequest, PackageResult, package
    from edgekit.release.reasons import Refused
    from edgekit.release.sign import Signed, SignRequest, sign
    from edgekit.release.verify import Verified, VerifyRequest, verify
    from edgekit.runtimes.check import RuntimesRequest, check_runtimes
    from edgekit.runtimes.report import RuntimesReport
    from edgekit.support.progress import Reporter, Stages
    from edgekit.web.demo import DemoRequest, DemoResult, demo

__all__ = [
    "Artifact",
    "BenchRequest",
    "BisectReport",
    "BisectRequest",
    "CanaryRequest",
    "CanaryResult",
    "CompareReport",
    "CompareRequest",
    "CompatibilityReport",
    "CompatibilityRequest",
    "DemoRequest",
    "DemoResult",
    "DistillRequest",
    "DistillResult",
    "DriftReport",
    "DriftRequest",
    "EdgeKitError",
    "EmbedRequest",
    "EmbedResult",
    "EmbeddingFile",
    "Embeddings",
    "ExperimentMetric",
    "ExperimentPlan",
    "ExperimentPlanRequest",
    "ExperimentRequest",
    "ExperimentResult",
    "Export",
    "ExportRequest",
    "ExportResult",
    "GenerativeReport",
    "GenerativeRequest",
    "Outcome",
    "PackageRequest",
    "PackageResult",
    "ParityReport",
    "Plan",
    "ProjectRequest",
    "ProjectResult",
    "QuantizeRequest",
    "QuantizeResult",
    "Recipe",
    "Refused",
    "Reporter",
    "RetrievalReport",
    "RetrievalRequest",
    "RuntimesReport",
    "RuntimesRequest",
    "SignRequest",
    "Signed",
    "Stages",
    "Verified",
    "VerifyRequest",
    "__version__",
    "analyze_experiment",
    "bisect_artifact",
    "check_parity",
    "check_runtimes",
    "compare",
    "demo",
    "distill",
    "embed",
    "evaluate_compatibility",
    "evaluate_drift",
    "evaluate_generative",
    "evaluate_retrieval",
    "export",
    "judge_canary",
    "measure",
    "open_artifact",
    "package",
    "plan_experiment",
    "quantize",
    "read_embeddings",
    "read_plan",
    "resolve_model",
    "run",
    "sign",
    "verify",
    "write_analysis_page",
    "write_canary_page",
    "write_compare_page",
    "write_compatibility_page",
    "write_drift_page",
    "write_generative_page",
    "write_plan_page",
    "write_project",
    "write_retrieval_page",
]

_NAMES = {
    "artifact.check": "check_parity",
    "artifact.embeddings": "Embeddings run",
    "artifact.open": "Artifact open_artifact",
    "bench.drivers.base": "Outcome",
    "bench.measure": "measure",
    "bench.request": "BenchRequest",
    "bisect.report": "BisectReport",
    "bisect.run": "BisectRequest bisect_artifact",
    "distillation.run": "DistillRequest DistillResult distill",
    "embedding.file": "EmbeddingFile read_embeddings",
    "embedding.run": "EmbedRequest EmbedResult embed",
    "errors": "EdgeKitError",
    "evaluation.compare": "CompareRequest compare",
    "evaluation.compare_page": "write_compare_page",
    "evaluation.compare_report": "CompareReport",
    "evaluation.compatibility": "CompatibilityReport CompatibilityRequest evaluate_compatibility",
    "evaluation.compatibility_page": "write_compatibility_page",
    "evaluation.drift": "DriftRequest evaluate_drift",
    "evaluation.drift_page": "write_drift_page",
    "evaluation.drift_report": "DriftReport",
    "evaluation.generative.page": "write_generative_page",
    "evaluation.generative.report": "GenerativeReport",
    "evaluation.generative.request": "GenerativeRequest",
    "evaluation.generative.run": "evaluate_generative",
    "evaluation.retrieval": "RetrievalRequest evaluate_retrieval",
    "evaluation.retrieval_page": "write_retrieval_page",
    "evaluation.retrieval_report": "RetrievalReport",
    "experiment.analyze": "analyze_experiment",
    "experiment.canary": "CanaryRequest CanaryResult judge_canary",
    "experiment.metric": "ExperimentMetric",
    "experiment.pages": "write_analysis_page write_canary_page write_plan_page",
    "experiment.plan": "ExperimentPlan ExperimentPlanRequest plan_experiment",
    "experiment.request": "ExperimentRequest",
    "experiment.result": "ExperimentResult",
    "parity.report": "ParityReport",
    "pipeline": "Export ExportRequest ExportResult export",
    "project.write": "ProjectRequest ProjectResult write_project",
    "quantization.make": "QuantizeRequest QuantizeResult quantize",
    "quantization.plan": "Plan",
    "quantization.store": "read_plan",
    "recipe.recipe": "Recipe resolve_model",
    "release.package": "PackageRequest PackageResult package",
    "release.reasons": "Refused",
    "release.sign": "SignRequest Signed sign",
    "release.verify": "Verified VerifyRequest verify",
    "runtimes.check": "RuntimesRequest check_runtimes",
    "runtimes.report": "RuntimesReport",
    "support.progress": "Reporter Stages",
    "web.demo": "DemoRequest DemoResult demo",
}
_MODULES = {name: f"edgekit.{module}" for module, names in _NAMES.items() for name in names.split()}


if not TYPE_CHECKING:  # which would take every name for one that is there

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
