package dev.edgekit.bench

import dev.edgekit.embedder.Preprocessing
import dev.edgekit.embedder.shown
import kotlin.math.min
import org.json.JSONException
import org.json.JSONObject

/** From the `preprocessing` part of `edgekit.golden/1`. */
fun preprocessingOf(part: JSONObject): Preprocessing =
    try {
        val fill = part.getJSONArray("fill")
        Preprocessing(
            height = part.getInt("height"),
            width = part.getInt("width"),
            interpolation = part.getString("interpolation"),
            cropPct = part.getDouble("crop_pct"),
            cropMode = part.getString("crop_mode"),
            fill = IntArray(min(fill.length(), 4)) { fill.getInt(it) },
        )
    } catch (error: JSONException) {
        throw BenchError("preprocessing: ${shown(error.message)}: take it from golden.json", error)
    }
