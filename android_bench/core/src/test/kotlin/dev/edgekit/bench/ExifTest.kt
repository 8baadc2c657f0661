package dev.edgekit.bench

import dev.edgekit.embedder.orientationOf
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.random.Random
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

private val ORDERS = listOf(ByteOrder.LITTLE_ENDIAN, ByteOrder.BIG_ENDIAN)

class ExifTest {
    /** A TIFF header and a directory with another entry before the orientation. */
    private fun tiff(
        order: ByteOrder,
        value: Int,
        type: Int = 3,
        number: Int = 1,
        start: Int = 8,
        entries: Int = 2,
        tag: Int = 0x0112,
    ): ByteArray {
        val bytes = ByteBuffer.allocate(8 + 2 + 24 + 4).order(order)
        val name = if (order == ByteOrder.BIG_ENDIAN) "MM" else "II"
        bytes.put(name.toByteArray()).putShort(42).putInt(start)
        bytes.putShort(entries.toShort()).putShort(0x010F).putShort(2).putInt(4).putInt(0)
        bytes.putShort(tag.toShort()).putShort(type.toShort()).putInt(number)
        if (type == 3) bytes.putShort(value.toShort()).putShort(0) else bytes.putInt(value)
        return bytes.putInt(8).array() // the next directory is this one again
    }

    private fun segment(marker: Int, content: ByteArray): ByteArray =
        ByteBuffer.allocate(4 + content.size).putShort((0xFF00 or marker).toShort())
            .putShort((2 + content.size).toShort()).put(content).array()

    private fun jpeg(tiff: ByteArray, before: ByteArray = segment(0xE0, "JFIF\u0000".toByteArray())): ByteArray =
        byteArrayOf(-1, 0xD8.toByte()) + before + segment(0xE1, "Exif\u0000\u0000".toByteArray() + tiff) +
            segment(0xDA, ByteArray(9))

    private fun png(tiff: ByteArray): ByteArray {
        fun chunk(name: String, content: ByteArray) =
            ByteBuffer.allocate(12 + content.size).putInt(content.size).put(name.toByteArray()).put(content).array()
        val start = byteArrayOf(0x89.toByte(), 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A)
        return start + chunk("IHDR", ByteArray(13)) + chunk("IDAT", ByteArray(7)) + chunk("eXIf", tiff) +
            chunk("IEND", ByteArray(0))
    }

    @Test
    fun eachOrientationIsFound() {
        for (order in ORDERS) for (value in 1..8) {
            assertEquals(value, orientationOf(jpeg(tiff(order, value))))
            assertEquals(value, orientationOf(png(tiff(order, value))))
            assertEquals(value, orientationOf(jpeg(tiff(order, value, type = 4))))
        }
    }

    @Test
    fun whatIsNoOrientationIsOne() {
        for (order in ORDERS) for (wrap in listOf<(ByteArray) -> ByteArray>({ jpeg(it) }, ::png)) {
            for (value in listOf(0, 9, 255, 65535)) assertEquals(1, orientationOf(wrap(tiff(order, value))))
            for (type in listOf(0, 1, 2, 5, 7, 65535)) assertEquals(1, orientationOf(wrap(tiff(order, 6, type = type))))
            for (number in listOf(0, 2, -1)) assertEquals(1, orientationOf(wrap(tiff(order, 6, number = number))))
            for (start in listOf(0, 1, 7, 9, 37, 38, 1 shl 30, Int.MAX_VALUE, -1, Int.MIN_VALUE)) {
                assertEquals(1, orientationOf(wrap(tiff(order, 6, start = start))))
            }
            // Behind a directory that names itself as the next one.
            assertEquals(1, orientationOf(wrap(tiff(order, 6, entries = 1))))
            assertEquals(1, orientationOf(wrap(tiff(order, 6, tag = 0x0113, entries = 65535))))
            assertEquals(6, orientationOf(wrap(tiff(order, 6, entries = 65535))))
            assertEquals(1, orientationOf(wrap(tiff(order, 6).also { it[2] = 7; it[3] = 7 })))
            assertEquals(1, orientationOf(wrap(tiff(order, 6).also { it[0] = 'X'.code.toByte() })))
        }
    }

    @Test
    fun otherSegmentsAreStepped() {
        val tiff = tiff(ByteOrder.BIG_ENDIAN, 6)
        val xmp = segment(0xE1, "http://ns.adobe.com/xap/1.0/\u0000Exif".toByteArray())
        val filled = byteArrayOf(-1, -1, -1) + segment(0xE2, ByteArray(65_533 - 2)).drop(1).toByteArray()
        for (before in listOf(xmp, filled, byteArrayOf(-1, 0x01), byteArrayOf(-1, 0xD0.toByte()))) {
            assertEquals(6, orientationOf(jpeg(tiff, before)))
        }
        assertEquals("behind the pixels", 1, orientationOf(jpeg(tiff, segment(0xDA, ByteArray(6)))))
        assertEquals("a length of 0", 1, orientationOf(jpeg(tiff, byteArrayOf(-1, 0xE0.toByte(), 0, 0))))
        assertEquals("no marker", 1, orientationOf(jpeg(tiff, byteArrayOf(0, 0))))
    }

    @Test
    fun aTruncatedFileIsOneOrWhatItSays() {
        for (order in ORDERS) for (file in listOf(jpeg(tiff(order, 6)), png(tiff(order, 6)))) {
            val found = (0..file.size).map { orientationOf(file.copyOf(it)) }
            assertTrue(found.all { it == 1 || it == 6 } && found.first() == 1 && found.last() == 6)
        }
    }

    @Test(timeout = 30_000)
    fun noBytesMakeItFail() {
        val random = Random(3)
        val files = ORDERS.flatMap { listOf(jpeg(tiff(it, 6)), png(tiff(it, 6))) }
        repeat(20_000) {
            val file = files[it % files.size].copyOf()
            repeat(1 + random.nextInt(8)) { file[random.nextInt(file.size)] = random.nextInt(256).toByte() }
            assertTrue(orientationOf(file) in 1..8)
        }
        repeat(5_000) { assertTrue(orientationOf(random.nextBytes(random.nextInt(200))) in 1..8) }
    }
}
