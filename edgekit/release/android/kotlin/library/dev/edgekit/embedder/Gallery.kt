package dev.edgekit.embedder

import kotlin.math.sqrt

/** A place in a gallery, and how near it is: the cosine, 1 for the same direction. */
class Match(val index: Int, val cosine: Float)

/** The cosine of two embeddings of one space. */
fun compare(one: FloatArray, other: FloatArray): Float {
    if (one.size != other.size || one.isEmpty()) {
        throw EmbedderError("embeddings of ${one.size} and ${other.size} values: compare those of one model")
    }
    var dot = 0.0
    var oneSquare = 0.0
    var otherSquare = 0.0
    for (i in one.indices) {
        dot += one[i].toDouble() * other[i]
        oneSquare += one[i].toDouble() * one[i]
        otherSquare += other[i].toDouble() * other[i]
    }
    return (dot / sqrt(oneSquare * otherSquare)).toFloat()
}

/** The [k] embeddings of [gallery] that are nearest to [query], nearest first; of equal ones the earlier. */
fun topK(query: FloatArray, gallery: List<FloatArray>, k: Int): List<Match> {
    if (k < 1) throw EmbedderError("k is $k: give a number from 1")
    val matches = gallery.mapIndexed { index, embedding -> Match(index, compare(query, embedding)) }
    // NaN, of an embedding of zeros, is near to nothing; to Float's own order it would be the largest.
    return matches.filter { !it.cosine.isNaN() }.sortedByDescending { it.cosine }.take(k)
}
