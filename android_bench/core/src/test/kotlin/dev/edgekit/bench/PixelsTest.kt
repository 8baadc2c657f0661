package dev.edgekit.bench

import dev.edgekit.embedder.Box
import dev.edgekit.embedder.FILTERS
import dev.edgekit.embedder.Pixels
import dev.edgekit.embedder.Preprocessing
import dev.edgekit.embedder.preprocess
import dev.edgekit.embedder.resize
import dev.edgekit.embedder.upright
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertSame
import org.junit.Test

class PixelsTest {
    /** Each pixel holds its own number, three times changed. */
    private fun numbered(width: Int, height: Int) =
        Pixels(width, height, ByteArray(3 * width * height) { (it / 3 + 50 * (it % 3)).toByte() })

    private fun numbers(pixels: Pixels): List<List<Int>> =
        (0 until pixels.height).map { y ->
            (0 until pixels.width).map { x ->
                val at = 3 * (y * pixels.width + x)
                assertEquals(pixels.rgb[at] + 50, pixels.rgb[at + 1].toInt())
                assertEquals(pixels.rgb[at] + 100, pixels.rgb[at + 2].toInt())
                pixels.rgb[at].toInt()
            }
        }

    @Test
    fun allEightOrientationsTurnAsExifSays() {
        // The stored rows are 0 1 2 / 3 4 5.
        val expected = mapOf(
            1 to listOf(listOf(0, 1, 2), listOf(3, 4, 5)),
            2 to listOf(listOf(2, 1, 0), listOf(5, 4, 3)),
            3 to listOf(listOf(5, 4, 3), listOf(2, 1, 0)),
            4 to listOf(listOf(3, 4, 5), listOf(0, 1, 2)),
            5 to listOf(listOf(0, 3), listOf(1, 4), listOf(2, 5)),
            6 to listOf(listOf(3, 0), listOf(4, 1), listOf(5, 2)),
            7 to listOf(listOf(5, 2), listOf(4, 1), listOf(3, 0)),
            8 to listOf(listOf(2, 5), listOf(1, 4), listOf(0, 3)),
        )
        for ((orientation, rows) in expected) {
            assertEquals("$orientation", rows, numbers(upright(numbered(3, 2), orientation)))
        }
    }

    @Test
    fun otherOrientationsChangeNothing() {
        val pixels = numbered(3, 2)
        for (orientation in listOf(-1, 0, 1, 9, Int.MAX_VALUE)) assertSame(pixels, upright(pixels, orientation))
    }

    @Test
    fun sizesMustFit() {
        refused("2 x 2") { Pixels(2, 2, ByteArray(11)) }
        refused("0 x 5") { Pixels(0, 5, ByteArray(0)) }
        refused("-1 x -1") { Pixels(-1, -1, ByteArray(3)) }
        refused("65536 x 65536") { Pixels(65536, 65536, ByteArray(0)) }
    }

    @Test
    fun aPhotographIsLeftAsItWas() {
        val pixels = numbered(9, 7)
        val before = pixels.rgb.copyOf()
        for (name in FILTERS.keys + "nearest") {
            for (mode in listOf("center", "squash", "border")) {
                val made = preprocess(pixels, Preprocessing(8, 10, name, 0.9, mode, intArrayOf(1, 2, 3)))
                assertEquals(10 to 8, made.width to made.height)
            }
        }
        assertArrayEquals(before, pixels.rgb)
    }

    @Test
    fun aPlainColourStaysTheSame() {
        val plain = Pixels(31, 17, ByteArray(3 * 31 * 17) { (200 + it % 3).toByte() })
        for (name in FILTERS.keys + "nearest") {
            val made = preprocess(plain, Preprocessing(8, 8, name, 0.875, "center", intArrayOf(0, 0, 0)))
            assertArrayEquals(name, ByteArray(3 * 64) { (200 + it % 3).toByte() }, made.rgb)
        }
    }

    @Test
    fun hostilePreprocessingIsRefused() {
        val fill = intArrayOf(0, 0, 0)
        refused("size 0 x 8") { Preprocessing(0, 8, "box", 1.0, "center", fill) }
        refused("size 8 x 70000") { Preprocessing(8, 70_000, "box", 1.0, "center", fill) }
        refused("interpolation cubic") { Preprocessing(8, 8, "cubic", 1.0, "center", fill) }
        for (crop in listOf(0.0, -1.0, Double.NaN, 2.1)) {
            refused("crop_pct") { Preprocessing(8, 8, "box", crop, "center", fill) }
        }
        refused("crop_mode") { Preprocessing(8, 8, "box", 1.0, "middle", fill) }
        refused("fill") { Preprocessing(8, 8, "box", 1.0, "border", intArrayOf(0, 256, 0)) }
        refused("fill") { Preprocessing(8, 8, "box", 1.0, "border", intArrayOf(0, 0)) }
    }

    @Test
    fun theLargestSizesAreRefusedWithoutTheirMemory() {
        val strip = Pixels(1, 5_000_000, ByteArray(15_000_000))
        refused("more than fit") {
            resize(strip, 65_536, 5_000_000, Box(0f, 0f, 1f, 5_000_000f), "box")
        }
    }
}
