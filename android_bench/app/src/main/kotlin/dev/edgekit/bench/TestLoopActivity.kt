package dev.edgekit.bench

import android.app.Activity
import android.net.Uri
import android.os.Bundle
import android.util.Log
import android.view.WindowManager
import dev.edgekit.embedder.Protocol
import java.io.File
import org.json.JSONObject

/**
 * A loop of Firebase Test Lab (`--type game-loop`): measures the job that was pushed, as the app in the foreground,
 * writes the result to the file that Test Lab names, and ends.
 *
 * The job is `job.json` in the first of these folders that has one: `job` in the app's external files,
 * `/data/local/tmp/edgekit-job`. What ended a run without a result is written as `{"error": LINE}`.
 */
class TestLoopActivity : Activity() {
    internal var worker: Thread? = null

    @Volatile
    private var leftForeground = false

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
    }

    override fun onResume() {
        super.onResume()
        if (worker == null) worker = Thread(::measureAndFinish, "measure").also { it.start() }
    }

    override fun onPause() {
        leftForeground = true
        super.onPause()
    }

    private fun measureAndFinish() {
        val content = try {
            runJob(this, readJob(jobFile()), "test-loop") { leftForeground }.bytes
        } catch (error: Throwable) { // a crash would show a dialog and lose the line
            Log.e(TAG, "failed", error)
            JSONObject().put("error", lineOf(error)).toString().toByteArray()
        }
        try {
            intent.data?.let { write(it, content) }
        } catch (error: Exception) { // a provider may throw anything; the result is in the app's files as well
            Log.e(TAG, "${intent.data}: cannot be written", error)
        }
        runOnUiThread { finish() }
    }

    private fun jobFile(): File {
        val folders = listOf(File(externalFiles(this), "job"), File("/data/local/tmp", Protocol.JOB_FOLDER))
        return folders.map { File(it, Protocol.JOB_FILE) }.firstOrNull { it.isFile }
            ?: throw BenchError("no ${Protocol.JOB_FILE} in ${folders.joinToString(" or ")}: push a job there")
    }

    private fun write(uri: Uri, content: ByteArray) {
        val stream = contentResolver.openOutputStream(uri) ?: throw java.io.IOException("its provider gives no stream")
        stream.use { it.write(content) }
    }
}
