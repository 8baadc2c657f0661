package dev.edgekit.bench

import android.app.Application
import android.content.Context
import android.content.Intent
import android.os.Bundle
import android.os.PowerManager
import java.io.File
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadows.ShadowPowerManager

val app: Application get() = RuntimeEnvironment.getApplication()

/** What tests/bench_android has made: `job/`, `golden/`, `pictures/`; what it is to check goes to `results/`. */
val case = File(
    System.getProperty("edgekit.case")?.takeIf { File(it).isDirectory }
        ?: throw AssertionError("no -Dedgekit.case: run python -m pytest tests/bench_android -m toolchain"),
)

/** A copy of the job that a test may change. */
fun jobFolder(into: File, change: JSONObject.() -> Unit = {}): File {
    File(case, "job").copyRecursively(into, overwrite = true)
    val file = File(into, "job.json")
    file.writeText(JSONObject(file.readText()).apply(change).toString())
    return file
}

/** What Android tells of its battery. */
fun battery(vararg values: Pair<String, Int>) {
    val intent = Intent(Intent.ACTION_BATTERY_CHANGED)
    for ((key, value) in values) intent.putExtra(key, value)
    @Suppress("DEPRECATION")
    app.sendStickyBroadcast(intent)
}

val power: ShadowPowerManager get() = shadowOf(app.getSystemService(Context.POWER_SERVICE) as PowerManager)

fun keep(name: String, content: ByteArray) = File(case, "results").apply { mkdirs() }.resolve(name).writeBytes(content)

/** How an instrumentation ended. */
class Ended(val code: Int, val told: Bundle) {
    val keys: Set<String> get() = told.keySet()

    operator fun get(key: String): String =
        told.getString(key) ?: throw AssertionError("$key is not in $keys: ${told.getString("error")}")

    /** It must have said one line with each of the texts in it, and written nothing. */
    fun failed(vararg texts: String) {
        assertEquals(0, code)
        assertEquals(setOf("error"), keys)
        val line = this["error"]
        assertTrue(line, line.length in 10..500 && line.none { it.isISOControl() })
        for (text in texts) assertTrue("'$text' is not in: $line", text in line)
        assertEquals(emptyList<File>(), written())
    }
}

fun written(): List<File> = app.getExternalFilesDir(null)!!.walk().filter { it.isFile }.toList()

/** How often the instrumentation came to the front. */
var shown = 0

/** Start the instrumentation as Android does, and wait for its end. */
fun instrument(vararg arguments: Pair<String, String>): Ended {
    val ended = CountDownLatch(1)
    var result: Ended? = null
    val instrumentation = object : MeasureInstrumentation() {
        override fun getTargetContext(): Context = app

        override fun comeToFront() { // no system here starts activities; see FrontActivityTest
            shown++
        }

        override fun finish(code: Int, told: Bundle) {
            result = Ended(code, told)
            ended.countDown()
        }
    }
    instrumentation.onCreate(Bundle().apply { arguments.forEach { (key, value) -> putString(key, value) } })
    assertTrue("it has not ended", ended.await(120, TimeUnit.SECONDS))
    return result!!
}
