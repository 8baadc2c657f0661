package dev.edgekit.embedder

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.ColorSpace
import android.os.Build

private const val ROWS = 64

/**
 * Decode one image to RGB as its file holds it: transparency composited on white, colour profiles ignored, neither
 * turned nor scaled. [name] starts the line of a [EmbedderError].
 */
internal fun decode(bytes: ByteArray, name: String = "image"): Pixels {
    val size = BitmapFactory.Options().apply { inJustDecodeBounds = true }
    BitmapFactory.decodeByteArray(bytes, 0, bytes.size, size)
    val (width, height) = size.outWidth to size.outHeight
    if (width < 1 || height < 1) throw EmbedderError("$name: not an image that Android decodes: replace it")
    if (width.toLong() * height > Protocol.MAX_PIXELS) {
        throw EmbedderError("$name: $width x $height pixels are more than ${Protocol.MAX_PIXELS}: scale it down")
    }
    val options = BitmapFactory.Options().apply {
        inPreferredConfig = Bitmap.Config.ARGB_8888
        inPremultiplied = false
        inScaled = false
    }
    try {
        val bitmap = BitmapFactory.decodeByteArray(bytes, 0, bytes.size, options)
            ?: throw EmbedderError("$name: damaged: replace it")
        try {
            return pixelsOf(bitmap.asStored())
        } finally {
            bitmap.recycle()
        }
    } catch (_: OutOfMemoryError) {
        throw EmbedderError("$name: this phone has no memory for $width x $height pixels: scale it down")
    }
}

/** getPixels converts from the file's colour space; named sRGB, there is nothing to convert. */
private fun Bitmap.asStored(): Bitmap = apply {
    if (Build.VERSION.SDK_INT >= 29 && colorSpace != null) setColorSpace(ColorSpace.get(ColorSpace.Named.SRGB))
}

/** The values of a bitmap as Android gives them, composited on white. */
internal fun pixelsOf(bitmap: Bitmap): Pixels {
    val (width, height) = bitmap.width to bitmap.height
    val rgb = ByteArray(3 * width * height)
    val colors = IntArray(width * ROWS)
    var at = 0
    for (top in 0 until height step ROWS) {
        val rows = minOf(ROWS, height - top)
        bitmap.getPixels(colors, 0, width, 0, top, width, rows)
        for (i in 0 until width * rows) {
            val alpha = colors[i] ushr 24
            rgb[at++] = onWhite(colors[i] shr 16 and 255, alpha)
            rgb[at++] = onWhite(colors[i] shr 8 and 255, alpha)
            rgb[at++] = onWhite(colors[i] and 255, alpha)
        }
    }
    return Pixels(width, height, rgb)
}
