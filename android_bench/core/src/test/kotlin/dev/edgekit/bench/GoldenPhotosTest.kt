package dev.edgekit.bench

import dev.edgekit.bench.desktop.photo
import java.awt.image.BufferedImage
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.RandomAccessFile
import java.nio.file.Files
import javax.imageio.ImageIO
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class GoldenPhotosTest {
    @get:Rule
    val temporary = TemporaryFolder()
    private val folder: File by lazy { temporary.newFolder("photos", "photos").parentFile }
    private val document: JSONObject = JSONObject().put("schema", "edgekit.golden/1")
        .put(
            "preprocessing",
            JSONObject().put("height", 1).put("width", 2).put("interpolation", "bilinear").put("crop_pct", 1)
                .put("crop_mode", "squash").put("fill", JSONArray(listOf(0, 0, 0))),
        )

    /** Photos of one colour each, of the size that the model takes. */
    private fun golden(vararg colours: Int): File {
        val items = colours.mapIndexed { index, colour ->
            val image = BufferedImage(2, 1, BufferedImage.TYPE_INT_RGB).apply { setRGB(0, 0, colour) }
            val png = ByteArrayOutputStream().also { ImageIO.write(image, "png", it) }.toByteArray()
            File(folder, "photos/$index.png").writeBytes(png)
            JSONObject().put("file", "photos/$index.png").put("sha256", sha256Of(png))
        }
        return written { put("items", JSONArray(items)) }
    }

    private fun written(change: JSONObject.() -> Unit): File {
        File(folder, "golden.json").writeText(document.apply(change).toString())
        return folder
    }

    private fun photos(decode: Decode = ::photo) = GoldenPhotos(folder, decode)

    private fun item(at: Int) = document.getJSONArray("items").getJSONObject(at)

    private fun sparse(name: String, bytes: Long) = RandomAccessFile(File(folder, name), "rw").use { it.setLength(bytes) }

    private fun job(change: Job.() -> Job = { this }) = jobIn(temporary.root) { copy(inputs = null, photos = folder) }.change()

    @Test
    fun eachPhotoIsDecodedWhenItIsAskedFor() {
        golden(0x010203, 0xfffefd)
        var decoded = 0
        val photos = photos { content, name -> photo(content, name).also { decoded++ } }
        assertEquals(listOf("photos/0.png", "photos/1.png") to 0, photos.files to decoded)
        assertArrayEquals(byteArrayOf(-1, -2, -3, 0, 0, 0), photos.pixels(1))
        assertArrayEquals(byteArrayOf(1, 2, 3, 0, 0, 0), photos.pixels(0))
        assertEquals(2, decoded)
    }

    @Test
    fun aJobIsMeasuredOnPhotos() {
        golden(0x010203, 0xff0011)
        val clock = FakeClock()
        writeGolden(File(temporary.root, "golden.bin"), 6f, -1f, 272f, -1f)
        val job = job()
        writeGolden(job.golden, 6f, -1f, 272f, -1f)
        val rows = mutableListOf<List<Float>>()
        val unknown = MemoryProbe { Memory(null, null) }
        val measured = measure(job, { FakeModel(clock) }, ::photo, unknown, clock) { rows += it.toList() }
        assertEquals(true to listOf(listOf(6f, -1f), listOf(272f, -1f)), measured.check.passed to rows)
    }

    @Test
    fun aFolderOfAnotherJobIsRefused() {
        golden(1, 2, 3)
        refused("photos", "3 images of 1 x 2", "2 of 1 x 2") { imagesOf(job(), ::photo) }
        refused("photos", "3 of 2 x 2") { imagesOf(job { copy(count = 3, height = 2) }, ::photo) }
        imagesOf(job { copy(count = 3) }, ::photo).close()
    }

    @Test
    fun photosThatAreWrongAreNamed() {
        golden(1, 2)
        val sound = File(folder, "photos/1.png").readBytes()
        File(folder, "photos/1.png").writeBytes(sound.copyOf(45))
        refused("photos/1.png", "has changed") { photos().pixels(1) }
        item(1).put("sha256", sha256Of(File(folder, "photos/1.png").readBytes()))
        written {}
        refused("photos/1.png", "cannot be decoded") { photos().pixels(1) }
        File(folder, "photos/1.png").delete()
        refused("photos/1.png", "not there") { photos().pixels(1) }
        sparse("photos/1.png", (64L shl 20) + 1)
        refused("photos/1.png", "has 67108865 bytes") { photos().pixels(1) }
        photos().pixels(0)
        refused("photos/0.png", "no memory") { photos { _, _ -> throw OutOfMemoryError() }.pixels(0) }
    }

    @Test
    fun photosOfMoreThanAPartAreRefusedBeforeAnyIsDecoded() {
        golden(1, 2, 3, 4, 5)
        for (index in 0 until 4) sparse("photos/$index.png", 64L shl 20)
        refused("photos", "give them in parts") { imagesOf(job { copy(count = 5) }, NO_PHOTOS) }
        File(folder, "photos/4.png").delete()
        imagesOf(job { copy(count = 5) }, NO_PHOTOS).close()
    }

    @Test
    fun pathsStayInTheFolder() {
        golden(1)
        File(temporary.root, "secret").writeText("x")
        Files.createSymbolicLink(File(folder, "link").toPath(), File(temporary.root, "secret").toPath())
        for (path in listOf("../secret", "link", "photos/../../secret")) {
            item(0).put("file", path)
            written {}
            refused("leads out") { photos().pixels(0) }
        }
        item(0).put("file", "x\u0000")
        written {}
        refused("edgekit golden") { photos().pixels(0) }
    }

    @Test
    fun documentsThatAreWrongAreRefused() {
        golden(1)
        val whole = document.toString()
        val changes = listOf<Pair<String, JSONObject.() -> Unit>>(
            "schema" to { put("schema", "edgekit.golden/2") },
            "items" to { remove("items") },
            "0 items" to { put("items", JSONArray()) },
            "1025 items" to { put("items", JSONArray(List(1025) { item(0) })) },
            "sha256" to { getJSONArray("items").getJSONObject(0).remove("sha256") },
            "crop_mode" to { getJSONObject("preprocessing").put("crop_mode", "middle") },
            "too large" to { getJSONObject("preprocessing").put("height", 60_000).put("width", 60_000) },
        )
        for ((told, change) in changes) {
            File(folder, "golden.json").writeText(JSONObject(whole).apply(change).toString())
            refused(told) { photos() }
        }
        for (text in listOf("", "[]", "{", "[".repeat(100_000), " ".repeat((1 shl 20) + 1))) {
            File(folder, "golden.json").writeText(text)
            refused("golden.json") { photos() }
        }
    }
}
