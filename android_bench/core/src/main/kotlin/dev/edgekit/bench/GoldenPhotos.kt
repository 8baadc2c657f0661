package dev.edgekit.bench

import dev.edgekit.embedder.Pixels
import dev.edgekit.embedder.Preprocessing
import dev.edgekit.embedder.Protocol
import dev.edgekit.embedder.orientationOf
import dev.edgekit.embedder.preprocess
import dev.edgekit.embedder.shown
import dev.edgekit.embedder.upright
import java.io.File
import java.io.IOException
import org.json.JSONException
import org.json.JSONObject

/** Decodes the content of a photo as its file holds it, not turned; the name starts the line of a [BenchError]. */
typealias Decode = (ByteArray, String) -> Pixels

private const val AGAIN = "make it with edgekit golden"
private const val LARGEST_IMAGE = 64L shl 20 // bytes of one image as the model takes it: it is held in memory

/** The photos of a golden folder (`edgekit.golden/1`), each decoded, turned, scaled and cropped when it is asked for. */
class GoldenPhotos(private val folder: File, private val decode: Decode) {
    private class Item(val file: String, val sha256: String)

    val spec: Preprocessing
    private val items: List<Item>

    init {
        val name = Protocol.GOLDEN_FILE
        val golden = parseObject(name, readSmall(File(folder, name), Protocol.MAX_GOLDEN_BYTES))
        if (golden.opt("schema") != Protocol.GOLDEN_SCHEMA) {
            throw BenchError("$name: its schema is not ${Protocol.GOLDEN_SCHEMA}: $AGAIN")
        }
        try {
            spec = preprocessingOf(golden.getJSONObject("preprocessing"))
            val listed = golden.getJSONArray("items")
            if (listed.length() !in 1..Protocol.MAX_GOLDEN_ITEMS) {
                throw BenchError("$name: has ${listed.length()} items: give 1 to ${Protocol.MAX_GOLDEN_ITEMS}")
            }
            items = List(listed.length()) { itemOf(listed.getJSONObject(it)) }
        } catch (error: JSONException) {
            throw BenchError("$name: ${shown(error.message)}: $AGAIN", error)
        }
        val bytes = 3L * spec.height * spec.width
        if (bytes > LARGEST_IMAGE) throw BenchError("$name: images of $bytes bytes are too large: give a smaller size")
    }

    val files: List<String> get() = items.map { it.file }

    /** The bytes of all photos as they lie in the folder. */
    fun bytes(): Long = items.sumOf { place(it.file).length() }

    /** What this device makes of a photo: uint8 RGB [height,width,3]. */
    fun pixels(index: Int): ByteArray {
        val item = items[index]
        try {
            val file = place(item.file)
            if (!file.isFile) throw BenchError("${item.file}: not there, or not readable to apps: put it there again")
            if (file.length() > Protocol.MAX_PHOTO_BYTES) {
                val most = Protocol.MAX_PHOTO_BYTES
                throw BenchError("${item.file}: has ${file.length()} bytes, more than $most: give a smaller one")
            }
            val content = file.readBytes()
            if (sha256Of(content) != item.sha256) throw BenchError("${item.file}: has changed: put it there again")
            return preprocess(upright(decode(content, item.file), orientationOf(content)), spec).rgb
        } catch (error: IOException) {
            throw BenchError("${item.file}: cannot be read (${error.message}): put it there again", error)
        } catch (error: OutOfMemoryError) {
            throw BenchError("${item.file}: no memory to scale it: give a smaller one", error)
        }
    }

    private fun itemOf(part: JSONObject) = Item(part.getString("file"), part.getString("sha256"))

    private fun place(name: String): File {
        val file = File(folder, name)
        val inside = try {
            file.canonicalFile.startsWith(folder.canonicalFile)
        } catch (error: IOException) {
            throw BenchError("${shown(name)}: is nowhere (${error.message}): $AGAIN", error)
        }
        if (!inside) throw BenchError("${shown(name)}: leads out of the golden folder: $AGAIN")
        return file
    }
}

/** The photos of a job, in the place of its inputs. */
internal class JobPhotos(job: Job, decode: Decode) : Images {
    private val photos: GoldenPhotos

    init {
        val folder = requireNotNull(job.photos)
        photos = GoldenPhotos(folder, decode)
        val (count, spec) = photos.files.size to photos.spec
        val made = "$count images of ${spec.height} x ${spec.width}"
        if (count != job.count || spec.height != job.height || spec.width != job.width) {
            val due = "the job has ${job.count} of ${job.height} x ${job.width}"
            throw BenchError("${folder.name}: ${Protocol.GOLDEN_FILE} says $made, $due: make both again")
        }
        val bytes = photos.bytes()
        if (bytes > Protocol.MAX_PART_BYTES) {
            val most = Protocol.MAX_PART_BYTES
            throw BenchError("${folder.name}: its photos have $bytes bytes, more than $most: give them in parts")
        }
    }

    override fun read(image: Int): ByteArray = photos.pixels(image)

    override fun close() = Unit
}
