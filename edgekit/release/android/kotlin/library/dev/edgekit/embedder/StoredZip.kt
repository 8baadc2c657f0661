package dev.edgekit.embedder

import java.io.Closeable
import java.io.EOFException
import java.io.File
import java.io.InputStream
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.CRC32

private const val LOCAL = 0x04034B50
private const val LOCAL_SIZE = 30
private const val CENTRAL = 0x02014B50
private const val CENTRAL_SIZE = 46
private const val END = 0x06054B50
private const val END_SIZE = 22
private const val REGULAR = 0x8 // of a Unix mode's first four bits
private const val UTF8_FLAG = 0x800
private const val WHOLE = 0xFFFFFFFFL // stands for a size that only ZIP64 can tell

/** A member as it is in the archive. */
internal class Member(val name: String, val size: Long, val start: Long, val crc: Long)

/**
 * A ZIP archive of the one form that EdgeKit writes: members stored as they are, one after the other, then the central
 * directory, then its end; no gaps, no comment, no extra fields. Anything else is refused before a member is read.
 */
internal class StoredZip(path: File) : Closeable {
    private val file = RandomAccessFile(path, "r")
    val members: List<Member>

    init {
        try {
            members = read()
        } catch (error: EOFException) {
            file.close()
            throw BundleRefused("truncated", path.name)
        } catch (error: BundleRefused) {
            file.close()
            throw error
        }
    }

    /** The bytes of a member, which must agree with its checksum at the end. */
    fun open(member: Member): InputStream = MemberStream(member)

    override fun close() = file.close()

    private fun read(): List<Member> {
        val length = file.length()
        if (length < END_SIZE) throw BundleRefused("truncated", "shorter than an empty archive")
        val end = block(length - END_SIZE, END_SIZE)
        // An end elsewhere is that of an archive with a comment, with something after it, or cut off.
        if (end.getInt(0) != END) refuseEnd(length)
        val count = end.getShort(10).toInt() and 0xFFFF
        val size = unsigned(end, 12)
        val start = unsigned(end, 16)
        if (count == 0xFFFF || size == WHOLE || start == WHOLE) damaged("a ZIP64 archive")
        if (end.getInt(4) != 0 || end.getShort(8).toInt() and 0xFFFF != count) damaged("an archive of several parts")
        if (end.getShort(20).toInt() != 0) damaged("a comment")
        if (start + size != length - END_SIZE) damaged("a gap or an overlap before its end")
        if (count > Limits.FILES) throw BundleRefused("too-many-files", "$count members")
        if (size > Limits.DOCUMENT_BYTES) throw BundleRefused("too-large", "its directory")
        return directory(block(start, size.toInt()), count, start)
    }

    private fun refuseEnd(length: Long): Nothing {
        val tail = block(maxOf(0, length - 0x10000 - END_SIZE), minOf(length, 0x10000L + END_SIZE).toInt())
        val found = (tail.capacity() - END_SIZE downTo 0).any { tail.getInt(it) == END }
        if (found) damaged("something after its end")
        throw BundleRefused("truncated", "no end of a ZIP archive")
    }

    private fun directory(central: ByteBuffer, count: Int, end: Long): List<Member> {
        val found = ArrayList<Member>(count)
        var at = 0
        var next = 0L
        var total = 0L
        repeat(count) {
            if (at + CENTRAL_SIZE > central.capacity() || central.getInt(at) != CENTRAL) damaged("a broken directory")
            val nameSize = central.getShort(at + 28).toInt() and 0xFFFF
            if (at + CENTRAL_SIZE + nameSize > central.capacity()) damaged("a broken directory")
            val name = text(central, at + CENTRAL_SIZE, nameSize)
            val size = unsigned(central, at + 24)
            expectPlain(central, at, name, size)
            val offset = unsigned(central, at + 42)
            if (offset != next) damaged("a gap or an overlap at $name")
            val data = offset + LOCAL_SIZE + nameSize
            total += size
            if (total > Limits.TOTAL_BYTES) throw BundleRefused("too-large", "over ${Limits.TOTAL_BYTES} bytes")
            if (data + size > end) damaged("$name leaves the archive")
            expectLocal(central, at, block(offset, LOCAL_SIZE + nameSize), nameSize, name)
            found.add(Member(name, size, data, unsigned(central, at + 16)))
            next = data + size
            at += CENTRAL_SIZE + nameSize
        }
        if (at != central.capacity() || next != end) damaged("a gap before its directory")
        return found
    }

    private fun expectPlain(central: ByteBuffer, at: Int, name: String, size: Long) {
        val mode = central.getInt(at + 38) ushr 16
        val flags = central.getShort(at + 8).toInt() and 0xFFFF
        if (mode shr 12 != REGULAR && mode shr 12 != 0) throw BundleRefused("not-a-plain-file", name)
        if (central.getShort(at + 10).toInt() != 0) throw BundleRefused("compressed-member", name)
        if (unsigned(central, at + 20) != size) damaged("two sizes of $name")
        if (size == WHOLE) damaged("a ZIP64 archive")
        if (flags and UTF8_FLAG.inv() != 0) damaged("flags of $name")
        if (central.getInt(at + 30) != 0) damaged("extra fields of $name") // of extra field and comment, 16 bits each
        if (central.getShort(at + 34).toInt() != 0) damaged("an archive of several parts")
    }

    /** A reader that trusts local headers must see the same. */
    private fun expectLocal(central: ByteBuffer, at: Int, local: ByteBuffer, nameSize: Int, name: String) {
        if (local.getInt(0) != LOCAL) damaged("no header at $name")
        // From the version to the name's size both have the same fields, 2 bytes apart.
        val same = (4 until 28).all { local.get(it) == central.get(at + it + 2) }
        if (!same || local.getShort(28).toInt() != 0) damaged("two headers of $name that differ")
        if ((0 until nameSize).any { local.get(LOCAL_SIZE + it) != central.get(at + CENTRAL_SIZE + it) }) {
            damaged("two names of $name")
        }
    }

    private fun text(bytes: ByteBuffer, start: Int, size: Int): String {
        // Names are ASCII; any other byte becomes a letter that no name may have.
        return String(bytes.array(), start, size, Charsets.ISO_8859_1)
    }

    private fun block(start: Long, size: Int): ByteBuffer {
        val bytes = ByteArray(size)
        if (start < 0 || start + size > file.length()) damaged("a part outside of it")
        file.seek(start)
        file.readFully(bytes)
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
    }

    private fun unsigned(bytes: ByteBuffer, at: Int): Long = bytes.getInt(at).toLong() and WHOLE

    private fun damaged(what: String): Nothing = throw BundleRefused("archive-damaged", what)

    private inner class MemberStream(private val member: Member) : InputStream() {
        private val crc = CRC32()
        private var done = 0L

        override fun read(): Int {
            val one = ByteArray(1)
            return if (read(one, 0, 1) < 0) -1 else one[0].toInt() and 255
        }

        override fun read(into: ByteArray, offset: Int, length: Int): Int {
            if (length == 0) return 0
            if (done == member.size) {
                if (crc.value != member.crc) throw BundleRefused("archive-damaged", "checksum of ${member.name}")
                return -1
            }
            file.seek(member.start + done)
            val count = file.read(into, offset, minOf(length.toLong(), member.size - done).toInt())
            if (count < 0) throw BundleRefused("truncated", member.name)
            crc.update(into, offset, count)
            done += count
            return count
        }
    }
}
