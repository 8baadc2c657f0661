package dev.edgekit.embedder

import ai.onnxruntime.NodeInfo
import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtLoggingLevel
import ai.onnxruntime.OrtSession
import ai.onnxruntime.TensorInfo
import java.nio.Buffer
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

private const val ADVICE = "export the model with edgekit, or correct layout, height, width and dim"

/** Load the library of ONNX Runtime, which is no part of opening a model: call it before `measure`. */
fun loadOnnxRuntime() {
    onnxEnvironment()
}

private fun onnxEnvironment(): OrtEnvironment =
    try {
        OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, "edgekit")
    } catch (error: LinkageError) {
        val why = shown(error.message)
        throw EmbedderError("ONNX Runtime does not load ($why): build the app for this device", error)
    }

/** An .onnx file in ONNX Runtime, on the CPU. */
class OnnxModel(private val spec: ModelSpec) : Model {
    private val environment = onnxEnvironment()
    private val name = spec.model.name
    private val session: OrtSession
    private val input: ByteBuffer
    private val floats: FloatBuffer?
    private val output: FloatBuffer
    private val inputs: Map<String, OnnxTensor>
    private val outputs: Map<String, OnnxTensor>

    override val runtime = "onnxruntime"
    override val version: String? = environment.version
    override val backend = "CPUExecutionProvider"

    init {
        session = attempt("cannot be loaded", "export it again, or take a newer ONNX Runtime") { open(spec) }
        try {
            val bytes = spec.takesBytes
            val shape = inputShape(spec)
            val type = if (bytes) OnnxJavaType.UINT8 else OnnxJavaType.FLOAT
            val embedding = longArrayOf(1, spec.dim.toLong())
            val inputName = expect("input", session.inputInfo, type, shape)
            val outputName = expect("output", session.outputInfo, OnnxJavaType.FLOAT, embedding)
            input = room(shape, if (bytes) 1 else Float.SIZE_BYTES)
            floats = if (bytes) null else input.asFloatBuffer()
            output = room(embedding, Float.SIZE_BYTES).asFloatBuffer()
            // Both are direct and of the native order: the tensors use their memory, nothing is copied.
            inputs = mapOf(inputName to attempt("cannot be given an input", ADVICE) { tensor(shape) })
            outputs = mapOf(outputName to attempt("cannot be given an output", ADVICE) {
                OnnxTensor.createTensor(environment, output, embedding)
            })
        } catch (error: EmbedderError) {
            session.close()
            throw error
        }
    }

    override fun set(pixels: ByteArray) {
        if (floats == null) {
            (input as Buffer).rewind() // ByteBuffer has a rewind of its own only on newer Androids
            input.put(pixels)
        } else {
            spread(spec, pixels) { at, value -> floats.put(at, value) }
        }
        for (i in 0 until output.capacity()) output.put(i, Float.NaN) // an output left as it was shows
    }

    override fun run() {
        try {
            session.run(inputs, outputs).close()
        } catch (error: OrtException) {
            throw EmbedderError("$name: cannot be run (${shown(error.message)}): export it again", error)
        }
    }

    override fun embedding(into: FloatArray) {
        for (i in into.indices) into[i] = output.get(i)
    }

    override fun close() {
        for (tensor in inputs.values + outputs.values) tensor.close()
        attempt("cannot be closed", "start the app again") { session.close() }
    }

    private fun open(spec: ModelSpec): OrtSession =
        OrtSession.SessionOptions().use { options ->
            options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL)
            options.setIntraOpNumThreads(spec.threads)
            options.setInterOpNumThreads(1)
            // On x86 without VNNI sums of 8-bit products would be cut off at 16 bits; on arm64 this does nothing.
            options.addConfigEntry("session.x64quantprecision", "1")
            environment.createSession(spec.model.path, options)
        }

    private fun tensor(shape: LongArray): OnnxTensor =
        if (floats == null) OnnxTensor.createTensor(environment, input, shape, OnnxJavaType.UINT8)
        else OnnxTensor.createTensor(environment, floats, shape)

    private fun room(shape: LongArray, each: Int): ByteBuffer {
        val bytes = shape.fold(each.toLong()) { product, size -> product * size }
        if (bytes > Int.MAX_VALUE) {
            throw EmbedderError("$name: $bytes bytes are too many for one image: make it smaller")
        }
        try {
            return ByteBuffer.allocateDirect(bytes.toInt()).order(ByteOrder.nativeOrder())
        } catch (error: OutOfMemoryError) {
            throw EmbedderError("$name: no memory for $bytes bytes: give a smaller size", error)
        }
    }

    /** The name of the only input or output, which must have this type and shape: an open size fits any number. */
    private fun expect(which: String, found: Map<String, NodeInfo>, type: OnnxJavaType, shape: LongArray): String {
        if (found.size != 1) throw EmbedderError("$name: has ${found.size} ${which}s, an embedder has one: $ADVICE")
        val (key, node) = found.entries.first()
        val info = node.info as? TensorInfo
        val fits = info != null && info.type == type && info.shape.size == shape.size &&
            shape.indices.all { info.shape[it] < 0 || info.shape[it] == shape[it] }
        if (!fits) {
            val wanted = "${type.name.lowercase()} [${shape.joinToString(",")}]"
            throw EmbedderError("$name: its $which is not $wanted: $ADVICE")
        }
        return key
    }

    private fun <T> attempt(what: String, advice: String, action: () -> T): T =
        try {
            action()
        } catch (error: OrtException) {
            throw EmbedderError("$name: $what (${shown(error.message)}): $advice", error)
        }
}
