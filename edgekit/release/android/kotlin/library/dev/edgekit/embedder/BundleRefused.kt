package dev.edgekit.embedder

import java.io.IOException

/** A bundle that is not accepted; [reason] is a code of edgekit/release/reasons.json, such as `file-changed`. */
class BundleRefused(val reason: String, detail: String) : IOException("$reason: ${printable(detail)}")

/** A text from outside on one line. */
private fun printable(text: String): String = shown(text).map { if (it in ' '..'~') it else '?' }.joinToString("")
