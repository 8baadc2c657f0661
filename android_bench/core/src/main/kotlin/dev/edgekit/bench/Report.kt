package dev.edgekit.bench

import dev.edgekit.embedder.Protocol
import java.io.File
import org.json.JSONArray
import org.json.JSONObject

/** The release that these sources are part of. */
const val VERSION = "0.1.0"

private const val NS_PER_MS = 1e6

/** The result, an `edgekit.bench/1` document. Percentiles are left to whoever reads the samples. */
fun report(
    job: Job,
    measured: Measured,
    runner: String,
    harness: String?,
    device: JSONObject,
    before: JSONObject,
    after: JSONObject,
    started: String,
    background: Boolean?,
): JSONObject {
    val check = measured.check
    val reasons = JSONArray()
    if (!check.passed) reasons.put("wrong-output")
    if (device.optBoolean("emulated", false)) reasons.put("emulated")
    if (background == true) reasons.put("background")
    val document = JSONObject()
        .put("schema", Protocol.RESULT_SCHEMA)
        .put("run_id", job.runId)
        .put("started_utc", started)
        .put("tool", JSONObject().put("edgekit", VERSION).put("runner", runner).put("harness", orNull(harness)))
        .put("model", job.facts)
        .put("runtime", runtime(job, measured))
        .put("device", device)
        .put("protocol", protocol(job, measured))
        .put("state", JSONObject().put("before", before).put("after", after))
        .put("latency_ms", latency(measured))
        .put(
            "memory_bytes",
            JSONObject().put("peak_rss", orNull(measured.peakRss)).put("loaded", orNull(measured.loaded)),
        )
        .put(
            "check",
            JSONObject().put("images", check.images).put("min_cosine", orNull(check.minCosine))
                .put("max_abs", orNull(check.maxAbs)).put("passed", check.passed),
        )
        .put("validity", JSONObject().put("valid", reasons.length() == 0).put("reasons", reasons))
        .put("errors", JSONArray())
    measured.embeddings?.let {
        document.put("embeddings", JSONObject().put("rows", it.rows).put("sha256", it.sha256))
    }
    return document
}

private fun runtime(job: Job, measured: Measured): JSONObject =
    JSONObject().put("name", measured.runtime).put("version", orNull(measured.version))
        .put("backend", measured.backend).put("threads", job.threads)

private fun protocol(job: Job, measured: Measured): JSONObject =
    JSONObject().put("warmup", job.warmup).put("min_iterations", job.iterations)
        .put("min_duration_s", job.duration).put("iterations", measured.samples.size).put("inputs", job.count)

private fun latency(measured: Measured): JSONObject {
    val samples = JSONArray()
    for (sample in measured.samples) samples.put(sample / NS_PER_MS)
    return JSONObject()
        .put("cold_load", measured.coldLoad / NS_PER_MS)
        .put("warm_load", measured.warmLoad / NS_PER_MS)
        .put("first", measured.first / NS_PER_MS)
        .put("samples", samples)
}

private fun orNull(value: Any?): Any = value ?: JSONObject.NULL

/** Say where a file cannot be written. */
fun expectPlace(out: File) {
    val folder = out.absoluteFile.parentFile
    if (out.exists() && !out.isFile) throw BenchError("${out.name}: it is there and not a file: give another name")
    if (folder == null || !folder.isDirectory || !folder.canWrite()) {
        throw BenchError("${out.name}: its folder is not there or cannot be written to: give another one")
    }
}

/** Write a result. */
fun writeResult(result: JSONObject, out: File) {
    val text: String? = result.toString() // Android's is null where a number is not finite
    if (text == null) throw BenchError("${out.name}: the result holds a number that is not finite: measure again")
    writeWhole(out) { it.write((text + "\n").toByteArray()) }
}
