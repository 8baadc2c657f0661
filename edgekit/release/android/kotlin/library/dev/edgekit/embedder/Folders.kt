package dev.edgekit.embedder

import java.io.File
import java.io.InputStream
import java.security.MessageDigest

private const val BLOCK = 1 shl 16

/** Whether something has that name, be it a link that leads nowhere. */
internal fun isThere(file: File): Boolean =
    file.exists() || file.absoluteFile.parentFile?.list()?.contains(file.name) == true

/** Whether it is a regular file, and no link to one: a link's canonical path is another's. */
internal fun isPlain(file: File): Boolean = file.isFile && !isLink(file)

/** Every regular file below a folder, but its signature: names with forward slashes, sorted. */
internal fun listFolder(root: File): List<String> {
    val found = ArrayList<String>()
    var total = 0L

    fun list(folder: File, prefix: String) {
        if (prefix.length > LONGEST) throw BundleRefused("bad-name", prefix)
        val entries = folder.listFiles() ?: throw BundleRefused("not-a-plain-file", folder.name)
        // Enough to refuse a folder that never ends.
        if (found.size + entries.size > 2 * Limits.FILES) throw BundleRefused("too-many-files", prefix)
        for (entry in entries.sortedBy { it.name }) {
            val name = prefix + entry.name
            when {
                isLink(entry) -> throw BundleRefused("not-a-plain-file", name)
                entry.isDirectory -> list(entry, "$name/")
                !entry.isFile -> throw BundleRefused("not-a-plain-file", name)
                name != Limits.SIGNATURE_NAME -> {
                    found.add(name)
                    total += entry.length()
                }
            }
        }
    }

    list(root, "")
    refuseNames(found)
    if (found.size > Limits.FILES) throw BundleRefused("too-many-files", "${found.size} files")
    if (total > Limits.TOTAL_BYTES) throw BundleRefused("too-large", "$total bytes")
    return found.sorted()
}

/** SHA-256 of all that a stream has, in lower-case hex; the stream is closed. */
internal fun sha256(stream: InputStream): String = stream.use {
    val digest = MessageDigest.getInstance("SHA-256")
    val block = ByteArray(BLOCK)
    while (true) {
        val count = it.read(block)
        if (count < 0) break
        digest.update(block, 0, count)
    }
    hex(digest.digest())
}

// java.nio.file came with Android 8; a folder's own path is made canonical, so that links above it do not count.
private fun isLink(file: File): Boolean {
    val parent = file.absoluteFile.parentFile ?: return false
    return file.canonicalFile != File(parent.canonicalFile, file.name)
}
