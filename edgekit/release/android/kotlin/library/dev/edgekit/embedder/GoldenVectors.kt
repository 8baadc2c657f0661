package dev.edgekit.embedder

import java.nio.ByteBuffer
import java.nio.ByteOrder

private const val ADVICE = "take the package anew"
private const val MOST_BYTES = 1L shl 28 // of inputs.bin: it is held in memory

/** One golden image, uint8 RGB [H,W,3], and its embedding. */
internal class GoldenVector(val rgb: ByteArray, val embedding: FloatArray)

/** Read `edgekit.golden/1`, whose hashes must hold and whose preprocessing must be the model's. */
internal fun readGolden(files: ModelFiles, dim: Int, preprocessing: Preprocessing): List<GoldenVector> {
    val name = Protocol.GOLDEN_FILE
    try {
        val golden = parseJson(files.golden(name, Protocol.MAX_GOLDEN_BYTES))
        if (golden.part<String>("schema") != Protocol.GOLDEN_SCHEMA) throw JsonError("another schema")
        val part = golden.part<Map<*, *>>("preprocessing")
        val size = part.part<Long>("height") to part.part<Long>("width")
        val due = preprocessing.height.toLong() to preprocessing.width.toLong()
        if (size != due || golden.part<Long>("dim") != dim.toLong()) {
            throw JsonError("its sizes are not the model's")
        }
        val count = golden.part<List<*>>("items").size
        if (count !in 1..Protocol.MAX_GOLDEN_ITEMS) throw JsonError("$count items")
        val image = 3 * preprocessing.height * preprocessing.width
        val inputs = content(files, Protocol.INPUTS_FILE, golden.part("inputs_sha256"), count.toLong() * image)
        val embeddings = content(files, Protocol.EMBEDDINGS_FILE, golden.part("embeddings_sha256"), 4L * count * dim)
        val floats = ByteBuffer.wrap(embeddings).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        return List(count) {
            val embedding = FloatArray(dim).also { one -> floats.get(one) }
            GoldenVector(inputs.copyOfRange(it * image, (it + 1) * image), embedding)
        }
    } catch (error: JsonError) {
        throw EmbedderError("$name: ${error.message}: $ADVICE", error)
    }
}

private fun content(files: ModelFiles, name: String, digest: String, size: Long): ByteArray {
    if (size > MOST_BYTES) throw JsonError("$name is too large")
    val bytes = files.golden(name, size)
    if (bytes.size.toLong() != size) throw JsonError("$name has ${bytes.size} bytes, not $size")
    if (sha256(bytes.inputStream()) != digest) throw JsonError("$name has changed")
    return bytes
}
