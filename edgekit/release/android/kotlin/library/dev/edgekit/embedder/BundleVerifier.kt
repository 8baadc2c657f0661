package dev.edgekit.embedder

import java.io.Closeable
import java.io.File
import java.io.IOException
import java.io.InputStream

private const val BUNDLE = "bundle.json"
private val EXTRACTING = Any() // one at a time: two into one folder would mix
private const val BUNDLE_SCHEMA = "edgekit.bundle/1"
private val VERSION = Regex("(0|[1-9][0-9]{0,8})\\.(0|[1-9][0-9]{0,8})\\.(0|[1-9][0-9]{0,8})")

/** One model of a verified bundle: where its folder is, and its golden vectors. */
class BundledModel(val folder: String, val format: String, val precision: String, val golden: String?)

/** What a verified bundle says of itself. */
class BundleInfo(
    val name: String,
    val version: String,
    val kind: String,
    val space: String,
    val license: String,
    val models: List<BundledModel>,
)

/**
 * Checks a bundle that an app downloaded, before anything of it is opened: its signature by a pinned key (ECDSA P-256,
 * PEM), then every file, then what is expected of it. Nothing is trusted until then.
 */
class BundleVerifier(
    publicKey: String,
    private val name: String? = null,
    private val minimumVersion: String? = null,
    private val space: String? = null,
) {
    private val key = publicKeyOf(publicKey)

    init {
        if (minimumVersion != null && !VERSION.matches(minimumVersion)) {
            throw EmbedderError("minimum version ${shown(minimumVersion)}: not X.Y.Z: give three numbers")
        }
    }

    /** Verify a bundle that is a folder; [BundleRefused] says why it is not accepted. */
    fun verifyFolder(folder: File): BundleInfo = reading {
        val signed = verifySignature(File(folder, Limits.SIGNATURE_NAME), key, archive = false)
        val names = listFolder(folder).toSet()
        signed.keys.firstOrNull { it !in names }?.let { throw BundleRefused("file-missing", it) }
        names.firstOrNull { it !in signed }?.let { throw BundleRefused("file-extra", it) }
        for ((name, digest) in signed) {
            if (sha256(File(folder, name).inputStream()) != digest) throw BundleRefused("file-changed", name)
        }
        val found = names.associateWith { File(folder, it).length() }
        accepted(describe(found, signed::getValue) { File(folder, it).inputStream() })
    }

    /** Verify a bundle that is a ZIP archive by the signature beside it, and the archive before it is opened. */
    fun verifyArchive(archive: File, signature: File = File("${archive.path}.sig")): BundleInfo =
        reading { opened(archive, signature).use { it.info } }

    /**
     * Verify a ZIP archive and put its files into [folder], which must not be there yet; it is not made where a step
     * fails. [BundleInfo.models] name the folders of models in it. The archive may lie where others can write: it is
     * copied beside [folder] for the while, and what is verified and taken is the copy.
     */
    fun extract(archive: File, folder: File, signature: File = File("${archive.path}.sig")): BundleInfo =
        synchronized(EXTRACTING) { reading { extracted(archive, folder, signature) } }

    private fun extracted(archive: File, folder: File, signature: File): BundleInfo {
        val draft = File("${folder.absolutePath}.partial")
        val aside = File("${draft.path}.archive")
        val copy = File(aside, archive.name)
        if (folder.exists()) throw EmbedderError("${folder.name}: is there already: give another folder")
        draft.deleteRecursively()
        try {
            verifySignature(signature, key, archive = true) // before room is taken
            expectArchive(archive)
            aside.mkdirs()
            copy.outputStream().use { out -> archive.inputStream().use { it.copyTo(out) } }
            opened(copy, signature).use { opened ->
                for (name in opened.members.keys) {
                    val file = File(draft, name)
                    file.absoluteFile.parentFile?.mkdirs()
                    file.outputStream().use { out -> opened.open(name).use { it.copyTo(out) } }
                }
                if (!draft.renameTo(folder)) throw IOException("${folder.name} cannot be made")
                return opened.info
            }
        } finally {
            aside.deleteRecursively()
            draft.deleteRecursively()
        }
    }

    private inner class Opened(val zip: StoredZip, val members: Map<String, Member>) : Closeable {
        val info: BundleInfo = accepted(describe(members.mapValues { it.value.size }, { sha256(open(it)) }, ::open))

        fun open(name: String): InputStream = zip.open(members.getValue(name))

        override fun close() = zip.close()
    }

    private fun expectArchive(archive: File) {
        if (!isPlain(archive)) throw BundleRefused("not-a-plain-file", archive.name)
        if (archive.length() > Limits.TOTAL_BYTES) throw BundleRefused("too-large", archive.name)
    }

    private fun opened(archive: File, signature: File): Opened {
        val signed = verifySignature(signature, key, archive = true)
        expectArchive(archive)
        if (sha256(archive.inputStream()) != signed["."]) throw BundleRefused("file-changed", archive.name)
        val zip = StoredZip(archive)
        try {
            refuseNames(zip.members.map { it.name })
            val top = zip.members.firstOrNull()?.name?.substringBefore('/', "").orEmpty()
            zip.members.firstOrNull { top.isEmpty() || !it.name.startsWith("$top/") }
                ?.let { throw BundleRefused("bad-name", "${it.name} is not in the one folder at the top") }
            return Opened(zip, zip.members.associateBy { it.name.removePrefix("$top/") })
        } catch (error: IOException) {
            zip.close()
            throw error
        }
    }

    /** What bundle.json says, which must list exactly the files that are there, with their sizes and hashes. */
    private fun describe(
        found: Map<String, Long>,
        hashOf: (String) -> String,
        open: (String) -> InputStream,
    ): BundleInfo {
        val size = found[BUNDLE] ?: throw BundleRefused("schema", "there is no $BUNDLE")
        if (size > Limits.DOCUMENT_BYTES) throw BundleRefused("schema", "$BUNDLE has $size bytes")
        try {
            val document = parseJson(open(BUNDLE).use { it.readBytes() })
            if (document.part<String>("schema") != BUNDLE_SCHEMA) throw JsonError("another schema")
            val files = document.part<List<*>>("files")
            val names = files.map { it.part<String>("path") }
            if (names.size != names.toSet().size) throw JsonError("a file twice")
            names.firstOrNull { it !in found || it == BUNDLE }?.let { throw JsonError("$it is listed") }
            found.keys.firstOrNull { it != BUNDLE && it !in names }?.let { throw JsonError("$it is not listed") }
            for (file in files) expectFile(file, found, hashOf)
            return infoOf(document)
        } catch (error: JsonError) {
            throw BundleRefused("schema", "$BUNDLE: ${error.message}")
        }
    }

    private fun expectFile(file: Any?, found: Map<String, Long>, hashOf: (String) -> String) {
        val name = file.part<String>("path")
        if (file.part<Long>("bytes") != found.getValue(name)) throw JsonError("the size of $name")
        if (file.part<String>("sha256") != hashOf(name)) throw JsonError("the hash of $name")
    }

    private fun infoOf(document: Any?): BundleInfo {
        val version = document.part<String>("version")
        if (!VERSION.matches(version)) throw JsonError("its version")
        val models = document.part<List<*>>("artifacts").map {
            val golden = (it as? Map<*, *>)?.get("golden") as? String
            BundledModel(it.part("folder"), it.part("format"), it.part("precision"), golden)
        }
        if (models.isEmpty()) throw JsonError("no artifacts")
        return BundleInfo(
            document.part("name"),
            version,
            document.part("kind"),
            document.part("space"),
            document.part("license"),
            models,
        )
    }

    private fun accepted(info: BundleInfo): BundleInfo {
        if (name != null && info.name != name) throw BundleRefused("wrong-name", info.name)
        if (minimumVersion != null && compareVersions(info.version, minimumVersion) < 0) {
            throw BundleRefused("downgraded", info.version)
        }
        if (space != null && info.space != space) throw BundleRefused("wrong-space", info.space)
        return info
    }

    private fun compareVersions(one: String, other: String): Int {
        val pairs = one.split('.').zip(other.split('.'))
        return pairs.map { (a, b) -> a.toInt().compareTo(b.toInt()) }.firstOrNull { it != 0 } ?: 0
    }

    /** What cannot be read while it is read changed underneath, or the storage fails. */
    private inline fun <T> reading(act: () -> T): T = try {
        act()
    } catch (error: BundleRefused) {
        throw error
    } catch (error: IOException) {
        throw EmbedderError("the bundle cannot be read (${shown(error.message)}): download it again", error)
    }
}
