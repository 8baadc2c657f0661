package dev.edgekit.embedder

internal const val LONGEST = 240
private const val LONGEST_PART = 100
private const val FORBIDDEN = "\\:*?\"<>|"
private val DEVICES =
    Regex("(con|prn|aux|nul|conin\\$|conout\\$|com[0-9]|lpt[0-9])(\\..*| *)?", RegexOption.IGNORE_CASE)

/** Why a list of names is refused, and the name; the rules are those of edgekit/release/names.py. */
internal class NameFault(val reason: String, val name: String)

/** The first name that no bundle can have, is there twice, or is another's where case does not count. */
internal fun firstFault(names: Iterable<String>): NameFault? {
    val spelled = HashMap<String, String>() // every file and folder, by its name in lower case
    val files = HashSet<String>()
    val folders = HashSet<String>()
    for (name in names) {
        if (!isGood(name)) return NameFault("bad-name", name)
        if (name in files) return NameFault("duplicate-name", name)
        val above = name.indices.filter { name[it] == '/' }.map { name.substring(0, it) }
        for (path in above + name) {
            val known = spelled.getOrPut(lower(path)) { path }
            if (known != path) return NameFault("name-collision", name)
        }
        if (name in folders || above.any { it in files }) return NameFault("name-collision", name)
        folders.addAll(above)
        files.add(name)
    }
    return null
}

private fun isGood(name: String): Boolean {
    if (name.length > LONGEST) return false
    return name.split('/').all { part ->
        part.length in 1..LONGEST_PART && part != "." && part != ".." &&
            part.all { it in ' '..'~' && it !in FORBIDDEN } &&
            part.first() != ' ' && part.last() !in " ." && !DEVICES.matches(part)
    }
}

/** Of ASCII alone: what a phone's language makes of letters does not count. */
private fun lower(text: String): String =
    text.map { if (it in 'A'..'Z') it + ('a' - 'A') else it }.joinToString("")
