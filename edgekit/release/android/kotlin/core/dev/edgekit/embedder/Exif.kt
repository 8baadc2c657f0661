package dev.edgekit.embedder

import java.nio.ByteBuffer
import java.nio.ByteOrder

private const val TAG = 0x0112
private const val SHORT = 3
private const val LONG = 4
private const val ENTRY = 12
private val EXIF = "Exif\u0000\u0000".toByteArray(Charsets.ISO_8859_1)
private val PNG = byteArrayOf(0x89.toByte(), 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A)

/** The EXIF orientation of a JPEG or PNG file, 1 to 8; 1 where there is none or it is damaged. */
fun orientationOf(file: ByteArray): Int {
    val bytes = ByteBuffer.wrap(file)
    val exif = if (startsWith(file, 0, PNG)) exifOfPng(bytes) else exifOfJpeg(bytes)
    return if (exif == null) 1 else orientationOfTiff(exif)
}

private fun startsWith(file: ByteArray, at: Int, start: ByteArray): Boolean =
    file.size - at >= start.size && start.indices.all { file[at + it] == start[it] }

private fun part(bytes: ByteBuffer, from: Int, until: Int): ByteBuffer =
    ByteBuffer.wrap(bytes.array().copyOfRange(from, until))

private fun exifOfJpeg(bytes: ByteBuffer): ByteBuffer? {
    if (bytes.capacity() < 2 || unsigned(bytes, 0) != 0xFFD8) return null
    var at = 2
    while (at + 4 <= bytes.capacity()) {
        if (bytes.get(at) != 0xFF.toByte()) return null
        val marker = bytes.get(at + 1).toInt() and 255
        if (marker == 0xFF) { // padding
            at++
            continue
        }
        if (marker == 0xDA || marker == 0xD9) return null // the pixels, the end
        if (marker == 0x01 || marker in 0xD0..0xD7) { // markers without content
            at += 2
            continue
        }
        val end = at + 2 + unsigned(bytes, at + 2)
        if (end < at + 4 || end > bytes.capacity()) return null
        if (marker == 0xE1 && startsWith(bytes.array(), at + 4, EXIF) && end >= at + 4 + EXIF.size) {
            return part(bytes, at + 4 + EXIF.size, end)
        }
        at = end
    }
    return null
}

private fun exifOfPng(bytes: ByteBuffer): ByteBuffer? {
    var at = PNG.size
    while (at + 12 <= bytes.capacity()) {
        val length = bytes.getInt(at)
        if (length < 0 || length > bytes.capacity() - at - 12) return null
        if (startsWith(bytes.array(), at + 4, "eXIf".toByteArray())) return part(bytes, at + 8, at + 8 + length)
        at += 12 + length
    }
    return null
}

private fun unsigned(bytes: ByteBuffer, at: Int): Int = bytes.getShort(at).toInt() and 0xFFFF

/** In the first directory alone: the orientation of a thumbnail is in the second. */
private fun orientationOfTiff(tiff: ByteBuffer): Int {
    if (tiff.capacity() < 8) return 1
    tiff.order(
        when (tiff.getShort(0).toInt()) {
            0x4949 -> ByteOrder.LITTLE_ENDIAN
            0x4D4D -> ByteOrder.BIG_ENDIAN
            else -> return 1
        },
    )
    val start = tiff.getInt(4)
    if (unsigned(tiff, 2) != 42 || start < 8 || start > tiff.capacity() - 2) return 1
    for (entry in 0 until unsigned(tiff, start)) {
        val at = start + 2 + ENTRY * entry
        if (at + ENTRY > tiff.capacity()) return 1
        if (unsigned(tiff, at) != TAG) continue
        val value = when (unsigned(tiff, at + 2)) {
            SHORT -> unsigned(tiff, at + 8)
            LONG -> tiff.getInt(at + 8)
            else -> return 1
        }
        return if (tiff.getInt(at + 4) == 1 && value in 1..8) value else 1
    }
    return 1
}
