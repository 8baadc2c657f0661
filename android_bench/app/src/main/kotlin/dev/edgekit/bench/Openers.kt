package dev.edgekit.bench

import dev.edgekit.embedder.ExecuTorchModel
import dev.edgekit.embedder.LiteRtModel
import dev.edgekit.embedder.OnnxModel
import dev.edgekit.embedder.Opener
import dev.edgekit.embedder.loadExecuTorch
import dev.edgekit.embedder.loadLiteRt
import dev.edgekit.embedder.loadOnnxRuntime

/** Loads the runtime of a job's format, which is no part of opening a model, and gives what opens models with it. */
internal fun openerOf(job: Job): Opener = when (job.format) {
    "onnx" -> Opener(::OnnxModel).also { loadOnnxRuntime() }
    "executorch" -> Opener(::ExecuTorchModel).also { loadExecuTorch() }
    "litert" -> Opener(::LiteRtModel).also { loadLiteRt() }
    else -> throw BenchError("format ${job.format}: this app runs onnx, executorch and litert: measure it elsewhere")
}
