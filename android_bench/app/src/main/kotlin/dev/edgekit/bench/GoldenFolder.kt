package dev.edgekit.bench

import java.io.DataInputStream
import java.io.EOFException
import java.io.File
import java.io.FileInputStream
import java.io.IOException
import kotlin.math.abs
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

private const val SCHEMA = "edgekit.golden/1"
private const val MOST_ITEMS = 1024
private const val LARGEST_TEXT = 1L shl 20
private const val LARGEST_PHOTO = 64L shl 20

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
    val name = File(folder, "golden.json")
    val partial = File("${pixels.path}.partial")
    try {
        val golden = JSONObject(String(contentOf(name, LARGEST_TEXT), Charsets.UTF_8))
        if (golden.optString("schema") != SCHEMA) throw BenchError("$name: not $SCHEMA: make it with edgekit golden")
        val spec = preprocessingOf(golden.getJSONObject("preprocessing"))
        val items = golden.getJSONArray("items")
        val count = items.length()
        if (count !in 1..MOST_ITEMS) throw BenchError("$name: has $count items: give 1 to $MOST_ITEMS")
        val bytes = 3L * spec.height * spec.width
        if (bytes > LARGEST_PHOTO) throw BenchError("$name: images of $bytes bytes are too large: give a smaller size")
        val inputs = File(folder, "inputs.bin")
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
        throw BenchError("$folder: inputs.bin became shorter: push it again")
    } catch (error: IOException) {
        throw BenchError("$folder: cannot be read (${error.message}): push it again, readable to apps")
    } finally {
        partial.delete()
    }
}

private fun preprocessingOf(spec: JSONObject): Preprocessing {
    val fill = spec.getJSONArray("fill")
    return Preprocessing(
        height = spec.getInt("height"),
        width = spec.getInt("width"),
        interpolation = spec.getString("interpolation"),
        cropPct = spec.getDouble("crop_pct"),
        cropMode = spec.getString("crop_mode"),
        fill = IntArray(fill.length()) { fill.getInt(it) },
    )
}

private fun ownPixels(folder: File, item: JSONObject, spec: Preprocessing): ByteArray {
    val name = item.getString("file")
    val file = File(folder, name)
    if (!file.canonicalFile.path.startsWith(folder.canonicalFile.path + File.separator)) {
        throw BenchError("${name.take(200)}: leads out of the golden folder: make it with edgekit golden")
    }
    val content = contentOf(file, LARGEST_PHOTO)
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
