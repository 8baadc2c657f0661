package dev.edgekit.bench

import dev.edgekit.embedder.Protocol
import java.io.File
import java.nio.file.Files
import kotlin.random.Random
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

private val FACTS = JSONObject() // two objects of the same content are not equal

class JobTest {
    @get:Rule
    val temporary = TemporaryFolder()
    private val folder: File by lazy { temporary.newFolder("job").also { jobIn(it) } }

    private fun jobFile(change: (JSONObject) -> Unit = {}): File {
        val document = JSONObject()
        for ((key, value) in texts()) document.put(key, value)
        for (key in listOf("count", "height", "width", "dim", "warmup", "iterations", "threads")) {
            document.put(key, document.getString(key).toInt())
        }
        document.put("duration", 0).put("min_cosine", 0.999).put("facts", facts())
        change(document)
        return File(folder, "job.json").apply { writeText(document.toString()) }
    }

    @Test
    fun theFileAndTheTextsGiveTheSameJob() {
        val fromFile = readJob(jobFile())
        val fromTexts = jobOf(texts(), folder)
        assertEquals(fromTexts.copy(facts = fromFile.facts), fromFile)
        assertEquals(plain(facts()), plain(fromTexts.facts))
        assertEquals(plain(facts()), plain(fromFile.facts))
        assertEquals(File(folder, "model.onnx"), fromFile.model)
        val numbers = fromFile.run { listOf(count, height, width, dim, warmup, iterations, threads) }
        assertEquals(listOf(2, 1, 2, 2, 3, 4, 2), numbers)
        assertEquals(0.9875, fromFile.facts.getDouble("parity_min_cosine"), 0.0)
    }

    @Test
    fun numbersAreTakenInEveryJsonForm() {
        val job = readJob(jobFile { it.put("duration", 1.5e-3).put("min_cosine", -1) })
        assertEquals(1.5e-3, job.duration, 0.0)
        assertEquals(-1.0, job.minCosine, 0.0)
        val text = jobFile().readText().replace("\"duration\":0", "\"duration\":1E+1")
        assertEquals(10.0, readJob(File(folder, "job.json").apply { writeText(text) }).duration, 0.0)
    }

    @Test
    fun everyKeyIsNeededButComputeUnits() {
        for (key in texts().keys) {
            refused("job: ", key, "missing") { jobOf(texts(key to null), folder) }
            refused("job.json: ", key, "missing") { readJob(jobFile { it.remove(key) }) }
        }
        readJob(jobFile { it.put("compute_units", JSONObject.NULL) })
        refused("compute_units", "LiteRT") { readJob(jobFile { it.put("compute_units", "all") }) }
    }

    @Test
    fun aJobMayNameAFileForItsEmbeddings() {
        val job = readJob(jobFile { it.put("embeddings", "embeddings.bin").put("photos", JSONObject.NULL) })
        assertEquals("embeddings.bin", job.embeddings)
        assertEquals(job.copy(facts = FACTS), jobOf(texts("embeddings" to "embeddings.bin"), folder).copy(facts = FACTS))
        assertEquals(null, readJob(jobFile { it.put("embeddings", JSONObject.NULL) }).embeddings)
        val taken = listOf("model.onnx", "inputs.bin", "golden.bin", "job.json", "result.json")
        for (name in taken + listOf("", "../e.bin", "a/e.bin", "/e.bin", ".e", "e\nb", "x".repeat(101))) {
            refused("embeddings", "of its own") { jobOf(texts("embeddings" to name), folder) }
        }
        refused("embeddings", "wrong type") { readJob(jobFile { it.put("embeddings", 1) }) }
        val few = mapOf("warmup" to "0", "iterations" to "3")
        refused("iterations is '3'", "give 5") {
            jobOf(texts("embeddings" to "e.bin", "count" to "5") + few, folder)
        }
        jobOf(texts("embeddings" to "e.bin", "count" to "4") + few, folder)
    }

    @Test
    fun photosTakeThePlaceOfInputs() {
        File(folder, "photos").mkdir()
        val job = readJob(jobFile { it.put("photos", "photos").put("inputs", JSONObject.NULL) })
        assertEquals(File(folder, "photos") to null, job.photos to job.inputs)
        assertEquals(job.photos, jobOf(texts("photos" to "photos", "inputs" to null), folder).photos)
        refused("inputs", "leave it out") { jobOf(texts("photos" to "photos"), folder) }
        File(folder, "deep/photos").mkdirs()
        for (name in listOf("", "gone", "deep/photos", "..", "model.onnx", "/tmp", "x\u0000")) {
            refused("photos") { jobOf(texts("photos" to name, "inputs" to null), folder) }
        }
        Files.createSymbolicLink(File(folder, "away").toPath(), temporary.root.toPath())
        refused("photos", "link") { jobOf(texts("photos" to "away", "inputs" to null), folder) }
    }

    @Test
    fun liteRtHasAccelerators() {
        val facts = facts().put("format", "litert").toString()
        fun job(units: String?) = jobOf(texts("format" to "litert", "facts" to facts, "compute_units" to units), folder)
        assertEquals("cpu", job(null).accelerator)
        assertEquals("cpu", job("null").accelerator)
        assertEquals("gpu", job("gpu").accelerator)
        for (other in listOf("all", "GPU", "", "npu")) refused("compute_units", "cpu or gpu") { job(other) }
        assertEquals(null, jobOf(texts(), folder).accelerator)
    }

