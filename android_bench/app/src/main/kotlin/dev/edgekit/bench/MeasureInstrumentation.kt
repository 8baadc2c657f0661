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
        val bundle = Bundle()
        val code = try {
            act(bundle)
            Activity.RESULT_OK
        } catch (error: Throwable) { // a crash would show a dialog and lose the line
            Log.e(TAG, "failed", error)
            bundle.clear()
            bundle.putString("error", lineOf(error))
            Activity.RESULT_CANCELED
        }
        finish(code, bundle)
    }

    private fun act(bundle: Bundle) {
        val golden = given["golden"]
        // `golden` is also a key of a job, where it comes with all the others.
        if (golden != null && given.keys == setOf("golden")) return answerGolden(folderOf("golden", golden), bundle)
        val harness = given["harness"]
        if (harness != null && (harness.length !in 1..100 || harness.any { it.isISOControl() })) {
            throw BenchError("harness: not a line of 1 to 100 characters: give one like adb")
        }
        val job = jobGiven(given - "harness")
        comeToFront()
        val written = runJob(targetContext, job, harness) { inBackground() }
        answerResult(written, bundle)
    }

    private fun answerGolden(folder: File, bundle: Bundle) {
        val pixels = File(outFolder(targetContext, "golden"), "pixels.bin")
        val report = compareGolden(folder, pixels)
        bundle.putString("path", pixels.path)
        bundle.putString("items", report.items.size.toString())
        bundle.putString("largest_difference", report.items.maxOf { it.largest }.toString())
        bundle.putString("worst", report.items.maxBy { it.largest }.file)
        bundle.putString("differences", report.json())
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

private fun answerResult(written: Written, bundle: Bundle) {
    val result = written.result
    bundle.putString("run_id", result.getString("run_id"))
    bundle.putString("path", written.file.path)
    bundle.putString("sha256", written.sha256)
    written.embeddings?.let { bundle.putString("embeddings", it.path) }
    bundle.putString("check", if (result.getJSONObject("check").getBoolean("passed")) "passed" else "failed")
    bundle.putString("iterations", result.getJSONObject("protocol").getInt("iterations").toString())
    if (written.bytes.size <= LARGEST_INLINE) {
        bundle.putString("result_base64", Base64.encodeToString(written.bytes, Base64.NO_WRAP))
    }
}
