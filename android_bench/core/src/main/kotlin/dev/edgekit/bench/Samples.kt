package dev.edgekit.bench

import java.io.Closeable
import java.io.EOFException
import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder

private const val LARGEST_ARRAY = Int.MAX_VALUE - 8L

/** The images of a job, of which one is in memory at a time. */
interface Images : Closeable {
    /** uint8 RGB [height,width,3]; the next one may take its place. */
    fun read(image: Int): ByteArray
}

internal fun imagesOf(job: Job, decode: Decode): Images {
    val sizes = "${job.height},${job.width},3"
    val inputs = job.inputs ?: return JobPhotos(job, decode)
    return Rows(inputs, job.count, 3L * job.height * job.width, "uint8 images [${job.count},$sizes]")
}

/** The golden embeddings of the images, one after the other, float32 [count,dim]. */
internal fun readGolden(job: Job): FloatArray {
    if (job.count.toLong() * job.dim > LARGEST_ARRAY) throw BenchError("${job.golden.name}: too many values: give fewer")
    val meaning = "float32 embeddings [${job.count},${job.dim}]"
    return Rows(job.golden, job.count, job.dim * Float.SIZE_BYTES.toLong(), meaning).use { rows ->
        val golden = FloatArray(job.count * job.dim)
        for (image in 0 until job.count) {
            val row = ByteBuffer.wrap(rows.read(image)).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
            row.get(golden, image * job.dim, job.dim)
            val embedding = golden.asList().subList(image * job.dim, (image + 1) * job.dim)
            val finite = embedding.all(Float::isFinite)
            val wrong = if (finite) "is all zeros" else "holds a value that is not finite"
            if (!finite || embedding.all { it == 0f }) {
                throw BenchError("${job.golden.name}: the embedding of image $image $wrong: make the file again")
            }
        }
        golden
    }
}

/** A file of [count] rows of [size] bytes each, and nothing else. */
class Rows(private val file: File, count: Int, private val size: Long, meaning: String) : Images {
    private val content: RandomAccessFile
    private val row: ByteArray

    init {
        val bytes = Math.multiplyExact(size, count.toLong())
        if (size > LARGEST_ARRAY) throw BenchError("${file.name}: $meaning are too large to hold one: give smaller ones")
        if (!file.isFile) throw BenchError("${file.name}: not there or not a file: put it into the job's folder")
        if (file.length() != bytes) {
            val present = "${file.name}: has ${file.length()} bytes"
            throw BenchError("$present, $meaning are $bytes: make it again or correct the sizes")
        }
        try {
            row = ByteArray(size.toInt())
            content = RandomAccessFile(file, "r")
        } catch (error: IOException) {
            throw unreadable(error)
        } catch (error: OutOfMemoryError) {
            throw BenchError("${file.name}: no memory for $size bytes: give smaller images", error)
        }
    }

    override fun read(image: Int): ByteArray {
        try {
            content.seek(image * size)
            content.readFully(row)
            return row
        } catch (error: IOException) {
            throw unreadable(error)
        }
    }

    override fun close() = content.close()

    private fun unreadable(error: IOException): BenchError {
        val reason = if (error is EOFException) "it became shorter" else error.message
        return BenchError("${file.name}: cannot be read ($reason): put it there again", error)
    }
}
