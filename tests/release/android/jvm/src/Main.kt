package org.example.shop

import dev.edgekit.embedder.BundleRefused
import dev.edgekit.embedder.BundleVerifier
import dev.edgekit.embedder.Embedder
import dev.edgekit.embedder.EmbedderError
import dev.edgekit.embedder.Pixels
import dev.edgekit.embedder.compare
import dev.edgekit.embedder.topK
import java.io.File

/** `verify CASES`, `extract KEY ARCHIVE FOLDER`, `resource NAME CACHE`, `folder FOLDER GOLDEN` and so on; one answer a line. */
fun main(arguments: Array<String>) {
    val rest = arguments.drop(1)
    when (arguments[0]) {
        "verify" -> File(rest[0]).readLines().forEach { println(answerOf(it.split('\t'))) }
        "extract" -> println(said { verifier(rest[0]).extract(File(rest[1]), File(rest[2])).version })
        "resource" -> println(said { open(rest[0], File(rest[1])).use(::tested) })
        "folder" -> println(said { Embedder.open(File(rest[0]), File(rest[1])).use(::tested) })
        "search" -> searches().forEach { println(it) }
        "time" -> println(time(rest[0].toInt()))
        "closed" -> println(said { open(rest[0], File(rest[1])).run { close(); close(); embed(PHOTO).joinToString() } })
        else -> error("unknown command")
    }
}

private val PHOTO = Pixels(1, 1, ByteArray(3))

/** Each case of a search, and what came of it. */
private fun searches(): List<String> {
    val query = floatArrayOf(1f, 0f)
    val without = listOf(floatArrayOf(0f, 0f), floatArrayOf(Float.NaN, 1f))
    val gallery = listOf(floatArrayOf(0f, 1f), floatArrayOf(3f, 0f)) + without + query
    fun found(query: FloatArray, gallery: List<FloatArray>, k: Int) =
        said { topK(query, gallery, k).joinToString(" ") { "${it.index}:${it.cosine}" } }
    return listOf(
        found(query, gallery, 99),
        found(query, gallery, 1),
        found(query, emptyList(), 3),
        found(query, gallery, 0),
        found(floatArrayOf(0f, 0f), gallery, 1),
        found(floatArrayOf(Float.NaN, 1f), gallery, 1),
        found(floatArrayOf(Float.POSITIVE_INFINITY, 1f), gallery, 1),
        found(floatArrayOf(1f), gallery, 1),
    )
}

/** Seconds of one search in a gallery of that many random embeddings of 256 values. */
private fun time(rows: Int): Double {
    val random = java.util.Random(1)
    val gallery = List(rows) { FloatArray(256) { random.nextFloat() - 0.5f } }
    val start = System.nanoTime()
    topK(gallery[rows / 2], gallery, 10)
    return (System.nanoTime() - start) / 1e9
}

private fun verifier(key: String) = BundleVerifier(File(key).readText())

private fun open(name: String, cache: File) = Embedder.open(Embedder::class.java.classLoader, name, cache)

/** Of a line: kind, bundle, signature, key, name, minimum version, space; what is not given is "-". */
private fun answerOf(case: List<String>): String = said {
    val (kind, bundle, signature, key) = case
    val (name, minimum, space) = case.drop(4).map { word -> word.takeIf { it != "-" } }
    val verifier = BundleVerifier(File(key).readText(), name, minimum, space)
    val path = File(bundle)
    if (kind == "folder") verifier.verifyFolder(path) else verifier.verifyArchive(path, File(signature))
    "accepted"
}

private fun said(act: () -> String): String = try {
    act()
} catch (refused: BundleRefused) {
    refused.reason + "\t" + refused.message
} catch (error: EmbedderError) {
    "error\t" + error.message
}

/** The self-test, and that a photograph is nearest to itself. */
private fun tested(embedder: Embedder): String {
    val test = embedder.selfTest()
    val photos = List(3) { shade ->
        Pixels(300, 200, ByteArray(3 * 300 * 200) { ((it / 3 % 300) * (shade + 1) / 2).toByte() })
    }
    val gallery = photos.map(embedder::embed)
    val nearest = topK(gallery[1], gallery, 2)
    val cosine = compare(gallery[1], gallery[1])
    val found = listOf(nearest[0].index, nearest.size, cosine)
    return (listOf(test.passed, test.images, test.minCosine, embedder.dim) + found).joinToString("\t")
}
