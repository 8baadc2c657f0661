package dev.edgekit.embedder

private const val LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
private val VALUES = IntArray(128) { LETTERS.indexOf(it.toChar()) }

/** Bytes of canonical base64 (RFC 4648, section 4); null for any other text. java.util.Base64 came with Android 8. */
internal fun decodeBase64(text: String): ByteArray? {
    if (text.length % 4 != 0) return null
    val padding = text.takeLast(2).count { it == '=' }
    val letters = text.length - padding
    val bytes = ByteArray(text.length / 4 * 3 - padding)
    var bits = 0
    var count = 0
    var at = 0
    for (i in 0 until letters) {
        val value = if (text[i].code < 128) VALUES[text[i].code] else -1
        if (value < 0) return null
        bits = (bits shl 6 or value) and 0xFFFF
        count += 6
        if (count >= 8) {
            count -= 8
            bytes[at++] = (bits shr count).toByte()
        }
    }
    return bytes.takeIf { at == it.size && bits and ((1 shl count) - 1) == 0 }
}
