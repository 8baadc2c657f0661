package dev.edgekit.embedder

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.Environment
import com.google.ai.edge.litert.LiteRtException
import com.google.ai.edge.litert.TensorBuffer

private val started = lazy { Environment.create() }

/** Load the library of LiteRT. */
internal fun loadLiteRt() {
    try {
        started.value
    } catch (error: LinkageError) {
        throw EmbedderError("LiteRT does not load ($error): build the app with litert for it", error)
    } catch (error: LiteRtException) {
        throw EmbedderError("LiteRT does not start (${error.message}): restart the phone", error)
    }
}

/** A `.tflite` file in LiteRT, on one of its accelerators: one image in, one embedding out. */
internal class LiteRtModel(private val spec: ModelSpec) : Model {
    private val count = 3 * spec.height * spec.width
    private val values = FloatArray(if (spec.takesBytes) 0 else count)
    private val nothing = FloatArray(spec.dim) { Float.NaN }
    private val compiled = said("load this model") { CompiledModel.create(spec.model.path, options(), started.value) }
    private val inputs: List<TensorBuffer>
    private val outputs: List<TensorBuffer>
    private var output: FloatArray? = null

    override val runtime = "litert"
    override val version: String? = null // its API does not say
    override val backend = if (spec.accelerator == "gpu") "GPU" else "XNNPACK"

    init {
        try {
            inputs = said("give it an input") { compiled.createInputBuffers() }
            outputs = said("give it an output") { compiled.createOutputBuffers() }
            expect("input", inputs, if (spec.takesBytes) "uint8" else "float32", inputShape(spec)) {
                if (spec.takesBytes) it.readInt8().size else it.readFloat().size
            }
            expect("output", outputs, "float32", longArrayOf(1, spec.dim.toLong())) { it.readFloat().size }
        } catch (error: EmbedderError) {
            compiled.close()
            throw error
        }
    }

    override fun set(pixels: ByteArray) = said("set its input") {
        output = null
        outputs.single().writeFloat(nothing) // an output left as it was shows
        if (spec.takesBytes) {
            inputs.single().writeInt8(pixels)
        } else {
            spread(spec, pixels) { at, value -> values[at] = value }
            inputs.single().writeFloat(values)
        }
    }

    /** Until the embedding is the app's: of a GPU it has to come back. */
    override fun run() {
        output = said("run this model") {
            compiled.run(inputs, outputs)
            outputs.single().readFloat()
        }
    }

    override fun embedding(into: FloatArray) {
        val given = output ?: throw EmbedderError("${spec.model.name}: has no output yet: run it first")
        given.copyInto(into)
    }

    override fun close() {
        for (buffer in inputs + outputs) buffer.close()
        compiled.close()
    }

    /** One accelerator alone: a file that it does not take whole is refused, and no other one's time is its own. */
    private fun options(): CompiledModel.Options {
        if (spec.accelerator == "gpu") return CompiledModel.Options(Accelerator.GPU)
        val options = CompiledModel.Options(Accelerator.CPU)
        options.cpuOptions = CompiledModel.CpuOptions(numThreads = spec.threads)
        return options
    }

    /** Kotlin is told no type of bytes: what a tensor is, its size in values of the due type must say. */
    private fun expect(
        which: String,
        found: List<TensorBuffer>,
        type: String,
        shape: LongArray,
        size: (TensorBuffer) -> Int,
    ) {
        val name = spec.model.name
        val advice = "export the model with edgekit, or correct layout, height, width and dim"
        if (found.size != 1) throw EmbedderError("$name: has ${found.size} ${which}s, an embedder has one: $advice")
        val due = shape.fold(1L) { product, one -> product * one }
        if (said("read its $which") { size(found.single()) }.toLong() != due) {
            throw EmbedderError("$name: its $which is not $type ${shape.joinToString(",", "[", "]")}: $advice")
        }
    }

    private fun <T> said(doing: String, act: () -> T): T = try {
        act()
    } catch (error: LiteRtException) {
        throw refused(doing, error)
    } catch (error: RuntimeException) {
        throw refused(doing, error)
    }

    private fun refused(doing: String, error: Exception): EmbedderError {
        val advice = if (spec.accelerator == "gpu") "measure it on the CPU" else "export it for this LiteRT"
        return EmbedderError("${spec.model.name}: cannot $doing (${error.message}): $advice", error)
    }
}
