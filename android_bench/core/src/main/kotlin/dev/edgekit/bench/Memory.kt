package dev.edgekit.bench

import java.io.File
import java.io.IOException

/** The memory of this process in bytes; null is unknown. */
data class Memory(val peak: Long?, val resident: Long?)

/** Reads the memory of this process. */
fun interface MemoryProbe {
    fun read(): Memory
}

/** Reads /proc/self/status, which Android and Linux have. */
object ProcStatus : MemoryProbe {
    override fun read(): Memory {
        val lines = try {
            File("/proc/self/status").readLines()
        } catch (_: IOException) {
            emptyList()
        }
        return Memory(bytesOf(lines, "VmHWM"), bytesOf(lines, "VmRSS"))
    }
}

private val KILOBYTES = Regex("""(\w+):\s*(\d{1,12}) kB""")

internal fun bytesOf(lines: List<String>, key: String): Long? {
    for (line in lines) {
        val (name, kilobytes) = KILOBYTES.matchEntire(line)?.destructured ?: continue
        if (name == key) return kilobytes.toLong() * 1024
    }
    return null
}
