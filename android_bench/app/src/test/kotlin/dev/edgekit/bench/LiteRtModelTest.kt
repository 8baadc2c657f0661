package dev.edgekit.bench

import dev.edgekit.embedder.LiteRtModel
import dev.edgekit.embedder.Protocol
import dev.edgekit.embedder.decode
import java.io.File
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner

/** With LiteRT's own library: of its Kotlin interface, the part that calls it is this project's here. */
@RunWith(RobolectricTestRunner::class)
class LiteRtModelTest {
    @get:Rule
    val folder = TemporaryFolder()

    private fun job(layout: String, change: JSONObject.() -> Unit = {}): File {
        File(case, "litert/$layout").copyRecursively(folder.root, overwrite = true)
        val file = File(folder.root, "job.json")
        file.writeText(JSONObject(file.readText()).apply(change).toString())
        return file
    }

    private fun measured(layout: String, change: JSONObject.() -> Unit = {}): Measured =
        readJob(job(layout, change)).let { measure(it, openerOf(it), ::decode) }

    private fun refused(vararg texts: String, change: Job.() -> Job) {
        val changed = readJob(job("nhwc")).change()
        val error = assertThrows(BenchError::class.java) { measure(changed, openerOf(changed), ::decode) }
        val line = error.message!!
        assertTrue(line, line.length in 20..500 && line.none { it.isISOControl() })
        for (text in texts) assertTrue("'$text' is not in: $line", text in line)
    }

    @Test
    fun `a job of each layout is measured, its result written`() {
        for (layout in Protocol.LAYOUTS) {
            val ended = instrument("job" to job(layout).path)
            assertEquals(ended.told.getString("error"), -1, ended.code)
            assertEquals("passed", ended["check"])
            keep("litert-$layout.json", File(ended["path"]).readBytes())
        }
    }

    @Test
    fun `threads and the CPU are what a job may ask for`() {
        val measured = measured("nhwc") { put("threads", 2).put("compute_units", "cpu") }
        assertTrue(measured.check.passed)
        assertEquals("litert XNNPACK null", "${measured.runtime} ${measured.backend} ${measured.version}")
        assertTrue(measured.coldLoad > 0 && measured.warmLoad > 0)
    }

    @Test
    fun `values at other places give another embedding`() {
        val check = measured("nhwc") { put("layout", "nchw") }.check // as many values
        assertFalse(check.passed)
        assertTrue("${check.minCosine}", check.minCosine!! < 0.99)
    }

    @Test
    fun `an accelerator that is not there is told`() {
        refused("model.tflite", "cannot load this model", "measure it on the CPU") { copy(accelerator = "gpu") }
    }

    @Test
    fun `files that are no embedder of this job`() {
        refused("its input is not uint8 [1,5,7,3]") { copy(layout = "nhwc_u8") }
        refused("its output is not float32 [1,7]") { also { it.golden.writeBytes(ByteArray(4 * 7 * 4) { 1 }) }.copy(dim = 7) }
        val two = File(case, "litert/two.tflite").copyTo(File(folder.root, "two.tflite"))
        refused("two.tflite: has 2 outputs") { copy(model = two) }
        val noise = File(folder.root, "noise.tflite").apply { writeBytes(ByteArray(5000) { 7 }) }
        refused("noise.tflite: cannot load this model", "export it") { copy(model = noise) }
    }

    @Test
    fun `an embedding is that of the last run`() {
        val job = readJob(job("nhwc"))
        LiteRtModel(job).use { model ->
            val into = FloatArray(11)
            assertThrows(BenchError::class.java) { model.embedding(into) }
            model.set(ByteArray(105) { 100 })
            assertThrows(BenchError::class.java) { model.embedding(into) }
            model.run()
            model.embedding(into)
            val before = into.copyOf()
            model.set(ByteArray(105) { 50 })
            model.run()
            model.embedding(into)
            for (at in into.indices) assertEquals(before[at] / 2, into[at], 1e-3f)
        }
    }
}
