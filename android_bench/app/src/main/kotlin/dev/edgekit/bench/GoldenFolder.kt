package dev.edgekit.bench

import dev.edgekit.embedder.Preprocessing
import dev.edgekit.embedder.Protocol
import dev.edgekit.embedder.decode
import dev.edgekit.embedder.orientationOf
import dev.edgekit.embedder.preprocess
import dev.edgekit.embedder.upright
import java.io.DataInputStream
import java.io.EOFException
import java.io.File
import java.io.FileInputStream
import java.io.IOException
import kotlin.math.abs
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

private const val LARGEST_IMAGE = 64L shl 20 // bytes of one image as the model takes it: it is held in memory

/** How far this phone's pixels are from the golden ones, in levels of 0-255. */
internal class Difference(val file: String, val largest: Int, val mean: Double)

internal class GoldenReport(val items: List<Difference>) {
    fun json(): String = JSONArray(
        items.map { JSONObject().put("file", it.file).put("largest", it.largest).put("mean", it.mean) },
    ).toString()
}

/**
 * Decode, turn, scale and crop every photo of a golden folder (`edgekit.golden/1`), and compare with its `inputs.bin`.
 * What this phone makes of them is written to [pixels], uint8 RGB [N,H,W,3].
 */
internal fun compareGolden(folder: File, pixels: File): GoldenReport {
    val name = File(folder, Protocol.GOLDEN_FILE)
    val partial = File("${pixels.path}.partial")
    try {
        val golden = JSONObject(String(contentOf(name, Protocol.MAX_GOLDEN_BYTES), Charsets.UTF_8))
        if (golden.optString("schema") != Protocol.GOLDEN_SCHEMA) {
            throw BenchError("$name: its schema is not ${Protocol.GOLDEN_SCHEMA}: make it with edgekit golden")
        }
        val spec = preprocessingOf(golden.getJSONObject("preprocessing"))
        val items = golden.getJSONArray("items")
        val count = items.length()
        if (count !in 1..Protocol.MAX_GOLDEN_ITEMS) {
            throw BenchError("$name: has $count items: give 1 to ${Protocol.MAX_GOLDEN_ITEMS}")
        }
        val bytes = 3L * spec.height * spec.width
        if (bytes > LARGEST_IMAGE) throw BenchError("$name: images of $bytes bytes are too large: give a smaller size")
        val inputs = File(folder, Protocol.INPUTS_FILE)
        if (inputs.length() != bytes * count) {
            throw BenchError("$inputs: has ${inputs.length()} bytes, $count images are ${bytes * count}: push it again")
        }
        val differences = DataInputStream(FileInputStream(inputs).buffered()).use { stream ->
            partial.outputStream().buffered().use { out ->
                List(count) { index ->
                    val wanted = ByteArray(bytes.toInt()).also { stream.readFully(it) }
                    val item = items.getJSONObject(index)
                    val own = ownPixels(folder, item, spec).also { out.write(it) }
                    differenceOf(item.getString("file"), own, wanted)
                }
            }
        }
        if (!partial.renameTo(pixels)) throw IOException("$pixels cannot be made")
        return GoldenReport(differences)
    } catch (error: JSONException) {
        throw BenchError("$name: ${error.message}: make it with edgekit golden")
    } catch (error: EOFException) {
        throw BenchError("$folder: ${Protocol.INPUTS_FILE} became shorter: push it again")
    } catch (error: IOException) {
        throw BenchError("$folder: cannot be read (${error.message}): push it again, readable to apps")
    } finally {
        partial.delete()
    }
}

private fun ownPixels(folder: File, item: JSONObject, spec: Preprocessing): ByteArray {
    val name = item.getString("file")
    val file = File(folder, name)
    if (!file.canonicalFile.path.startsWith(folder.canonicalFile.path + File.separator)) {
        throw BenchError("${name.take(200)}: leads out of the golden folder: make it with edgekit golden")
    }
    val content = contentOf(file, Protocol.MAX_PHOTO_BYTES)
    if (sha256Of(content) != item.getString("sha256")) throw BenchError("$file: has changed: push it again")
    return preprocess(upright(decode(content, name), orientationOf(content)), spec).rgb
}

private fun differenceOf(file: String, own: ByteArray, wanted: ByteArray): Difference {
    var largest = 0
    var sum = 0L
    for (at in wanted.indices) {
        val difference = abs((own[at].toInt() and 255) - (wanted[at].toInt() and 255))
        largest = maxOf(largest, difference)
        sum += difference
    }
    return Difference(file, largest, sum.toDouble() / wanted.size)
}

private fun contentOf(file: File, most: Long): ByteArray {
    if (!file.isFile) throw BenchError("$file: not there, or not readable to apps: push it")
    if (file.length() > most) throw BenchError("$file: has ${file.length()} bytes, more than $most: give a smaller one")
    return file.readBytes()
}
