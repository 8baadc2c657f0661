package dev.edgekit.embedder

import java.io.ByteArrayOutputStream
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import java.io.InputStream

private const val ADVICE = "take the package anew"
private const val FOLDER = "edgekit" // of an app's assets and of a class path

/** Where the files of a model are. */
internal interface ModelFiles {
    /** A document beside the model, of at most [most] bytes. */
    fun bytes(name: String, most: Long): ByteArray

    /** A file of its golden vectors, of at most [most] bytes. */
    fun golden(name: String, most: Long): ByteArray

    /** The model as a file, which has this SHA-256. */
    fun file(name: String, sha256: String): File
}

internal class FolderFiles(private val folder: File, private val golden: File) : ModelFiles {
    override fun bytes(name: String, most: Long): ByteArray =
        named(name) { bounded(File(folder, name).inputStream(), name, most) }

    override fun golden(name: String, most: Long): ByteArray =
        named(name) { bounded(File(golden, name).inputStream(), name, most) }

    override fun file(name: String, sha256: String): File {
        refuseName(name)
        val file = File(folder, name)
        if (!isPlain(file)) throw EmbedderError("$name: not there, or not a regular file: $ADVICE")
        if (named(name) { sha256(file.inputStream()) } != sha256) throw EmbedderError("$name: has changed: $ADVICE")
        return file
    }
}

/** Files that are no files: an app's assets, or resources of a class path, of an artifact. */
internal class StreamFiles(
    private val artifact: String,
    private val cache: File,
    private val open: (String) -> InputStream?,
) : ModelFiles {
    init {
        refuseName(artifact)
    }

    override fun bytes(name: String, most: Long): ByteArray = named(name) { bounded(stream(name), name, most) }

    override fun golden(name: String, most: Long): ByteArray = bytes("golden/$name", most)

    override fun file(name: String, sha256: String): File = named(name) {
        refuseName(name)
        val copy = File(File(cache, sha256), name)
        if (!copy.isFile || sha256(copy.inputStream()) != sha256) {
            val folder = copy.absoluteFile.parentFile
            if (folder != null && !folder.isDirectory && !folder.mkdirs()) throw IOException("$folder cannot be made")
            val part = File.createTempFile("model", ".partial", folder)
            try {
                part.outputStream().use { out -> stream(name).use { it.copyTo(out) } }
                if (sha256(part.inputStream()) != sha256) throw EmbedderError("$name: has changed: $ADVICE")
                if (!part.renameTo(copy)) throw IOException("$copy cannot be made")
            } finally {
                part.delete()
            }
        }
        copy
    }

    private fun stream(name: String): InputStream =
        open("$FOLDER/$artifact/$name") ?: throw FileNotFoundException("$FOLDER/$artifact/$name is not there")
}

private fun refuseName(name: String) {
    firstFault(listOf(name))?.let { throw EmbedderError("${shown(name)}: not a name of a file: $ADVICE") }
}

private fun bounded(stream: InputStream, name: String, most: Long): ByteArray = stream.use {
    val out = ByteArrayOutputStream()
    val block = ByteArray(1 shl 16)
    while (true) {
        val count = it.read(block)
        if (count < 0) break
        out.write(block, 0, count)
        if (out.size() > most) throw EmbedderError("$name: has more than $most bytes: $ADVICE")
    }
    out.toByteArray()
}

private inline fun <T> named(name: String, act: () -> T): T = try {
    act()
} catch (error: IOException) {
    throw EmbedderError("$name: cannot be read (${shown(error.message)}): $ADVICE", error)
}
