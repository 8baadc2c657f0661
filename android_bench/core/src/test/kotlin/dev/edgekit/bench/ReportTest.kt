package dev.edgekit.bench

import dev.edgekit.embedder.Protocol
import java.io.File
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class ReportTest {
    @get:Rule
    val temporary = TemporaryFolder()
    private val measured = Measured(
        "fake", null, "none", 1_500_000, 2, longArrayOf(1_234_567, 100, 0), 3_000_000_000,
        Check(2, 0.5, 0.25, true), 4096, null,
    )

    private fun reported(
        measured: Measured = this.measured,
        device: JSONObject = JSONObject().put("platform", "android"),
        background: Boolean? = null,
    ): JSONObject = report(
        jobIn(temporary.root), measured, "android-app", null, device, JSONObject().put("battery_pct", 50), JSONObject(),
        "2026-01-02T03:04:05Z", background,
    )

    @Test
    fun theDocumentHoldsWhatWasMeasured() {
        val document = JSONObject(reported().toString())
        assertEquals(plain(facts()), plain(document.get("model")))
        assertEquals("edgekit.bench/1 $RUN_ID", "${document.get("schema")} ${document.get("run_id")}")
        val latency = document.getJSONObject("latency_ms")
        assertEquals(listOf(1.234567, 0.0001, 0.0), plain(latency.get("samples")))
        assertEquals(listOf(1.5, 3000.0, 2e-6), listOf("cold_load", "warm_load", "first").map(latency::getDouble))
        val expected = JSONObject().put("warmup", 3).put("min_iterations", 4).put("min_duration_s", 0.0)
            .put("iterations", 3).put("inputs", 2)
        assertEquals(plain(expected), plain(document.get("protocol")))
        assertEquals(50, document.getJSONObject("state").getJSONObject("before").getInt("battery_pct"))
        assertEquals(4096, document.getJSONObject("memory_bytes").getInt("peak_rss"))
        assertTrue(document.getJSONObject("memory_bytes").isNull("loaded"))
        assertTrue(document.getJSONObject("validity").getBoolean("valid"))
    }

    @Test
    fun everyReasonMakesItInvalid() {
        val emulated = JSONObject().put("platform", "android").put("emulated", true)
        val wrong = measured.copy(check = Check(2, null, null, false))
        val found = mapOf(
            "wrong-output" to reported(wrong),
            "emulated" to reported(device = emulated),
            "background" to reported(background = true),
        )
        for ((reason, document) in found) {
            val validity = document.getJSONObject("validity")
            assertFalse(validity.getBoolean("valid"))
            assertEquals(listOf(reason), plain(validity.get("reasons")))
        }
        assertTrue(found.getValue("wrong-output").getJSONObject("check").isNull("min_cosine"))
        for (no in listOf(false, JSONObject.NULL)) {
            val device = JSONObject().put("platform", "android").put("emulated", no)
            assertTrue(reported(device = device, background = false).getJSONObject("validity").getBoolean("valid"))
        }
    }

    @Test(timeout = 60_000)
    fun aMillionSamplesFitIntoAResult() {
        val out = File(temporary.root, "result.json")
        val samples = LongArray(Protocol.MAX_SAMPLES) { 12_345_678L + it }
        writeResult(reported(measured.copy(samples = samples)), out)
        assertTrue("${out.length()}", out.length() < Protocol.MAX_RESULT_BYTES) // what Python reads
        val read = JSONObject(out.readText()).getJSONObject("latency_ms").getJSONArray("samples")
        assertEquals(13.345677, read.getDouble(Protocol.MAX_SAMPLES - 1), 0.0)
    }

    @Test
    fun theResultTakesThePlaceOfAnEarlierOne() {
        val out = File(temporary.root, "result.json").apply { writeText("earlier and longer than the next one") }
        writeResult(JSONObject().put("é", "\u2028"), out)
        assertEquals("é", JSONObject(out.readText()).keys().next())
        assertEquals(listOf("result.json"), temporary.root.list()!!.toList())
    }

    @Test
    fun whatCannotBeWrittenIsToldAndLeavesNothing() {
        val file = File(temporary.root, "file").apply { writeText("x") }
        refused("result.json", "cannot be written") { writeResult(JSONObject(), File(file, "result.json")) }
        val folder = temporary.newFolder("result.json")
        File(folder, "kept").writeText("x")
        refused("result.json", "cannot be written") { writeResult(JSONObject(), folder) }
        assertEquals(setOf("file", "result.json"), temporary.root.list()!!.toSet())
        refused("result.json", "not a file") { expectPlace(folder) }
        refused("x.json", "folder") { expectPlace(File(temporary.root, "gone/x.json")) }
        expectPlace(File(temporary.root, "x.json"))
    }

    @Test
    fun anErrorIsOneShortLine() {
        val error = BenchError("a\nb\r\u2028c\u0000" + "x".repeat(10_000))
        assertTrue(error.message!!.startsWith("a b  c x") && error.message!!.length == 500)
    }
}
