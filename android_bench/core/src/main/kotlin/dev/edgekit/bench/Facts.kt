package dev.edgekit.bench

import dev.edgekit.embedder.Protocol
import dev.edgekit.embedder.shown
import org.json.JSONArray
import org.json.JSONObject

private val FACTS = setOf("name", "format", "sha256", "bytes", "precision", "parity_min_cosine", "input")

internal fun isHex(text: Any?, digits: Int): Boolean =
    text is String && text.length == digits && text.all { it in '0'..'9' || it in 'a'..'f' }

/** What makes these facts no `model` part of an `edgekit.bench/1` result: they are copied into it as they are. */
internal fun wrongFact(facts: JSONObject, format: String, height: Int, width: Int): String? {
    val unknown = facts.keys().asSequence().firstOrNull { it !in FACTS }
    val name = facts.opt("name")
    val bytes = facts.opt("bytes")
    val precision = known(facts, "precision")
    val parity = known(facts, "parity_min_cosine")
    return when {
        unknown != null -> "unknown key ${shown(unknown)}"
        name !is String || name.length > Protocol.MAX_TEXT ->
            "name is not a text of at most ${Protocol.MAX_TEXT} characters"
        facts.opt("format") != format -> "format is not $format"
        !isHex(facts.opt("sha256"), 64) -> "sha256 is not 64 lower-case hexadecimal digits"
        !(bytes is Int && bytes >= 0 || bytes is Long && bytes >= 0) -> "bytes is not a whole number"
        precision != null && (precision !is String || precision.length > Protocol.MAX_TEXT) -> "precision is not a text"
        parity != null && (parity !is Number || parity.toDouble() !in -1.0..1.0) -> "parity_min_cosine is not a cosine"
        !isSize(facts.opt("input"), height, width) -> "input is not [$height, $width]"
        else -> null
    }
}

private fun known(facts: JSONObject, key: String): Any? = facts.opt(key).takeIf { it != JSONObject.NULL }

private fun isSize(value: Any?, height: Int, width: Int): Boolean =
    value is JSONArray && value.length() == 2 && value.opt(0) == height && value.opt(1) == width
