package dev.edgekit.bench.desktop

import dev.edgekit.bench.BenchError
import dev.edgekit.bench.GoldenPhotos
import dev.edgekit.bench.writeWhole
import dev.edgekit.embedder.Pixels
import dev.edgekit.embedder.onWhite
import java.awt.image.BufferedImage
import java.awt.image.DataBuffer
import java.awt.image.IndexColorModel
import java.io.File
import java.io.IOException
import javax.imageio.ImageIO

/** Decode, turn and preprocess each photo of a golden folder; write them as uint8 [N,H,W,3]. */
internal fun preprocessGolden(folder: File, out: File) {
    val photos = GoldenPhotos(folder, ::photo)
    writeWhole(out) { stream -> photos.files.indices.forEach { stream.write(photos.pixels(it)) } }
}

/** The pixels of a photo, as a desktop decodes it. */
internal fun photo(content: ByteArray, name: String): Pixels {
    val image = try {
        ImageIO.read(content.inputStream()) ?: throw BenchError("$name: neither JPEG nor PNG: replace it")
    } catch (error: IOException) {
        throw BenchError("$name: cannot be decoded (${error.message}): replace it", error)
    }
    return pixelsOf(image, name)
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
