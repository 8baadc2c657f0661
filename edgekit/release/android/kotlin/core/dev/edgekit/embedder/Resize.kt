package dev.edgekit.embedder

import kotlin.math.max

private const val PRECISION_BITS = 32 - 8 - 2
private const val LARGEST_ARRAY = Int.MAX_VALUE - 8L

/** A part of an image, in its pixels; Pillow keeps single precision of it. */
internal class Box(val left: Float, val top: Float, val right: Float, val bottom: Float)

/** Scale a part of an image to a size, equal to `PIL.Image.resize` of Pillow 13. */
internal fun resize(pixels: Pixels, width: Int, height: Int, box: Box, interpolation: String): Pixels {
    if (interpolation == "nearest") return nearest(pixels, width, height, box)
    val filter = FILTERS.getValue(interpolation)
    val columns = weights(pixels.width, box.left, box.right, width, filter)
    val rows = weights(pixels.height, box.top, box.bottom, height, filter)
    val across = { source: Pixels, range: IntRange ->
        if (columns.isIdentity(pixels.width)) source else horizontal(source, columns, range)
    }
    val down = { source: Pixels -> if (rows.isIdentity(pixels.height)) source else vertical(source, rows) }
    // The first pass rounds to 8 bits. Before 13, Pillow began with the columns, but for very tall images.
    val removed = pixels.height - height
    val downFirst = removed > 0 && removed > 2 * (pixels.width - width)
    return if (downFirst) across(down(pixels), 0 until height) else down(across(pixels, rows.taken))
}

/** For each place of the result: the first pixel that it takes, and fixed-point weights of that and the next ones. */
private class Weights(val first: IntArray, val each: Array<IntArray>, private val whole: Boolean) {
    fun isIdentity(size: Int): Boolean = whole && first.size == size

    val taken: IntRange get() = first.first() until first.last() + each.last().size
}

private fun weights(size: Int, start: Float, end: Float, wanted: Int, filter: Filter): Weights {
    val scale = (end - start).toDouble() / wanted
    val reduction = max(scale, 1.0)
    val support = filter.support * reduction
    val first = IntArray(wanted)
    val each = Array(wanted) { place ->
        val center = start + (place + 0.5) * scale
        val from = max((center - support + 0.5).toInt(), 0)
        val until = (center + support + 0.5).toInt().coerceAtMost(size)
        val exact = DoubleArray(until - from) { filter.weight((it + from - center + 0.5) * (1 / reduction)) }
        val sum = exact.fold(0.0, Double::plus)
        first[place] = from
        IntArray(exact.size) { fixed(if (sum != 0.0) exact[it] / sum else exact[it]) }
    }
    return Weights(first, each, start == 0f && end == size.toFloat())
}

private fun fixed(weight: Double): Int {
    val scaled = weight * (1 shl PRECISION_BITS)
    return (if (weight < 0) scaled - 0.5 else scaled + 0.5).toInt()
}

private fun rounded(sum: Int): Byte = (sum shr PRECISION_BITS).coerceIn(0, 255).toByte()

private fun room(width: Int, height: Int): ByteArray {
    val bytes = 3L * width * height
    if (bytes > LARGEST_ARRAY) {
        throw EmbedderError("$width x $height pixels are more than fit: give a smaller photograph")
    }
    return ByteArray(bytes.toInt())
}

/** Only these rows are made: the others stay zero. */
private fun horizontal(pixels: Pixels, columns: Weights, rows: IntRange): Pixels {
    val width = columns.first.size
    val rgb = room(width, pixels.height)
    for (y in rows) {
        for (x in 0 until width) {
            val weights = columns.each[x]
            var from = 3 * (y * pixels.width + columns.first[x])
            var red = 1 shl (PRECISION_BITS - 1)
            var green = red
            var blue = red
            for (weight in weights) {
                red += (pixels.rgb[from++].toInt() and 255) * weight
                green += (pixels.rgb[from++].toInt() and 255) * weight
                blue += (pixels.rgb[from++].toInt() and 255) * weight
            }
            val at = 3 * (y * width + x)
            rgb[at] = rounded(red)
            rgb[at + 1] = rounded(green)
            rgb[at + 2] = rounded(blue)
        }
    }
    return Pixels(width, pixels.height, rgb)
}

private fun vertical(pixels: Pixels, rows: Weights): Pixels {
    val height = rows.first.size
    val stride = 3 * pixels.width
    val rgb = room(pixels.width, height)
    val sums = IntArray(stride)
    for (y in 0 until height) {
        sums.fill(1 shl (PRECISION_BITS - 1))
        rows.each[y].forEachIndexed { row, weight ->
            val from = (rows.first[y] + row) * stride
            for (i in 0 until stride) sums[i] += (pixels.rgb[from + i].toInt() and 255) * weight
        }
        for (i in 0 until stride) rgb[y * stride + i] = rounded(sums[i])
    }
    return Pixels(pixels.width, height, rgb)
}

private fun nearest(pixels: Pixels, width: Int, height: Int, box: Box): Pixels {
    val columns = nearestPlaces(pixels.width, box.left, box.right, width)
    val rows = nearestPlaces(pixels.height, box.top, box.bottom, height)
    val rgb = room(width, height)
    for (y in 0 until height) {
        for (x in 0 until width) {
            if (rows[y] < 0 || columns[x] < 0) continue
            System.arraycopy(pixels.rgb, 3 * (rows[y] * pixels.width + columns[x]), rgb, 3 * (y * width + x), 3)
        }
    }
    return Pixels(width, height, rgb)
}

/** Summed up step by step as Pillow does, whose rounding adds up; -1 is outside. */
private fun nearestPlaces(size: Int, start: Float, end: Float, wanted: Int): IntArray {
    val step = (end - start).toDouble() / wanted
    var place = start + step * 0.5
    return IntArray(wanted) {
        val found = if (place < 0) -1 else place.toInt()
        place += step
        if (found < size) found else -1
    }
}
