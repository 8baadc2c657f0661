package dev.edgekit.bench

import dev.edgekit.embedder.Model
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue

const val RUN_ID = "0123456789abcdef0123456789abcdef"

/** A job in a folder: two images of 1 x 2 pixels, whose golden embeddings are the sums that [FakeModel] gives. */
fun jobIn(folder: File, change: Job.() -> Job = { this }): Job {
    File(folder, "model.onnx").writeText("a model")
    File(folder, "inputs.bin").writeBytes(byteArrayOf(1, 2, 3, 4, 5, 6, -1, 0, 7, 9, 9, 100))
    writeGolden(File(folder, "golden.bin"), 21f, 6f, 380f, -1f)
    return jobOf(texts(), folder).change()
}

/** For jobs without photos. */
val NO_PHOTOS: Decode = { _, name -> throw AssertionError("$name is decoded") }

fun writeGolden(file: File, vararg values: Float) {
    val bytes = ByteBuffer.allocate(4 * values.size).order(ByteOrder.LITTLE_ENDIAN)
    values.forEach(bytes::putFloat)
    file.writeBytes(bytes.array())
}

fun facts(): JSONObject = JSONObject()
    .put("name", "toy").put("format", "onnx").put("sha256", "0".repeat(64)).put("bytes", 7)
    .put("precision", JSONObject.NULL).put("parity_min_cosine", 0.9875).put("input", JSONArray().put(1).put(2))

/** A whole job as texts; a change to null leaves a key out. */
fun texts(vararg changes: Pair<String, String?>): Map<String, String> {
    val whole = mapOf(
        "schema" to "edgekit.job/2", "run_id" to RUN_ID, "model" to "model.onnx", "format" to "onnx",
        "facts" to facts().toString(), "inputs" to "inputs.bin", "golden" to "golden.bin", "count" to "2",
        "height" to "1", "width" to "2", "dim" to "2", "layout" to "nhwc_u8", "warmup" to "3", "iterations" to "4",
        "duration" to "0", "threads" to "2", "min_cosine" to "0.999", "out" to "result.json",
    )
    return (whole + changes).filterValues { it != null }.mapValues { it.value!! }
}

/** JSON as maps, lists and numbers, which can be compared. */
fun plain(value: Any?): Any? = when (value) {
    is JSONObject -> value.keys().asSequence().associateWith { plain(value.get(it)) }
    is JSONArray -> (0 until value.length()).map { plain(value.get(it)) }
    is Number -> value.toDouble()
    else -> value
}

/** What was thrown says one line with these texts in it. */
fun refused(vararg told: String, action: () -> Unit) {
    val line = assertThrows(BenchError::class.java) { action() }.message!!
    assertTrue(line, line.length in 20..500 && line.none { it.isISOControl() })
    told.forEach { assertTrue("'$line' does not say '$it'", it in line) }
}

class FakeClock : () -> Long {
    var now = 1_000L

    override fun invoke(): Long = now
}

/**
 * Gives the sum of an image's values, and its last value minus the one before, signed as 6 and -1 are.
 * As ExecuTorch does, it takes its input for its own memory: a run without a new input gives another output.
 */
class FakeModel(private val clock: FakeClock, private val spoil: (FloatArray) -> Unit = {}) : Model {
    override val runtime = "fake"
    override val version: String? = null
    override val backend = "none"
    private val input = IntArray(6)
    private val output = FloatArray(2)
    var runs = 0
    var open = true

    override fun set(pixels: ByteArray) {
        assertTrue(open)
        assertEquals(6, pixels.size)
        clock.now += 1_000_000_000 // not to be seen in any sample
        for (i in pixels.indices) input[i] = pixels[i].toInt() and 255
    }

    override fun run() {
        assertTrue(open)
        runs++
        clock.now += 1_000 * runs
        output[0] = input.sum().toFloat()
        output[1] = if (input[5] == 6) 6f else -1f
        input.fill(85)
    }

    override fun embedding(into: FloatArray) {
        assertTrue(open)
        clock.now += 1_000_000_000
        output.copyInto(into)
        spoil(into)
    }

    override fun close() {
        assertTrue("closed twice", open)
        open = false
    }
}
