package dev.edgekit.bench

import dev.edgekit.embedder.Protocol
import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sqrt

/** All outputs of a run against the golden embeddings; both figures are null where an output is no embedding. */
data class Check(val images: Int, val minCosine: Double?, val maxAbs: Double?, val passed: Boolean)

/** Keeps the worst of all outputs. */
internal class Comparison(private val golden: FloatArray, private val dim: Int) {
    private var minCosine = Double.POSITIVE_INFINITY
    private var maxAbs = 0.0
    private var comparable = true

    fun add(image: Int, output: FloatArray) {
        var dot = 0.0
        var goldenSquare = 0.0
        var outputSquare = 0.0
        var largest = 0.0
        for (i in 0 until dim) {
            val value = output[i].toDouble()
            val wanted = golden[image * dim + i].toDouble()
            dot += value * wanted
            goldenSquare += wanted * wanted
            outputSquare += value * value
            largest = max(largest, abs(value - wanted))
        }
        val cosine = dot / (sqrt(goldenSquare) * sqrt(outputSquare))
        if (!cosine.isFinite() || !(largest <= Protocol.MAX_DIFFERENCE)) {
            comparable = false
            return
        }
        minCosine = min(minCosine, cosine)
        maxAbs = max(maxAbs, largest)
    }

    fun check(images: Int, limit: Double): Check =
        if (comparable) Check(images, minCosine, maxAbs, minCosine >= limit) else Check(images, null, null, false)
}
