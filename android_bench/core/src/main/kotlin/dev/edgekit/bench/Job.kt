package dev.edgekit.bench

import dev.edgekit.embedder.ModelSpec
import dev.edgekit.embedder.Protocol
import dev.edgekit.embedder.shown
import java.io.File
import java.io.IOException
import org.json.JSONException
import org.json.JSONObject
import org.json.JSONTokener

private val NUMBERS =
    setOf("count", "height", "width", "dim", "warmup", "iterations", "duration", "threads", "min_cosine")
private val REQUIRED =
    NUMBERS + setOf("schema", "run_id", "model", "format", "facts", "golden", "layout", "out")
private val OPTIONAL = setOf("inputs", "photos", "embeddings", "compute_units")

/** What to measure and how: `edgekit.job/2`. The files are in the job's folder. */
data class Job(
    val runId: String,
    override val model: File,
    val format: String,
    val facts: JSONObject,
    val inputs: File?,
    val golden: File,
    val count: Int,
    override val height: Int,
    override val width: Int,
    override val dim: Int,
    override val layout: String,
    val warmup: Int,
    val iterations: Int,
    val duration: Double,
    override val threads: Int,
    val minCosine: Double,
    val out: File,
    override val accelerator: String? = null, // of LiteRT
    val photos: File? = null, // a golden folder, in the place of inputs: this runner decodes, turns, scales and crops
    val embeddings: String? = null, // the name of a file beside the result for the embedding of each image
) : ModelSpec

/** Read a job file. */
fun readJob(file: File): Job {
    val where = file.name
    val document = parseObject(where, readSmall(file, Protocol.MAX_JOB_BYTES))
    val values = mutableMapOf<String, String>()
    for (key in document.keys()) {
        val value = document.get(key)
        val text = when (key) {
            "facts" -> (value as? JSONObject)?.toString()
            in NUMBERS -> (value as? Number)?.toString()
            in REQUIRED -> value as? String
            in OPTIONAL -> if (value == JSONObject.NULL) "null" else value as? String
            else -> value.toString() // unknown, which is said below
        }
        val given = "$where: $key is ${shown(value.toString())}"
        values[key] = text ?: throw BenchError("$given, of the wrong type: give what ${Protocol.JOB_SCHEMA} says")
    }
    return JobReader(where, values, file.absoluteFile.parentFile ?: File(".")).job()
}

/** Read a job from texts, as an instrumentation gets them; `facts` is JSON. */
fun jobOf(values: Map<String, String>, folder: File): Job = JobReader("job", values, folder).job()

fun isFileName(text: String): Boolean = Regex(Protocol.FILE_NAME_PATTERN).matches(text)

/** The content of a file that has at most [most] bytes. */
internal fun readSmall(file: File, most: Long): String {
    if (!file.isFile) throw BenchError("${file.name}: not there or not a file: put it into its folder")
    val bytes = file.length()
    if (bytes > most) throw BenchError("${file.name}: has $bytes bytes, more than $most: make it again")
    try {
        return file.readText()
    } catch (error: IOException) {
        throw BenchError("${file.name}: cannot be read (${error.message}): put it there again", error)
    }
}

/** One JSON object, and nothing after it. */
internal fun parseObject(where: String, text: String): JSONObject {
    try {
        val tokener = JSONTokener(text)
        val value = tokener.nextValue()
        if (value is JSONObject && tokener.nextClean() == '\u0000') return value
        throw BenchError("$where: not one JSON object: make it again")
    } catch (error: JSONException) {
        throw BenchError("$where: not JSON (${shown(error.message)}): make it again", error)
    } catch (error: StackOverflowError) {
        throw BenchError("$where: not JSON that a job holds (nested too deeply): make it again", error)
    }
}

private class JobReader(private val where: String, private val values: Map<String, String>, private val folder: File) {
    fun job(): Job {
        if ("schema" in values) oneOf("schema", Protocol.JOB_SCHEMA) // keys of other versions are no mistakes
        val unknown = values.keys.filter { it !in REQUIRED && it !in OPTIONAL }
        if (unknown.isNotEmpty()) throw BenchError("$where: unknown key ${shown(unknown.first())}: leave it out")
        val photos = optional("photos")?.let { photos() }
        val missing = (if (photos == null) REQUIRED + "inputs" else REQUIRED).filter { it !in values }
        if (missing.isNotEmpty()) {
            throw BenchError("$where: ${missing.joinToString()} missing: give a whole ${Protocol.JOB_SCHEMA}")
        }
        val (height, width) = whole("height", 1, Protocol.MAX_SIDE) to whole("width", 1, Protocol.MAX_SIDE)
        val format = oneOf("format", "onnx", "executorch", "litert")
        return Job(
            runId = hex("run_id", Protocol.RUN_ID_DIGITS),
            model = given("model"),
            format = format,
            facts = facts(format, height, width),
            inputs = if (photos == null) given("inputs") else null,
            photos = photos,
            golden = given("golden"),
            count = whole("count", 1, Protocol.MAX_IMAGES),
            height = height,
            width = width,
            dim = whole("dim", 1, Protocol.MAX_DIM),
            layout = oneOf("layout", *Protocol.LAYOUTS.toTypedArray()),
            warmup = whole("warmup", 0, Protocol.MAX_SAMPLES),
            iterations = whole("iterations", 1, Protocol.MAX_SAMPLES),
            duration = real("duration", 0.0, Protocol.MAX_DURATION_S),
            threads = whole("threads", 1, Protocol.MAX_THREADS),
            minCosine = real("min_cosine", -1.0, 1.0),
            out = file("out"),
            embeddings = optional("embeddings")?.let { embeddings() },
            accelerator = accelerator(format),
        )
    }

