package dev.edgekit.embedder

import kotlin.math.sqrt

/** A place in a gallery, and how near it is: the cosine, 1 for the same direction. */
class Match(val index: Int, val cosine: Float)

/** The cosine of two embeddings of one space; NaN where one is all zeros or not finite. */
fun compare(one: FloatArray, other: FloatArray): Float = cosine(one, lengthOf(one), other)

/**
 * The [k] embeddings of [gallery] that are nearest to [query], nearest first; of equal ones the earlier. Those that are
 * all zeros or not finite are near to nothing, and left out.
 */
fun topK(query: FloatArray, gallery: List<FloatArray>, k: Int): List<Match> {
    if (k < 1) throw EmbedderError("k is $k: give a number from 1")
    val length = lengthOf(query)
    if (!(length > 0 && length.isFinite())) {
        throw EmbedderError("the query is all zeros or not finite: embed its photograph again")
    }
    val matches = gallery.mapIndexed { index, embedding -> Match(index, cosine(query, length, embedding)) }
    return matches.filter { it.cosine.isFinite() }.sortedByDescending { it.cosine }.take(k)
}

private fun lengthOf(embedding: FloatArray): Double {
    var square = 0.0
    for (value in embedding) square += value.toDouble() * value
    return sqrt(square)
}

private fun cosine(one: FloatArray, length: Double, other: FloatArray): Float {
    if (one.size != other.size || one.isEmpty()) {
        throw EmbedderError("embeddings of ${one.size} and ${other.size} values: compare those of one model")
    }
    var dot = 0.0
    for (i in one.indices) dot += one[i].toDouble() * other[i]
    return (dot / (length * lengthOf(other))).toFloat()
}