    @Test
    fun anUnknownKeyIsRefused() {
        refused("unknown key secret") { jobOf(texts("secret" to "1"), folder) }
        refused("unknown key") { readJob(jobFile { it.put("Count", 3) }) }
    }

    @Test
    fun aJobOfAnOlderEdgeKitIsRefusedByItsSchema() {
        val older = texts("schema" to "edgekit.job/1").mapKeys { it.key.replace('_', '-') }
        refused("schema", Protocol.JOB_SCHEMA) { jobOf(older, folder) }
    }

    @Test
    fun hostileValuesAreRefused() {
        val hostile = mapOf(
            "schema" to listOf("edgekit.job/1", ""),
            "run_id" to listOf("", RUN_ID.uppercase(), RUN_ID + "\n", RUN_ID.drop(1), "../" + RUN_ID.drop(3)),
            "format" to listOf("coreml", "ONNX", "onnx "),
            "layout" to listOf("nhcw", "nchw\u0000"),
            "count" to listOf("0", "-1", "+1", "1.0", "1e3", " 1", "", "100001", "9".repeat(20), "\u0661", "0x1"),
            "warmup" to listOf("-1", "1000001", "null"),
            "threads" to listOf("0", "257"),
            "dim" to listOf("0", "1000001"),
            "height" to listOf("0", "65537"),
            "iterations" to listOf("0", "1000001"),
            "duration" to listOf("-0.1", "NaN", "Infinity", "1e400", "86401", "0x1p3", "1d", "", "0".repeat(50), "--1"),
            "min_cosine" to listOf("1.01", "-2", "nan", "one"),
            "facts" to listOf("", "[]", "{", "{} {}", "{}", "null", facts().toString() + "x"),
        )
        for ((key, values) in hostile) for (value in values) refused(key) { jobOf(texts(key to value), folder) }
    }

    @Test
    fun pathsStayInTheFolder() {
        File(temporary.root, "outside").writeText("secret")
        Files.createSymbolicLink(File(folder, "link").toPath(), File(temporary.root, "outside").toPath())
        Files.createSymbolicLink(File(folder, "up").toPath(), temporary.root.toPath())
        val paths = listOf("../outside", "/etc/hostname", "a/../../outside", "link", "up/outside", ".", "..", "") +
            listOf("a//b", "./x", "x/", "\u0000", "a\nb", "..\\x", "~/../x/..", "x".repeat(300))
        for (key in listOf("model", "inputs", "golden", "out")) {
            for (path in paths) refused(key) { jobOf(texts(key to path), folder) }
        }
        for (key in listOf("model", "inputs", "golden")) {
            refused(key, "not there") { jobOf(texts(key to "gone"), folder) }
        }
        File(folder, "sub").mkdir()
        File(folder, "sub/model.onnx").writeText("a model")
        assertEquals(File(folder, "sub/model.onnx"), jobOf(texts("model" to "sub/model.onnx"), folder).model)
    }

    @Test
    fun factsAreThoseOfAResult() {
        val wrong = listOf<(JSONObject) -> Unit>(
            { it.put("extra", 1) },
            { it.put("name", 5) },
            { it.put("name", "x".repeat(501)) },
            { it.remove("name") },
            { it.put("format", "executorch") },
            { it.put("sha256", "0".repeat(63)) },
            { it.put("sha256", "G".repeat(64)) },
            { it.put("bytes", -1) },
            { it.put("bytes", "7") },
            { it.put("bytes", 7.5) },
            { it.put("precision", 16) },
            { it.put("parity_min_cosine", 1.5) },
            { it.put("parity_min_cosine", "1") },
            { it.put("input", "1x2") },
            { it.getJSONArray("input").put(3) },
            { it.getJSONArray("input").put(0, 2) },
            { it.remove("input") },
        )
        for (change in wrong) refused("facts") { jobOf(texts("facts" to facts().apply(change).toString()), folder) }
    }

    @Test
    fun wrongTypesAreRefused() {
        val none = JSONObject.NULL
        val wrong = mapOf("count" to "2", "schema" to 1, "facts" to "text", "out" to JSONObject(), "duration" to true) +
            mapOf("threads" to 1.5, "warmup" to none, "model" to none, "dim" to 1e30)
        for ((key, value) in wrong) refused("job.json", key) { readJob(jobFile { it.put(key, value) }) }
    }

    @Test
    fun whatIsNoJobIsRefused() {
        val file = File(folder, "job.json")
        refused("job.json") { readJob(file.apply { delete() }) }
        refused("not a file") { readJob(folder) }
        val whole = jobFile().readText()
        val texts = listOf("", " ", "null", "[]", "{", "\u0000", "\"", "{\"count\": }", whole + "x", whole + whole) +
            listOf("[".repeat(900_000), "{\"a\":".repeat(100_000), " ".repeat((1 shl 20) + 1))
        for (text in texts) refused("job.json") { readJob(file.apply { writeText(text) }) }
        val random = Random(1)
        repeat(300) {
            val bytes = whole.toByteArray()
            repeat(1 + random.nextInt(4)) { bytes[random.nextInt(bytes.size)] = random.nextInt(256).toByte() }
            file.writeBytes(bytes.copyOf(random.nextInt(bytes.size) + 1))
            try {
                readJob(file)
            } catch (error: BenchError) {
                assertTrue(error.message!!.none { it.isISOControl() })
            }
        }
    }
}
