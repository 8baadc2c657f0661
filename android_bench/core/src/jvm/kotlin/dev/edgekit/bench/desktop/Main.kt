package dev.edgekit.bench.desktop

import dev.edgekit.bench.BenchError
import dev.edgekit.bench.expectPlaces
import dev.edgekit.bench.measure
import dev.edgekit.bench.measureInto
import dev.edgekit.bench.readJob
import dev.edgekit.bench.report
import dev.edgekit.embedder.OnnxModel
import dev.edgekit.embedder.loadOnnxRuntime
import java.io.File
import java.time.Instant
import java.time.temporal.ChronoUnit
import kotlin.system.exitProcess
import org.json.JSONObject

private const val USAGE = "give `measure JOB.json`, or `preprocess` and pairs of GOLDEN_FOLDER OUT_FILE"

/** What the app does on a phone, on a desktop: for tests, and to look at a golden folder. */
fun main(arguments: Array<String>) {
    try {
        act(arguments.toList())
    } catch (error: BenchError) {
        System.err.println("edgekit bench: ${error.message}")
        exitProcess(2)
    }
}

private fun act(arguments: List<String>) {
    val rest = arguments.drop(1)
    when {
        arguments.firstOrNull() == "measure" && rest.size == 1 -> measureJob(File(rest[0]))
        arguments.firstOrNull() == "preprocess" && rest.isNotEmpty() && rest.size % 2 == 0 ->
            for ((folder, out) in rest.chunked(2)) preprocessGolden(File(folder), File(out))
        else -> throw BenchError("arguments: $USAGE")
    }
}

private fun measureJob(file: File) {
    val job = readJob(file)
    expectPlaces(job.out, job)
    if (job.format != "onnx") throw BenchError("${file.name}: format is ${job.format}: here only onnx is measured")
    val started = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString()
    loadOnnxRuntime()
    val device = JSONObject().put("platform", platform()).put("abi", System.getProperty("os.arch"))
    val measuring = { row: (FloatArray) -> Unit -> measure(job, ::OnnxModel, ::photo, say = ::println, row = row) }
    measureInto(job.out, job, measuring) {
        report(job, it, "android-app", null, device, JSONObject(), JSONObject(), started, null)
    }
}

private fun platform(): String {
    val name = System.getProperty("os.name")
    return when {
        name.startsWith("Mac") -> "macos"
        name.startsWith("Windows") -> "windows"
        else -> "linux"
    }
}
