package dev.edgekit.embedder

/** What opens models of each format. An app has the runtimes that its packages depend on; the others are never loaded. */
private val RUNTIMES: Map<String, () -> Opener> = mapOf(
    "executorch" to { loadExecuTorch(); Opener(::ExecuTorchModel) },
    "litert" to { loadLiteRt(); Opener(::LiteRtModel) },
    "onnx" to { loadOnnxRuntime(); Opener(::OnnxModel) },
)

/** What opens models of [format]; [name] starts the line of an [EmbedderError]. */
internal fun openerOf(format: String, name: String): Opener {
    val load = RUNTIMES[format]
        ?: throw EmbedderError("$name: no runtime runs ${shown(format)}: take a package with ${RUNTIMES.keys}")
    return try {
        load()
    } catch (error: LinkageError) {
        val why = shown(error.message)
        throw EmbedderError("$name: the app has no runtime for $format ($why): depend on it as the package does", error)
    }
}
