package dev.edgekit.bench

import android.content.Intent
import android.net.Uri
import android.view.WindowManager
import java.io.ByteArrayOutputStream
import java.io.File
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController

@RunWith(RobolectricTestRunner::class)
class TestLoopActivityTest {
    private val uri = Uri.parse("content://test-lab/results_scenario_1.json")
    private val told = ByteArrayOutputStream()

    private fun start(data: Uri?): ActivityController<TestLoopActivity> {
        if (data != null) shadowOf(app.contentResolver).registerOutputStream(data, told)
        val intent = Intent("com.google.intent.action.TEST_LOOP").setDataAndType(data, "application/javascript")
        intent.putExtra("scenario", 1)
        return Robolectric.buildActivity(TestLoopActivity::class.java, intent).setup()
    }

    private fun TestLoopActivity.ended() {
        worker!!.join(120_000)
        assertFalse("it has not ended", worker!!.isAlive)
        shadowOf(mainLooper).idle()
        assertTrue(isFinishing)
    }

    private fun results() = written().filter { it.name == "result.json" }

    @Test
    fun `the pushed job is measured in the foreground and told to Test Lab`() {
        jobFolder(File(app.getExternalFilesDir(null), "job"))
        val activity = start(uri).get()
        assertTrue(activity.window.attributes.flags and WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON != 0)
        activity.ended()

        val result = JSONObject(told.toString())
        assertEquals("test-loop", result.getJSONObject("tool").getString("harness"))
        assertFalse("background" in result.getJSONObject("validity").getJSONArray("reasons").toString())
        assertArrayEquals(told.toByteArray(), results().single().readBytes())
        keep("test-loop.json", told.toByteArray())
    }

    @Test
    fun `without a place for the result it is in the app's files`() {
        jobFolder(File(app.getExternalFilesDir(null), "job"))
        start(null).get().ended()
        assertEquals("edgekit.bench/1", JSONObject(results().single().readText()).getString("schema"))
    }

    @Test
    fun `what leaves the foreground has measured in the background`() {
        jobFolder(File(app.getExternalFilesDir(null), "job")) { put("duration", 1) }
        val controller = start(uri).pause()
        controller.get().ended()
        val validity = JSONObject(told.toString()).getJSONObject("validity")
        assertTrue("background" in validity.getJSONArray("reasons").toString())
        assertFalse(validity.getBoolean("valid"))
    }

    @Test
    fun `without a job it says so and ends`() {
        start(uri).get().ended()
        val line = JSONObject(told.toString()).getString("error")
        assertTrue(line, "job.json" in line && "edgekit-job" in line && '\n' !in line)
        assertEquals(emptyList<File>(), results())
    }
}
