package dev.edgekit.bench

import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import android.provider.Settings
import java.io.File
import org.json.JSONObject

private val CHARGING = setOf(BatteryManager.BATTERY_STATUS_CHARGING, BatteryManager.BATTERY_STATUS_FULL)

/** What changes: one moment of the `state` part of a result. */
internal fun stateNow(context: Context, cpus: File = CPUS): JSONObject {
    val power = context.getSystemService(Context.POWER_SERVICE) as PowerManager
    val battery = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))
    val thermal = if (Build.VERSION.SDK_INT >= 29) power.currentThermalStatus.takeIf { it in 0..6 } else null
    return JSONObject()
        .put("thermal_status", thermal ?: JSONObject.NULL)
        .put("temperature_c", battery?.celsius() ?: JSONObject.NULL)
        .put("battery_pct", battery?.percent() ?: JSONObject.NULL)
        .put("charging", battery?.value(BatteryManager.EXTRA_STATUS)?.let { it in CHARGING } ?: JSONObject.NULL)
        .put("low_power", power.isPowerSaveMode)
        .put("load", JSONObject.NULL) // apps may not read /proc/loadavg
        .put("core_khz", coreKhz(cpus) ?: JSONObject.NULL)
}

internal fun screenOn(context: Context): Boolean =
    (context.getSystemService(Context.POWER_SERVICE) as PowerManager).isInteractive

internal fun airplane(context: Context): Boolean? {
    val value = Settings.Global.getInt(context.contentResolver, Settings.Global.AIRPLANE_MODE_ON, -1)
    return if (value < 0) null else value != 0
}

/** Whether Android keeps this process on the cores for the background; null where the kernel does not say. */
internal fun inBackground(groups: File = File("/proc/self/cgroup")): Boolean? {
    val lines = try {
        groups.bufferedReader().use { it.readText().take(10_000).lines() }
    } catch (_: java.io.IOException) {
        return null
    }
    val set = lines.map { it.split(":", limit = 3) }.firstOrNull { it.size == 3 && "cpuset" in it[1].split(",") }
    return when (set?.get(2)) {
        "/background", "/system-background", "/restricted" -> true
        "/top-app", "/foreground" -> false
        else -> null
    }
}

private fun Intent.value(name: String): Int? = getIntExtra(name, Int.MIN_VALUE).takeIf { it != Int.MIN_VALUE }

private fun Intent.celsius(): Double? =
    value(BatteryManager.EXTRA_TEMPERATURE)?.let { it / 10.0 }?.takeIf { it in -30.0..150.0 }

private fun Intent.percent(): Double? {
    val level = value(BatteryManager.EXTRA_LEVEL) ?: return null
    val scale = value(BatteryManager.EXTRA_SCALE) ?: return null
    return if (scale > 0 && level in 0..scale) 100.0 * level / scale else null
}
