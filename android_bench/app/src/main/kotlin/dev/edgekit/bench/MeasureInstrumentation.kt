package dev.edgekit.bench

import android.app.Activity
import android.app.Instrumentation
import android.content.Intent
import android.os.Bundle
import android.util.Base64
import android.util.Log
import java.io.File

internal const val TAG = "edgekit"

/** A transaction of Binder holds 1 MB for the whole process; a Bundle keeps two bytes a character. */
internal const val LARGEST_INLINE = 100_000

/**
 * `am instrument -w -r -e job /data/local/tmp/edgekit-RUN/job.json dev.edgekit.bench/.MeasureInstrumentation`
 *
 * Or `-e folder FOLDER` and each key of a job as `-e KEY VALUE`; or `-e golden FOLDER`, which compares this phone's
 * decoding and scaling of photos with a golden folder. `-e harness TEXT` says what started it. Ends with code -1
 * (RESULT_OK), or with 0 (RESULT_CANCELED) and one line under `error`.
 */
open class MeasureInstrumentation : Instrumentation() {
    private var given = emptyMap<String, String>()

    override fun onCreate(arguments: Bundle?) {
        super.onCreate(arguments)
        given = arguments?.keySet().orEmpty().associateWith { arguments?.getString(it).orEmpty() }
        start()
    }

    override fun onStart() {
        super.onStart()
        val told = Bundle()
        val code = try {
            act(told)
            Activity.RESULT_OK
        } catch (error: Throwable) { // a crash would show a dialog and lose the line
            Log.e(TAG, "failed", error)
            told.clear()
            told.putString("error", lineOf(error))
            Activity.RESULT_CANCELED
        }
        finish(code, told)
    }

    private fun act(told: Bundle) {
        val golden = given["golden"]
        // `golden` is also a key of a job, where it comes with all the others.
        if (golden != null && given.keys == setOf("golden")) return tellGolden(folderOf("golden", golden), told)
        val harness = given["harness"]
        if (harness != null && (harness.length !in 1..100 || harness.any { it.isISOControl() })) {
            throw BenchError("harness: not a line of 1 to 100 characters: give one like adb")
        }
        val job = jobGiven(given - "harness")
        comeToFront()
        val written = runJob(targetContext, job, harness) { inBackground() }
        tellResult(written, told)
    }

    private fun tellGolden(folder: File, told: Bundle) {
        val pixels = File(outFolder(targetContext, "golden"), "pixels.bin")
        val found = compareGolden(folder, pixels)
        told.putString("path", pixels.path)
        told.putString("items", found.items.size.toString())
        told.putString("largest_difference", found.items.maxOf { it.largest }.toString())
        told.putString("worst", found.items.maxBy { it.largest }.file)
        told.putString("differences", found.json())
    }

    /** Show [FrontActivity], and wait until it is there. */
    protected open fun comeToFront() {
        startActivitySync(Intent(targetContext, FrontActivity::class.java).addFlags(Intent.FLAG_ACTIVITY_NEW_TASK))
    }

    private fun jobGiven(values: Map<String, String>): Job {
        val path = values["job"] ?: return jobOf(values - "folder", folderOf("folder", values["folder"]))
        val other = (values.keys - "job").firstOrNull()
        if (other != null) throw BenchError("-e $other: the job file holds the keys: give -e job alone")
        return readJob(absolute("job", path))
    }
}

private fun folderOf(key: String, path: String?): File {
    if (path == null) throw BenchError("-e job is missing: give -e job FILE, or -e folder FOLDER and all keys of a job")
    val folder = absolute(key, path)
    if (!folder.isDirectory) {
        throw BenchError("-e $key $path: no such folder, or not readable to apps: push it to /data/local/tmp")
    }
    return folder
}

private fun absolute(key: String, path: String): File =
    File(path).takeIf { it.isAbsolute } ?: throw BenchError("-e $key $path: not a full path: begin it with /")

private fun tellResult(written: Written, told: Bundle) {
    val result = written.result
    told.putString("run_id", result.getString("run_id"))
    told.putString("path", written.file.path)
    told.putString("sha256", written.sha256)
    told.putString("check", if (result.getJSONObject("check").getBoolean("passed")) "passed" else "failed")
    told.putString("iterations", result.getJSONObject("protocol").getInt("iterations").toString())
    if (written.bytes.size <= LARGEST_INLINE) {
        told.putString("result_base64", Base64.encodeToString(written.bytes, Base64.NO_WRAP))
    }
}