    private fun accelerator(format: String): String? {
        val given = optional("compute_units")
        if (format == "litert") return if (given == null) Protocol.ACCELERATORS.first() else known(given)
        if (given != null) wrong("compute_units", "leave it out, here it is for LiteRT")
        return null
    }

    private fun known(accelerator: String): String {
        val known = Protocol.ACCELERATORS
        if (accelerator !in known) wrong("compute_units", "give ${known.joinToString(" or ")}")
        return accelerator
    }

    private fun optional(key: String): String? = values[key]?.takeIf { it != "null" }

    private fun photos(): File {
        if (optional("inputs") != null) wrong("inputs", "leave it out where photos are given")
        val folder = file("photos")
        if (!isFileName(values.getValue("photos")) || !folder.isDirectory) {
            wrong("photos", "give the name of a golden folder in the job's folder")
        }
        return folder
    }

    private fun embeddings(): String {
        val name = values.getValue("embeddings")
        val taken = listOf("model", "inputs", "photos", "golden").mapNotNull(::optional) + file("out").name + Protocol.JOB_FILE
        if (!isFileName(name) || name in taken) {
            wrong("embeddings", "give a file name of its own, like embeddings.bin")
        }
        val runs = 1 + whole("warmup", 0, Protocol.MAX_SAMPLES) + whole("iterations", 1, Protocol.MAX_SAMPLES)
        val count = whole("count", 1, Protocol.MAX_IMAGES)
        if (runs < count) wrong("iterations", "give $count: the embeddings are those of every image")
        return name
    }

    private fun wrong(key: String, advice: String): Nothing =
        throw BenchError("$where: $key is '${shown(values.getValue(key))}': $advice")

    private fun oneOf(key: String, vararg allowed: String): String {
        val value = values.getValue(key)
        if (value !in allowed) wrong(key, "give ${allowed.joinToString(" or ")}")
        return value
    }

    private fun hex(key: String, digits: Int): String {
        val value = values.getValue(key)
        if (!isHex(value, digits)) wrong(key, "give $digits lower-case hexadecimal digits")
        return value
    }

    private fun whole(key: String, least: Int, most: Int): Int {
        val value = values.getValue(key)
        val number = if (value.length in 1..9 && value.all { it in '0'..'9' }) value.toInt() else null
        if (number == null || number !in least..most) wrong(key, "give a whole number from $least to $most")
        return number
    }

    private fun real(key: String, least: Double, most: Double): Double {
        val value = values.getValue(key)
        val plain = value.length in 1..40 && value.all { it in "0123456789.eE+-" } // neither hexadecimal, nor infinite
        val number = if (plain) value.toDoubleOrNull() else null
        if (number == null || number !in least..most) wrong(key, "give a number from $least to $most")
        return number
    }

    private fun file(key: String): File {
        val value = values.getValue(key)
        val advice = "give a path below the job's folder"
        val parts = value.split('/')
        if (value.length > 255 || parts.any { it.isEmpty() || it == ".." || it == "." }) wrong(key, advice)
        if (value.any { it.isISOControl() || it == '\\' }) wrong(key, advice)
        val file = File(folder, value)
        val inside = try {
            file.canonicalFile.startsWith(folder.canonicalFile)
        } catch (error: IOException) {
            throw BenchError("$where: $key is '${shown(value)}', which is nowhere (${error.message}): $advice", error)
        }
        if (!inside) wrong(key, "a link leads out of the job's folder, put the file itself there")
        return file
    }

    private fun given(key: String): File {
        val file = file(key)
        if (!file.isFile || file.length() == 0L) wrong(key, "not there, empty or not a file: put it into its folder")
        return file
    }

    private fun facts(format: String, height: Int, width: Int): JSONObject {
        val facts = parseObject("$where: facts", values.getValue("facts"))
        val wrong = wrongFact(facts, format, height, width)
        if (wrong != null) throw BenchError("$where: facts: $wrong: take the model part that edgekit wrote")
        return facts
    }
}
