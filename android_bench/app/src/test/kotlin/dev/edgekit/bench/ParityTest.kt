package dev.edgekit.bench

import java.io.File
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.GraphicsMode

/** Jobs whose embeddings come back, of pixels and of photos that Android's own decoder reads. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class ParityTest {
    @get:Rule
    val folder = TemporaryFolder()

    private fun job(kind: String, change: JSONObject.() -> Unit = {}): File {
        File(case, "parity/$kind").copyRecursively(folder.root, overwrite = true)
        val file = File(folder.root, "job.json")
        file.writeText(JSONObject(file.readText()).apply(change).toString())
        return file
    }

    private fun measured(kind: String) {
        val ended = instrument("job" to job(kind).path)
        assertEquals(ended.told.getString("error"), -1, ended.code)
        assertEquals("passed", ended["check"])
        assertEquals(setOf(ended["path"], ended["embeddings"]), written().map { it.path }.toSet())
        keep("parity-$kind.json", File(ended["path"]).readBytes())
        keep("parity-$kind.bin", File(ended["embeddings"]).readBytes())
    }

    @Test
    fun `the embeddings of pixels`() = measured("pixels")

    @Test
    fun `the embeddings of photos without loss`() = measured("png")

    @Test
    fun `the embeddings of JPEG photos`() = measured("jpg")

    @Test
    fun `the same by keys`() {
        val job = JSONObject(job("png").readText())
        val keys = job.keys().asSequence().filter { !job.isNull(it) }.map { it to job.get(it).toString() }.toList()
        val ended = instrument(*keys.toTypedArray(), "folder" to folder.root.path)
        assertEquals(ended.told.getString("error"), -1, ended.code)
        assertEquals("embeddings.bin", File(ended["embeddings"]).name)
    }

    @Test
    fun `a measurement leaves no embeddings`() {
        val ended = instrument("job" to job("pixels") { put("embeddings", JSONObject.NULL) }.path)
        assertTrue("embeddings" !in ended.keys && "embeddings" !in File(ended["path"]).readText())
        assertEquals(1, written().size)
    }

    @Test
    fun `a place that is taken`() {
        val job = job("pixels")
        val runId = JSONObject(job.readText()).getString("run_id")
        assertTrue(File(app.getExternalFilesDir(null), "edgekit-$runId/embeddings.bin").mkdirs())
        instrument("job" to job.path).failed("embeddings.bin", "not a file")
    }

    @Test
    fun `what does not fit together`() {
        instrument("job" to job("png") { put("inputs", "golden.bin") }.path).failed("inputs", "leave it out")
        instrument("job" to job("png") { put("photos", "gone") }.path).failed("photos", "golden folder")
        instrument("job" to job("pixels") { put("embeddings", "../e.bin") }.path).failed("embeddings", "of its own")
        instrument("job" to job("pixels") { put("iterations", 3) }.path).failed("iterations", "give 37")
        instrument("job" to job("pixels") { put("dim", 12) }.path).failed("golden.bin")
    }

    @Test
    fun `a damaged photo`() {
        val job = job("jpg")
        val golden = File(folder.root, "raw/golden.json")
        val document = JSONObject(golden.readText())
        val item = document.getJSONArray("items").getJSONObject(7)
        val photo = File(folder.root, "raw/${item.getString("file")}")
        photo.writeBytes(photo.readBytes().copyOf(100))
        instrument("job" to job.path).failed(item.getString("file"), "has changed")
        item.put("sha256", sha256Of(photo.readBytes()))
        golden.writeText(document.toString())
        instrument("job" to job.path).failed(item.getString("file"), "not an image")
        photo.delete()
        instrument("job" to job.path).failed(item.getString("file"), "not there")
    }
}
