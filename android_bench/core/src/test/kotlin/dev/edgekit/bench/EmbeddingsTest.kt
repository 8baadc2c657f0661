package dev.edgekit.bench

import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class EmbeddingsTest {
    @get:Rule
    val temporary = TemporaryFolder()
    private val clock = FakeClock()
    private val out: File by lazy { File(temporary.newFolder("out"), "result.json") }
    private val rows: File by lazy { File(out.parentFile, "embeddings.bin") }

    private fun written(spoil: (FloatArray) -> Unit = {}): JSONObject {
        val job = jobIn(temporary.root) { copy(embeddings = "embeddings.bin") }
        expectPlaces(out, job)
        val measuring = { row: (FloatArray) -> Unit ->
            measure(job, { FakeModel(clock, spoil) }, NO_PHOTOS, { Memory(null, null) }, clock, row = row)
        }
        return measureInto(out, job, measuring) {
            assertTrue("the embeddings are there before the result", rows.isFile && !out.exists())
            JSONObject().put("rows", it.embeddings!!.rows).put("sha256", it.embeddings!!.sha256)
        }
    }

    private fun floats(): List<Float> {
        val content = ByteBuffer.wrap(rows.readBytes()).order(ByteOrder.LITTLE_ENDIAN)
        return List(content.remaining() / 4) { content.getFloat() }
    }

    private fun left() = out.parentFile.list()!!.sorted()

    @Test
    fun eachImageHasTheEmbeddingOfItsFirstRun() {
        var turn = 0
        val result = written { it[1] = 10f * turn++ }
        assertEquals(listOf(21f, 0f, 380f, 10f), floats()) // 8 inferences were made
        assertEquals(8, turn)
        assertEquals(2 to sha256Of(rows.readBytes()), result.getInt("rows") to result.getString("sha256"))
        assertEquals(listOf("embeddings.bin", "result.json"), left())
    }

    @Test
    fun whatIsNoNumberIsWrittenAsItIs() {
        var turn = 0
        written { if (turn++ == 0) it[0] = Float.NaN else it[0] = Float.NEGATIVE_INFINITY }
        assertTrue(floats()[0].isNaN())
        assertEquals(listOf(6f, Float.NEGATIVE_INFINITY, -1f), floats().drop(1))
    }

    @Test
    fun aRunThatEndsMidwayLeavesWhatWasThere() {
        rows.apply { parentFile.mkdirs() }.writeText("from before")
        var turn = 0
        refused("the runtime has failed") { written { if (turn++ == 1) throw BenchError("the runtime has failed") } }
        assertEquals(listOf("embeddings.bin") to "from before", left() to rows.readText())
    }

    @Test
    fun withoutItsResultThereAreNoEmbeddings() {
        val job = jobIn(temporary.root) { copy(embeddings = "embeddings.bin") }
        val measured = Measured("fake", null, "none", 1, 1, longArrayOf(1), 1, Check(1, 1.0, 0.0, true), null, null)
        refused("result.json", "cannot be written") {
            measureInto(out, job, { row -> measured.also { row(floatArrayOf(1f)) } }) { out.mkdir().let { JSONObject() } }
        }
        assertEquals(listOf("result.json"), left())
    }

    @Test
    fun whereThereIsNoPlaceItIsSaidBefore() {
        rows.mkdirs()
        refused("embeddings.bin", "not a file") { written() }
        assertEquals(listOf("embeddings.bin"), left())
    }

    @Test
    fun aFullDiskIsTold() {
        val full = IOException("No space left on device")
        refused("it.bin", "No space left", "free space") { writeWhole(File(out.parentFile, "it.bin")) { throw full } }
        assertEquals(emptyList<String>(), left())
        assertFalse(out.exists())
    }
}
