package dev.edgekit.embedder

private const val LONGEST_LINE = 500

/** An error for a person: one line that says what was wrong, where, and what to do. */
class EmbedderError(message: String, cause: Throwable? = null) : Exception(oneLine(message), cause)

private fun oneLine(text: String): String =
    text.take(LONGEST_LINE).map { if (it.isISOControl() || it in "\u2028\u2029") ' ' else it }.joinToString("")

/** A text from outside, short enough for a line. */
internal fun shown(text: String?): String = if (text == null || text.length <= 120) "$text" else text.take(117) + "..."
