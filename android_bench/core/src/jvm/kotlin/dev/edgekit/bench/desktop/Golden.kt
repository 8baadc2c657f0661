package dev.edgekit.bench.desktop

import dev.edgekit.bench.BenchError
import dev.edgekit.bench.expectPlace
import dev.edgekit.bench.parseObject
import dev.edgekit.bench.preprocessingOf
import dev.edgekit.bench.readSmall
import dev.edgekit.embedder.Pixels
import dev.edgekit.embedder.Protocol
import dev.edgekit.embedder.onWhite
import dev.edgekit.embedder.orientationOf
import dev.edgekit.embedder.preprocess
import dev.edgekit.embedder.upright
import java.awt.image.BufferedImage
import java.awt.image.DataBuffer
import java.awt.image.IndexColorModel
import java.io.File
import java.io.IOException
import javax.imageio.ImageIO
import org.json.JSONException

/** Decode, turn and preprocess each photo of a golden folder; write them as uint8 [N,H,W,3]. */
internal fun preprocessGolden(folder: File, out: File) {
    expectPlace(out)
    val file = File(folder, Protocol.GOLDEN_FILE)
    val golden = parseObject(file.name, readSmall(file, Protocol.MAX_GOLDEN_BYTES))
    if (golden.opt("schema") != Protocol.GOLDEN_SCHEMA) {
        throw BenchError("${file.name}: its schema is not ${Protocol.GOLDEN_SCHEMA}: make it with edgekit golden")
    }
    try {
        val spec = preprocessingOf(golden.getJSONObject("preprocessing"))
        val items = golden.getJSONArray("items")
        if (items.length() !in 1..Protocol.MAX_GOLDEN_ITEMS) {
            throw BenchError("${file.name}: has ${items.length()} items: give 1 to ${Protocol.MAX_GOLDEN_ITEMS}")
        }
        val names = List(items.length()) { items.getJSONObject(it).getString("file") }
        val made = names.map { preprocess(photo(folder, it), spec).rgb }
        out.outputStream().use { stream -> made.forEach(stream::write) }
    } catch (error: JSONException) {
        throw BenchError("${file.name}: ${error.message}: make it with edgekit golden", error)
    } catch (error: IOException) {
        throw BenchError("${out.name}: cannot be written (${error.message}): give another name", error)
    }
}

private fun photo(folder: File, name: String): Pixels {
    val file = File(folder, name)
    if (!file.canonicalFile.startsWith(folder.canonicalFile)) {
        throw BenchError("$name: not below the golden folder: make it with edgekit golden")
    }
    if (!file.isFile || file.length() > Protocol.MAX_PHOTO_BYTES) {
        throw BenchError("$name: not there, not a file, or larger than ${Protocol.MAX_PHOTO_BYTES} bytes: replace it")
    }
    val content = file.readBytes()
    val image = try {
        ImageIO.read(content.inputStream()) ?: throw BenchError("$name: neither JPEG nor PNG: replace it")
    } catch (error: IOException) {
        throw BenchError("$name: cannot be decoded (${error.message}): replace it", error)
    }
    return upright(pixelsOf(image, name), orientationOf(content))
}

/** The values that the file holds: what BufferedImage.getRGB gives is converted from grey or from a colour profile. */
private fun pixelsOf(image: BufferedImage, name: String): Pixels {
    val rgb = ByteArray(3 * image.width * image.height)
    val bands = image.raster.numBands
    val indexed = image.colorModel is IndexColorModel
    if (!indexed && image.raster.sampleModel.dataType != DataBuffer.TYPE_BYTE) {
        throw BenchError("$name: more than 8 bits a channel: convert it to 8")
    }
    val alphaBand = if (bands == 2 || bands == 4) bands - 1 else null
    var at = 0
    for (y in 0 until image.height) {
        val row = if (indexed) null else image.raster.getPixels(0, y, image.width, 1, null as IntArray?)
        for (x in 0 until image.width) {
            val color = if (row == null) image.getRGB(x, y) else 0
            val alpha = if (row == null) color ushr 24 else alphaBand?.let { row[x * bands + it] } ?: 255
            for (channel in 0 until 3) {
                val band = if (bands < 3) 0 else channel
                val value = if (row == null) color shr (16 - 8 * channel) and 255 else row[x * bands + band]
                rgb[at++] = onWhite(value, alpha)
            }
        }
    }
    return Pixels(image.width, image.height, rgb)
}
