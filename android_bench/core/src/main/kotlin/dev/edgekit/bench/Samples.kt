package dev.edgekit.bench

import java.io.DataInputStream
import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder

private const val LARGEST_ARRAY = Int.MAX_VALUE - 8L

/** The images of a job, one after the other, uint8 RGB [count,height,width,3]. */
internal fun readImages(job: Job): ByteArray {
    val sizes = longArrayOf(job.count.toLong(), job.height.toLong(), job.width.toLong(), 3)
    return readExactly(job.inputs, sizes, "uint8 images [${job.count},${job.height},${job.width},3]")
}

/** The golden embeddings of the images, one after the other, float32 [count,dim]. */
internal fun readGolden(job: Job): FloatArray {
    val sizes = longArrayOf(job.count.toLong(), job.dim.toLong(), Float.SIZE_BYTES.toLong())
    val bytes = readExactly(job.golden, sizes, "float32 embeddings [${job.count},${job.dim}]")
    val golden = FloatArray(job.count * job.dim)
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(golden)
    for (image in 0 until job.count) {
        val embedding = golden.asList().subList(image * job.dim, (image + 1) * job.dim)
        val finite = embedding.all(Float::isFinite)
        val wrong = if (finite) "is all zeros" else "holds a value that is not finite"
        if (!finite || embedding.all { it == 0f }) {
            throw BenchError("${job.golden.name}: the embedding of image $image $wrong: make the file again")
        }
    }
    return golden
}

private fun readExactly(file: File, sizes: LongArray, meaning: String): ByteArray {
    val bytes = sizes.fold(1L) { product, size -> Math.multiplyExact(product, size) }
    if (bytes > LARGEST_ARRAY) throw BenchError("${file.name}: $meaning are too many to hold: give fewer images")
    if (!file.isFile) throw BenchError("${file.name}: not there or not a file: put it into the job's folder")
    if (file.length() != bytes) {
        val present = "${file.name}: has ${file.length()} bytes"
        throw BenchError("$present, $meaning are $bytes: make it again or correct the sizes")
    }
    try {
        val content = ByteArray(bytes.toInt())
        DataInputStream(file.inputStream()).use { it.readFully(content) }
        return content
    } catch (error: IOException) {
        val reason = error.message ?: "it became shorter"
        throw BenchError("${file.name}: cannot be read ($reason): put it there again", error)
    } catch (error: OutOfMemoryError) {
        throw BenchError("${file.name}: no memory for $bytes bytes: give fewer images", error)
    }
}
