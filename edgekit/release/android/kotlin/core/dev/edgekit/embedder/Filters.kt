package dev.edgekit.embedder

import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.cos
import kotlin.math.sin

/** A filter of Pillow: how far it reaches, and the weight at a distance. */
internal class Filter(val support: Double, val weight: (Double) -> Double)

/** By name; `nearest` takes pixels as they are and is none of them. */
internal val FILTERS: Map<String, Filter> = mapOf(
    "box" to Filter(0.5) { if (it > -0.5 && it <= 0.5) 1.0 else 0.0 },
    "bilinear" to Filter(1.0) { if (abs(it) < 1) 1 - abs(it) else 0.0 },
    "hamming" to Filter(1.0) { hamming(abs(it)) },
    "bicubic" to Filter(2.0) { bicubic(abs(it)) },
    "lanczos" to Filter(3.0) { if (it >= -3 && it < 3) sinc(it) * sinc(it / 3) else 0.0 },
)

// Pillow's two numbers have single precision.
private fun hamming(x: Double): Double = when {
    x == 0.0 -> 1.0
    x >= 1 -> 0.0
    else -> sin(x * PI) / (x * PI) * (0.54f.toDouble() + 0.46f.toDouble() * cos(x * PI))
}

private fun bicubic(x: Double): Double {
    val a = -0.5
    return when {
        x < 1 -> ((a + 2) * x - (a + 3)) * x * x + 1
        x < 2 -> (((x - 5) * x + 8) * x - 4) * a
        else -> 0.0
    }
}

private fun sinc(x: Double): Double = if (x == 0.0) 1.0 else sin(x * PI) / (x * PI)
