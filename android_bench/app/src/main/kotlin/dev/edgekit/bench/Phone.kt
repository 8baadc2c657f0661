package dev.edgekit.bench

import android.app.ActivityManager
import android.content.Context
import android.os.Build
import dev.edgekit.embedder.Protocol
import java.io.File
import org.json.JSONArray
import org.json.JSONObject

internal val CPUS = File("/sys/devices/system/cpu")
private val EMULATORS = setOf("goldfish", "ranchu", "cutf_cvm")

/** What stays the same: the `device` part of a result. */
internal fun deviceFacts(context: Context, cpus: File = CPUS): JSONObject = JSONObject()
    .put("platform", "android")
    .put("manufacturer", known(Build.MANUFACTURER))
    .put("model", known(Build.MODEL))
    .put("soc", soc())
    .put("os", known(Build.VERSION.RELEASE).let { if (it is String) "Android $it" else it })
    .put("api", Build.VERSION.SDK_INT)
    .put("abi", known(Build.SUPPORTED_ABIS.firstOrNull()))
    .put("ram_bytes", ram(context) ?: JSONObject.NULL)
    .put("cores", cores(cpus) ?: JSONObject.NULL)
    .put("emulated", emulated())

/** The frequency of each core now, in kHz; null where none is known. */
internal fun coreKhz(cpus: File = CPUS): JSONObject? {
    val frequencies = JSONObject()
    for ((id, folder) in coreFolders(cpus)) {
        khz(File(folder, "scaling_cur_freq"))?.let { frequencies.put(id.toString(), it) }
    }
    return frequencies.takeIf { it.length() > 0 }
}

/** The text, or JSON's null where Android has none or says "unknown". */
private fun known(text: String?): Any =
    text?.trim()?.take(Protocol.MAX_TEXT)?.takeIf { it.isNotEmpty() && it != Build.UNKNOWN } ?: JSONObject.NULL

private fun soc(): Any {
    if (Build.VERSION.SDK_INT < 31) return known(Build.BOARD)
    val parts = listOf(Build.SOC_MANUFACTURER, Build.SOC_MODEL).filter { known(it) is String }
    return if (parts.isEmpty()) known(Build.BOARD) else parts.joinToString(" ")
}

private fun ram(context: Context): Long? {
    val memory = ActivityManager.MemoryInfo()
    (context.getSystemService(Context.ACTIVITY_SERVICE) as ActivityManager).getMemoryInfo(memory)
    return memory.totalMem.takeIf { it > 0 }
}

private fun cores(cpus: File): JSONArray? {
    val cores = coreFolders(cpus).map { (id, folder) ->
        JSONObject().put("id", id)
            .put("max_khz", khz(File(folder, "cpuinfo_max_freq")) ?: JSONObject.NULL)
            .put("governor", known(line(File(folder, "scaling_governor"))))
    }
    return if (cores.isEmpty()) null else JSONArray(cores)
}

private fun coreFolders(cpus: File): List<Pair<Int, File>> = cpus.listFiles().orEmpty()
    .filter { Regex("cpu[0-9]{1,3}").matches(it.name) }
    .map { it.name.drop(3).toInt() to File(it, "cpufreq") }
    .sortedBy { it.first }

private fun khz(file: File): Long? = line(file)?.toLongOrNull()?.takeIf { it > 0 }

/** The first line of a small file of the kernel, or null: apps may not read all of them. */
private fun line(file: File): String? = try {
    file.bufferedReader().use { reader ->
        val text = CharArray(200)
        val length = reader.read(text)
        if (length < 1) null else String(text, 0, length).lineSequence().first().trim()
    }
} catch (_: java.io.IOException) {
    null
}

private fun emulated(): Boolean =
    Build.HARDWARE in EMULATORS || Build.PRODUCT.startsWith("sdk_") || Build.FINGERPRINT.startsWith("generic/")
