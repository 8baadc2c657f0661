package dev.edgekit.embedder

import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException
import java.nio.charset.CodingErrorAction

private const val DEEPEST = 32 // levels, as in Python
private const val LONGEST_NUMBER = 400
private val ESCAPES =
    mapOf('"' to '"', '\\' to '\\', '/' to '/', 'b' to '\b', 'f' to '\u000C', 'n' to '\n', 'r' to '\r', 't' to '\t')
private val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")

/** What makes a text no JSON that is read here. */
internal class JsonError(message: String) : Exception(message)

/**
 * Strict JSON: UTF-8, no name twice in an object, no infinite number, at most 32 levels. Objects are maps, arrays
 * lists, numbers Long where they are whole and fit, else Double.
 */
internal fun parseJson(bytes: ByteArray): Any? {
    val decoder = Charsets.UTF_8.newDecoder()
        .onMalformedInput(CodingErrorAction.REPORT).onUnmappableCharacter(CodingErrorAction.REPORT)
    val text = try {
        decoder.decode(ByteBuffer.wrap(bytes)).toString()
    } catch (_: CharacterCodingException) {
        throw JsonError("not UTF-8")
    }
    return JsonReader(text).whole()
}

/** An object's value of this name and type; [JsonError] where it is missing or another. */
internal inline fun <reified T> Any?.part(name: String): T {
    val value = (this as? Map<*, *>)?.get(name)
    return value as? T ?: throw JsonError("$name is missing or not what it should be")
}

private class JsonReader(private val text: String) {
    private var at = 0

    fun whole(): Any? {
        val value = value(1)
        space()
        if (at != text.length) wrong("something after the end")
        return value
    }

    private fun value(level: Int): Any? {
        if (level > DEEPEST) wrong("nested over $DEEPEST levels")
        space()
        return when (peek()) {
            '{' -> objectOf(level)
            '[' -> list(level)
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number()
        }
    }

    private fun objectOf(level: Int): Map<String, Any?> {
        val found = LinkedHashMap<String, Any?>()
        items('}') {
            space()
            if (peek() != '"') wrong("a name without quotes")
            val name = string()
            space()
            take(':')
            val value = value(level + 1)
            if (name in found) wrong("a name twice in an object")
            found[name] = value
        }
        return found
    }

    private fun list(level: Int): List<Any?> {
        val found = ArrayList<Any?>()
        items(']') { found.add(value(level + 1)) }
        return found
    }

    private inline fun items(end: Char, item: () -> Unit) {
        at++
        space()
        if (peek() == end) {
            at++
            return
        }
        while (true) {
            item()
            space()
            if (peek() == end) break
            take(',')
        }
        at++
    }

    private fun string(): String {
        take('"')
        val found = StringBuilder()
        while (true) {
            val letter = peek()
            at++
            when {
                letter == '"' -> return found.toString()
                letter < ' ' -> wrong("a control character in a text")
                letter != '\\' -> found.append(letter)
                peek() == 'u' -> found.append(unicode())
                else -> found.append(ESCAPES[peek()] ?: wrong("an unknown escape")).also { at++ }
            }
        }
    }

    private fun unicode(): Char {
        val digits = text.substring(at + 1, minOf(at + 5, text.length))
        if (digits.length != 4 || !digits.all { it in '0'..'9' || it in 'a'..'f' || it in 'A'..'F' }) {
            wrong("an unknown escape")
        }
        at += 5
        return digits.toInt(16).toChar()
    }

    private fun number(): Number {
        val start = at
        while (at < text.length && text[at] in "+-.eE0123456789") at++
        val digits = text.substring(start, at)
        if (digits.length > LONGEST_NUMBER || !NUMBER.matches(digits)) wrong("not a value")
        digits.toLongOrNull()?.let { return it }
        val value = digits.toDouble()
        if (value.isInfinite()) wrong("too large a number")
        return value
    }

    private fun word(word: String, value: Boolean?): Boolean? {
        if (!text.startsWith(word, at)) wrong("not a value")
        at += word.length
        return value
    }

    private fun space() {
        while (at < text.length && text[at] in " \t\r\n") at++
    }

    private fun peek(): Char = if (at < text.length) text[at] else wrong("ends too early")

    private fun take(letter: Char) {
        if (peek() != letter) wrong("'$letter' is missing")
        at++
    }

    private fun wrong(what: String): Nothing = throw JsonError("$what, at character $at")
}
