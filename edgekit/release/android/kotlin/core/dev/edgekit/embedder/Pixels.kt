package dev.edgekit.embedder

/** A decoded photograph: uint8 RGB, row by row. */
class Pixels(val width: Int, val height: Int, val rgb: ByteArray) {
    init {
        if (width < 1 || height < 1 || 3L * width * height != rgb.size.toLong()) {
            throw EmbedderError("$width x $height pixels are not ${rgb.size} bytes of RGB: decode the photograph again")
        }
    }
}

/**
 * A value of 0 to 255 over white, rounded as Pillow divides by 255:
 * https://github.com/python-pillow/Pillow/blob/main/src/libImaging/ImagingUtils.h
 */
fun onWhite(value: Int, alpha: Int): Byte {
    val sum = 255 * (255 - alpha) + value * alpha + 128
    return ((sum + (sum shr 8)) shr 8).toByte()
}

/** Turn a photograph as its EXIF orientation says; what is outside 1 to 8 changes nothing. */
fun upright(pixels: Pixels, orientation: Int): Pixels {
    if (orientation !in 2..8) return pixels
    val transposed = orientation >= 5
    val (width, height) = if (transposed) pixels.height to pixels.width else pixels.width to pixels.height
    val rgb = ByteArray(pixels.rgb.size)
    var at = 0
    for (y in 0 until height) {
        val row = if (orientation in intArrayOf(3, 4, 7, 8)) height - 1 - y else y
        for (x in 0 until width) {
            val column = if (orientation in intArrayOf(2, 3, 6, 7)) width - 1 - x else x
            val from = 3 * (if (transposed) column * pixels.width + row else row * pixels.width + column)
            rgb[at++] = pixels.rgb[from]
            rgb[at++] = pixels.rgb[from + 1]
            rgb[at++] = pixels.rgb[from + 2]
        }
    }
    return Pixels(width, height, rgb)
}
