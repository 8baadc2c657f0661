package dev.edgekit.embedder

import java.nio.ByteBuffer
import java.nio.FloatBuffer
import org.pytorch.executorch.DType
import org.pytorch.executorch.EValue
import org.pytorch.executorch.ExecuTorchRuntime
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor

private const val METHOD = "forward"

/** Load the library of ExecuTorch. */
internal fun loadExecuTorch() {
    try {
        ExecuTorchRuntime.getRuntime()
    } catch (error: LinkageError) {
        throw EmbedderError("ExecuTorch does not load ($error): build the app with executorch-android for it", error)
    }
}

/** A `.pte` file in ExecuTorch: one image in, one embedding out. */
internal class ExecuTorchModel(private val spec: ModelSpec) : Model {
    private val name = spec.model.name
    private val count = 3 * spec.height * spec.width
    private val values = FloatArray(if (spec.takesBytes) 0 else count)
    private val floats: FloatBuffer = Tensor.allocateFloatBuffer(values.size)
    private val bytes: ByteBuffer = Tensor.allocateByteBuffer(if (spec.takesBytes) count else 0)
    private val module = load()
    private var input: EValue? = null
    private var output: Array<EValue>? = null

    override val runtime = "executorch"
    override val version: String? = null // its Java API does not say
    override val backend: String = said("read its backends") { module.getMethodMetadata(METHOD).backends }
        .map { if (it == "XnnpackBackend") "XNNPACK" else it }
        .distinct().sorted().joinToString("+").ifEmpty { "portable" }

    /** A new tensor for every run: without an input ExecuTorch runs on memory that it has used for other things. */
    override fun set(pixels: ByteArray) {
        output = null
        if (spec.takesBytes) {
            bytes.clear()
            bytes.put(pixels).rewind()
            input = EValue.from(Tensor.fromBlobUnsigned(bytes, inputShape(spec)))
        } else {
            spread(spec, pixels) { at, value -> values[at] = value }
            floats.clear()
            floats.put(values).rewind()
            input = EValue.from(Tensor.fromBlob(floats, inputShape(spec)))
        }
    }

    override fun run() {
        val given = input ?: throw EmbedderError("$name: run without an input: set one before each run")
        input = null
        output = said("run this model") { module.forward(given) }
    }

    override fun embedding(into: FloatArray) {
        val given = output ?: throw EmbedderError("$name: has no output yet: run it first")
        val tensor = given.singleOrNull()?.takeIf { it.isTensor }?.toTensor()
            ?: throw EmbedderError("$name: gives ${given.size} values, not one tensor: export it with edgekit")
        if (tensor.dtype() != DType.FLOAT || !tensor.shape().contentEquals(longArrayOf(1, into.size.toLong()))) {
            val found = "${tensor.dtype()} ${tensor.shape().joinToString(",", "[", "]")}"
            throw EmbedderError("$name: gives $found, not FLOAT [1,${into.size}]: correct dim, or export it")
        }
        tensor.dataAsFloatArray.copyInto(into)
    }

    override fun close() = module.destroy()

    private fun load(): Module = said("load this model") {
        Module.load(spec.model.path, Module.LOAD_MODE_MMAP, spec.threads).also { it.loadMethod(METHOD) }
    }

    private fun <T> said(doing: String, act: () -> T): T = try {
        act()
    } catch (error: RuntimeException) {
        throw EmbedderError("$name: cannot $doing (${error.message}): export it for this ExecuTorch", error)
    }
}
