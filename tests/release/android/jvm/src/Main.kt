package org.example.shop

import dev.edgekit.embedder.BundleRefused
import dev.edgekit.embedder.BundleVerifier
import dev.edgekit.embedder.Embedder
import dev.edgekit.embedder.EmbedderError
import dev.edgekit.embedder.Pixels
import dev.edgekit.embedder.compare
import dev.edgekit.embedder.topK
import java.io.File

/** `verify CASES`, `extract KEY ARCHIVE FOLDER`, `resource NAME CACHE` or `folder FOLDER GOLDEN`; one answer a line. */
fun main(arguments: Array<String>) {
    val rest = arguments.drop(1)
    when (arguments[0]) {
        "verify" -> File(rest[0]).readLines().forEach { println(answerOf(it.split('\t'))) }
        "extract" -> println(said { verifier(rest[0]).extract(File(rest[1]), File(rest[2])).version })
        "resource" -> println(said { open(rest[0], File(rest[1])).use(::tested) })
        "folder" -> println(said { Embedder.open(File(rest[0]), File(rest[1])).use(::tested) })
        else -> error("unknown command")
    }
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
