package dev.edgekit.bench

import android.content.Context
import android.os.Process
import dev.edgekit.embedder.Protocol
import dev.edgekit.embedder.decode
import java.io.File
import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale
import java.util.TimeZone
import org.json.JSONObject

/** A result, the file that holds it, and that of the embeddings beside it where the job asks for them. */
internal class Written(val result: JSONObject, val file: File, val embeddings: File?) {
    val bytes: ByteArray = file.readBytes()
    val sha256: String = sha256Of(bytes)
}

/** Measure [job] and write its result below the app's external files; [background] is asked after the last sample. */
internal fun runJob(context: Context, job: Job, harness: String?, background: () -> Boolean?): Written {
    // Instrumentation starts its thread above all others of an app, and the runtime's threads would inherit that.
    Process.setThreadPriority(Process.THREAD_PRIORITY_DEFAULT)
    val out = outOf(context, job).also { expectPlaces(it, job) }
    val started = utcNow()
    val before = stateNow(context)
    val (screen, airplane) = screenOn(context) to airplane(context)
    val opener = openerOf(job)
    val measuring = { row: (FloatArray) -> Unit -> measure(job, opener, ::decode, row = row) }
    val result = measureInto(out, job, measuring) { measured ->
        val (after, device) = stateNow(context) to deviceFacts(context)
        report(job, measured, "android-app", harness, device, before, after, started, background()).apply {
            getJSONObject("protocol").put("screen_on", screen).put("airplane", airplane ?: JSONObject.NULL)
        }
    }
    return Written(result, out, job.embeddings?.let { File(out.parentFile, it) })
}

private fun utcNow(): String {
    val format = SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss'Z'", Locale.ROOT)
    format.timeZone = TimeZone.getTimeZone("UTC")
    return format.format(Date())
}

/** `edgekit-RUNID/NAME` where the app may write and `adb pull` may read; only the name of the job's `out` counts. */
internal fun outOf(context: Context, job: Job): File {
    if (!isFileName(job.out.name)) {
        throw BenchError("out ${job.out.name.take(100)}: not a plain file name: give one like result.json")
    }
    return File(outFolder(context, job.runId), job.out.name)
}

internal fun outFolder(context: Context, run: String): File {
    val folder = File(externalFiles(context), Protocol.RUN_FOLDER_PREFIX + run)
    if (!folder.isDirectory && !folder.mkdirs()) throw BenchError("$folder: cannot be made: free space on the phone")
    return folder
}

internal fun externalFiles(context: Context): File = context.getExternalFilesDir(null)
    ?: throw BenchError("this phone's shared storage is not there: unlock the phone or put its storage in")

/** One line for a person about what ended a run. */
internal fun lineOf(error: Throwable): String {
    val known = error as? BenchError ?: BenchError("the app failed ($error): report this, with the phone's log")
    return known.message.orEmpty()
}
