package dev.edgekit.bench

import dev.edgekit.embedder.decode
import dev.edgekit.embedder.orientationOf
import dev.edgekit.embedder.upright
import java.io.File
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.GraphicsMode

/** With Android's own decoder: Robolectric's native graphics are Skia. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class GoldenFolderTest {
    @get:Rule
    val folder = TemporaryFolder()

    private fun golden(change: JSONObject.() -> Unit = {}): File {
        File(case, "golden").copyRecursively(folder.root, overwrite = true)
        val file = File(folder.root, "golden.json")
        file.writeText(JSONObject(file.readText()).apply(change).toString())
        return folder.root
    }

    @Test
    fun `pictures are decoded as Python decodes them`() {
        val pictures = JSONArray(File(case, "pictures/index.json").readText())
        for (index in 0 until pictures.length()) {
            val picture = pictures.getJSONObject(index)
            val name = picture.getString("file")
            val content = File(case, "pictures/$name").readBytes()
            val pixels = upright(decode(content, name), orientationOf(content))
            assertEquals(name, picture.getInt("width") to picture.getInt("height"), pixels.width to pixels.height)
            assertArrayEquals(name, File(case, "pictures/$name.rgb").readBytes(), pixels.rgb)
        }
        assertTrue(pictures.length() > 5)
    }

    @Test
    fun `a golden folder gives the largest difference`() {
        val ended = instrument("golden" to golden().path)
        assertEquals(ended.told.getString("error"), -1, ended.code)
        assertEquals(setOf("path", "items", "largest_difference", "worst", "differences"), ended.keys)
        val items = JSONObject(File(folder.root, "golden.json").readText()).getJSONArray("items").length()
        assertEquals(items.toString(), ended["items"])
        keep("pixels.bin", File(ended["path"]).readBytes())
        keep("differences.json", ended["differences"].toByteArray())
    }

    @Test
    fun `a difference is found and named`() {
        val inputs = File(golden(), "inputs.bin")
        val before = instrument("golden" to folder.root.path)["largest_difference"].toInt()
        val content = inputs.readBytes()
        val at = content.size - 1
        content[at] = (content[at].toInt() xor 0x80).toByte()
        inputs.writeBytes(content)
        val ended = instrument("golden" to folder.root.path)
        assertTrue(ended["largest_difference"].toInt() >= 128 - before)
        val items = JSONObject(File(folder.root, "golden.json").readText()).getJSONArray("items")
        assertEquals(items.getJSONObject(items.length() - 1).getString("file"), ended["worst"])
    }

    @Test
    fun `what is no golden folder`() {
        instrument("golden" to "/none").failed("/none")
        instrument("golden" to folder.newFolder().path).failed("golden.json", "not there")
        instrument("golden" to golden { put("schema", "edgekit.golden/2") }.path).failed("edgekit.golden/1")
        instrument("golden" to golden { remove("preprocessing") }.path).failed("preprocessing")
        val best: JSONObject.() -> Unit = { getJSONObject("preprocessing").put("interpolation", "best") }
        instrument("golden" to golden(best).path).failed("best")
        instrument("golden" to golden { put("items", JSONArray()) }.path).failed("0 items")
        instrument("golden" to golden { getJSONArray("items").remove(0) }.path).failed("inputs.bin")
        instrument("golden" to golden { item().put("file", "../secret") }.path).failed("leads out")
        instrument("golden" to golden { item().put("sha256", "0") }.path).failed("has changed")
        File(golden(), "golden.json").writeText("{")
        instrument("golden" to folder.root.path).failed("golden.json")
    }

    private fun JSONObject.item(): JSONObject = getJSONArray("items").getJSONObject(0)

    @Test
    fun `what is no picture`() {
        for (content in listOf("", "no picture", "\u0089PNG")) {
            val error = runCatching { decode(content.toByteArray(Charsets.ISO_8859_1), "it.png") }.exceptionOrNull()
            assertTrue("$error", error is BenchError && error.message!!.startsWith("it.png: "))
        }
    }
}
