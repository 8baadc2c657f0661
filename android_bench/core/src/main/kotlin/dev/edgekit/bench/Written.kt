package dev.edgekit.bench

import java.io.BufferedOutputStream
import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.io.OutputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.DigestOutputStream
import java.security.MessageDigest
import org.json.JSONObject

/** The embeddings of a job as they were written: float32 little-endian [rows,dim]. */
data class Embeddings(val rows: Int, val sha256: String)

/**
 * Measure [job] and write to [out] what [document] makes of it. Where the job names a file for its embeddings, that is
 * beside the result, and whole, before the result is there. On failure neither is written.
 */
fun measureInto(
    out: File,
    job: Job,
    measuring: ((FloatArray) -> Unit) -> Measured,
    document: (Measured) -> JSONObject,
): JSONObject {
    val beside = job.embeddings?.let { File(out.absoluteFile.parentFile, it) }
    val measured = if (beside == null) measuring {} else embeddingsTo(beside, measuring)
    try {
        return document(measured).also { writeResult(it, out) }
    } catch (error: Exception) {
        beside?.delete()
        throw error
    }
}

/** Say before a long measurement, not after it, that its result or its embeddings cannot be written. */
fun expectPlaces(out: File, job: Job) {
    expectPlace(out)
    job.embeddings?.let { expectPlace(File(out.absoluteFile.parentFile, it)) }
}

private fun embeddingsTo(out: File, measuring: ((FloatArray) -> Unit) -> Measured): Measured =
    writeWhole(out) { stream ->
        val digest = MessageDigest.getInstance("SHA-256")
        val rows = BufferedOutputStream(DigestOutputStream(stream, digest))
        var count = 0
        val measured = measuring { embedding ->
            val row = ByteBuffer.allocate(embedding.size * Float.SIZE_BYTES).order(ByteOrder.LITTLE_ENDIAN)
            row.asFloatBuffer().put(embedding)
            rows.write(row.array())
            count++
        }
        rows.flush()
        measured.copy(embeddings = Embeddings(count, hexOf(digest.digest())))
    }

/** What [write] writes appears under the name of [out] only when it is whole; what ends it before leaves nothing. */
fun <Value> writeWhole(out: File, write: (OutputStream) -> Value): Value {
    var partial: File? = null
    try {
        partial = File.createTempFile("edgekit", ".partial", out.absoluteFile.parentFile)
        val value = FileOutputStream(partial).use { stream -> write(stream).also { stream.fd.sync() } }
        if (!partial.renameTo(out)) throw IOException("it cannot be renamed")
        return value
    } catch (error: IOException) {
        throw BenchError("${out.name}: cannot be written (${error.message}): free space, or give another name", error)
    } finally {
        partial?.delete()
    }
}

fun sha256Of(content: ByteArray): String = hexOf(MessageDigest.getInstance("SHA-256").digest(content))

private fun hexOf(digest: ByteArray): String = digest.joinToString("") { "%02x".format(it) }
