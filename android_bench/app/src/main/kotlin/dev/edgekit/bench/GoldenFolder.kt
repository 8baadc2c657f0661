package dev.edgekit.bench

import dev.edgekit.embedder.Protocol
import dev.edgekit.embedder.decode
import java.io.File
import kotlin.math.abs
import org.json.JSONArray
import org.json.JSONObject

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
    val photos = GoldenPhotos(folder, ::decode)
    val (files, spec) = photos.files to photos.spec
    val meaning = "uint8 images [${files.size},${spec.height},${spec.width},3]"
    return Rows(File(folder, Protocol.INPUTS_FILE), files.size, 3L * spec.height * spec.width, meaning).use { wanted ->
        writeWhole(pixels) { out ->
            GoldenReport(
                files.mapIndexed { index, file ->
                    differenceOf(file, photos.pixels(index).also(out::write), wanted.read(index))
                },
            )
        }
    }
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
