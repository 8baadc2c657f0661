package dev.edgekit.bench

import android.content.ContextWrapper
import android.os.BatteryManager
import android.os.PowerManager
import android.provider.Settings
import android.util.Base64
import java.io.File
import java.security.MessageDigest
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner

@RunWith(RobolectricTestRunner::class)
class MeasureInstrumentationTest {
    @get:Rule
    val folder = TemporaryFolder()

    @Test
    fun `a job file is measured, its result written and handed over`() {
        battery(
            BatteryManager.EXTRA_LEVEL to 82,
            BatteryManager.EXTRA_SCALE to 100,
            BatteryManager.EXTRA_TEMPERATURE to 315,
            BatteryManager.EXTRA_STATUS to BatteryManager.BATTERY_STATUS_CHARGING,
        )
        power.setCurrentThermalStatus(PowerManager.THERMAL_STATUS_LIGHT)
        Settings.Global.putInt(app.contentResolver, Settings.Global.AIRPLANE_MODE_ON, 1)
        val job = jobFolder(folder.root)
        shown = 0
        val ended = instrument("job" to job.path, "harness" to "adb")
        assertEquals(ended.told.getString("error"), -1, ended.code)
        assertEquals("it measures in front", 1, shown)

        val runId = JSONObject(job.readText()).getString("run_id")
        val file = File(ended["path"])
        assertEquals(File(app.getExternalFilesDir(null), "edgekit-$runId/result.json"), file)
        assertEquals(listOf(file), written())
        assertEquals(runId, ended["run_id"])
        assertEquals("passed", ended["check"])
        assertEquals("10", ended["iterations"])
        val digest = MessageDigest.getInstance("SHA-256").digest(file.readBytes())
        assertEquals(digest.joinToString("") { "%02x".format(it) }, ended["sha256"])
        assertArrayEquals(file.readBytes(), Base64.decode(ended["result_base64"], Base64.DEFAULT))

        val result = JSONObject(file.readText())
        assertEquals("adb", result.getJSONObject("tool").getString("harness"))
        assertEquals("onnxruntime", result.getJSONObject("runtime").getString("name"))
        assertTrue(result.getJSONObject("protocol").getBoolean("screen_on"))
        keep("instrumentation.json", file.readBytes())
    }

    @Test
    fun `the same by keys`() {
        val job = JSONObject(jobFolder(folder.root).readText())
        val keys = job.keys().asSequence().filter { !job.isNull(it) }.map { it to job.get(it).toString() }.toList()
        val ended = instrument(*keys.toTypedArray(), "folder" to folder.root.path)
        assertEquals(ended.told.getString("error"), -1, ended.code)
        assertEquals("passed", ended["check"])
        assertTrue(JSONObject(File(ended["path"]).readText()).getJSONObject("tool").isNull("harness"))
        keep("keys.json", File(ended["path"]).readBytes())
    }

    @Test
    fun `the job's own folder, which an app cannot write to, is left alone`() {
        val job = jobFolder(folder.root)
        assertTrue(File(folder.root, "result.json").mkdir()) // no result could be put there
        val before = folder.root.walk().toList()
        val ended = instrument("job" to job.path)
        assertEquals(ended.told.getString("error"), -1, ended.code)
        assertEquals(before, folder.root.walk().toList())
    }

    @Test
    fun `a place that is taken`() {
        val job = jobFolder(folder.root)
        val runId = JSONObject(job.readText()).getString("run_id")
        assertTrue(File(app.getExternalFilesDir(null), "edgekit-$runId/result.json").mkdirs())
        instrument("job" to job.path).failed("result.json", "give another name")
    }

    @Test
    fun `a phone without its shared storage`() {
        val without = object : ContextWrapper(app) {
            override fun getExternalFilesDir(type: String?): File? = null
        }
        val error = assertThrows(BenchError::class.java) { externalFiles(without) }
        assertTrue(error.message, "shared storage" in error.message!!)
    }

    @Test
    fun `a result too large for a transaction stays in its file`() {
        val ended = instrument("job" to jobFolder(folder.root) { put("iterations", 30_000) }.path)
        assertEquals("30000", ended["iterations"])
        assertTrue(File(ended["path"]).length() > LARGEST_INLINE)
        assertFalse("result_base64" in ended.keys)
        keep("large.json", File(ended["path"]).readBytes())
    }

    @Test
    fun `a wrong output is a result that says so`() {
        val job = jobFolder(folder.root)
        val golden = File(folder.root, "golden.bin")
        val content = golden.readBytes()
        for (at in 3 until content.size step 4) content[at] = (content[at].toInt() xor 0x80).toByte() // the signs
        golden.writeBytes(content)
        val ended = instrument("job" to job.path)
        assertEquals(-1, ended.code)
        assertEquals("failed", ended["check"])
        keep("wrong.json", File(ended["path"]).readBytes())
    }

    @Test
    fun `without a job`() = instrument().failed("-e job")

    @Test
    fun `a path that is not full`() = instrument("job" to "job.json").failed("job.json", "not a full path")

    @Test
    fun `a job that is not there`() = instrument("job" to "${folder.root}/none.json").failed("none.json", "not there")

    @Test
    fun `a job that is not JSON`() =
        instrument("job" to jobFolder(folder.root).apply { writeText("[".repeat(100_000)) }.path).failed("job.json")

    @Test
    fun `an unknown key in the file`() =
        instrument("job" to jobFolder(folder.root) { put("speed", 1) }.path).failed("speed")

    @Test
    fun `a key beside the file`() =
        instrument("job" to jobFolder(folder.root).path, "warmup" to "1").failed("warmup", "-e job alone")

    @Test
    fun `a folder that is not there`() =
        instrument("folder" to "/none", "run_id" to "0").failed("/none", "no such folder")

    @Test
    fun `a harness of two lines`() =
        instrument("job" to jobFolder(folder.root).path, "harness" to "a\nb").failed("harness")

    @Test
    fun `an out that leads away`() {
        for (out in listOf("../../result.json", "/sdcard/result.json", "..", ".hidden", "a\nb")) {
            instrument("job" to jobFolder(folder.root) { put("out", out) }.path).failed("out")
        }
    }

    @Test
    fun `a model that is none`() {
        val job = jobFolder(folder.root)
        File(folder.root, JSONObject(job.readText()).getString("model")).writeText("no model")
        instrument("job" to job.path).failed("cannot be loaded")
    }

    @Test
    fun `ExecuTorch in an app without its library`() {
        val job = jobFolder(folder.root) {
            put("format", "executorch")
            getJSONObject("facts").put("format", "executorch")
        }
        instrument("job" to job.path).failed("ExecuTorch", "executorch-android")
    }
}
