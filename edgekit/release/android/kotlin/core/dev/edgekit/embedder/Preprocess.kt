package dev.edgekit.embedder

import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

private const val MIN_CROP_PCT = 1e-4 // far below what any model has; sizes divided by less do not fit into integers
private val SIDES = 1..Protocol.MAX_SIDE

/** How a model's images are made of photographs: size in pixels, the rest as timm defines it. */
data class Preprocessing(
    val height: Int,
    val width: Int,
    val interpolation: String,
    val cropPct: Double,
    val cropMode: String,
    val fill: IntArray,
) {
    init {
        val wrong = when {
            height !in SIDES || width !in SIDES -> "size $height x $width is not from 1 to ${SIDES.last}"
            interpolation !in Protocol.INTERPOLATIONS -> "interpolation ${shown(interpolation)} is unknown"
            !(cropPct >= MIN_CROP_PCT && cropPct <= Protocol.MAX_CROP_PCT) -> "crop_pct $cropPct is not from 0.0001 to 2"
            cropMode !in Protocol.CROP_MODES -> "crop_mode ${shown(cropMode)} is unknown"
            fill.size != 3 || fill.any { it !in 0..255 } -> "fill is not three values from 0 to 255"
            else -> null
        }
        if (wrong != null) throw EmbedderError("preprocessing: $wrong: take it from golden.json or the manifest")
    }
}

/** Scale and crop an upright photograph, equal to EdgeKit's preprocessing in Python, which is timm's at evaluation. */
fun preprocess(pixels: Pixels, spec: Preprocessing): Pixels {
    val (height, width) = scaledSize(pixels, spec)
    val top = max(round((height - spec.height) / 2.0).toLong(), 0)
    val left = max(round((width - spec.width) / 2.0).toLong(), 0)
    val seenHeight = min(height, spec.height.toLong()).toInt()
    val seenWidth = min(width, spec.width.toLong()).toInt()
    val seen = if (height * width > Protocol.MAX_PIXELS) {
        val (down, right) = pixels.height.toDouble() / height to pixels.width.toDouble() / width
        val box = Box(
            (left * right).toFloat(),
            (top * down).toFloat(),
            ((left + seenWidth) * right).toFloat(),
            ((top + seenHeight) * down).toFloat(),
        )
        resize(pixels, seenWidth, seenHeight, box, spec.interpolation)
    } else {
        val whole = Box(0f, 0f, pixels.width.toFloat(), pixels.height.toFloat())
        val scaled = resize(pixels, width.toInt(), height.toInt(), whole, spec.interpolation)
        crop(scaled, left.toInt(), top.toInt(), seenWidth, seenHeight)
    }
    return if (seenHeight == spec.height && seenWidth == spec.width) seen else onCanvas(seen, spec)
}

/** Height and width that the crop is taken from. */
private fun scaledSize(pixels: Pixels, spec: Preprocessing): Pair<Long, Long> {
    val targetHeight = floor(spec.height / spec.cropPct)
    val targetWidth = floor(spec.width / spec.cropPct)
    if (spec.cropMode == "squash") return targetHeight.toLong() to targetWidth.toLong()
    if (spec.cropMode == "center" && targetHeight == targetWidth) {
        val (short, long) = min(pixels.height, pixels.width) to max(pixels.height, pixels.width)
        val other = (targetHeight * long / short).toLong()
        return if (pixels.height <= pixels.width) targetHeight.toLong() to other else other to targetHeight.toLong()
    }
    val (down, right) = pixels.height / targetHeight to pixels.width / targetWidth
    val ratio = if (spec.cropMode == "border") max(down, right) else min(down, right)
    return max(round(pixels.height / ratio).toLong(), 1) to max(round(pixels.width / ratio).toLong(), 1)
}

private fun crop(pixels: Pixels, left: Int, top: Int, width: Int, height: Int): Pixels {
    if (width == pixels.width && height == pixels.height) return pixels
    val rgb = ByteArray(3 * width * height)
    for (y in 0 until height) {
        System.arraycopy(pixels.rgb, 3 * ((top + y) * pixels.width + left), rgb, 3 * y * width, 3 * width)
    }
    return Pixels(width, height, rgb)
}

private fun onCanvas(pixels: Pixels, spec: Preprocessing): Pixels {
    val fill = if (spec.cropMode == "border") spec.fill else intArrayOf(0, 0, 0)
    val rgb = ByteArray(3 * spec.width * spec.height) { fill[it % 3].toByte() }
    val (left, top) = (spec.width - pixels.width) / 2 to (spec.height - pixels.height) / 2
    for (y in 0 until pixels.height) {
        System.arraycopy(pixels.rgb, 3 * y * pixels.width, rgb, 3 * ((top + y) * spec.width + left), 3 * pixels.width)
    }
    return Pixels(spec.width, spec.height, rgb)
}
