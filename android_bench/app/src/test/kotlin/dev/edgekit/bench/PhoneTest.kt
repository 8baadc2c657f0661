package dev.edgekit.bench

import android.app.ActivityManager
import android.content.Context
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import android.provider.Settings
import java.io.File
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadows.ShadowBuild
import org.robolectric.util.ReflectionHelpers

@RunWith(RobolectricTestRunner::class)
class PhoneTest {
    @get:Rule
    val folder = TemporaryFolder()

    private fun memory(info: ActivityManager.MemoryInfo) =
        shadowOf(app.getSystemService(Context.ACTIVITY_SERVICE) as ActivityManager).setMemoryInfo(info)

    private fun core(id: Int, vararg files: Pair<String, String>) {
        val cpufreq = File(folder.root, "cpu$id/cpufreq").apply { mkdirs() }
        for ((name, text) in files) File(cpufreq, name).writeText(text)
    }

    @Test
    fun `facts of a phone`() {
        ShadowBuild.setManufacturer("Fair")
        ShadowBuild.setModel("Phone 9")
        ShadowBuild.setVersionRelease("14")
        ShadowBuild.setSystemOnChipManufacturer("QTI")
        ShadowBuild.setSystemOnChipModel("SM8550")
        ShadowBuild.setSupportedAbis(arrayOf("arm64-v8a", "armeabi-v7a"))
        ShadowBuild.setHardware("qcom")
        ShadowBuild.setProduct("phone9")
        ShadowBuild.setFingerprint("fair/phone9/phone9:14/A/1:user/release-keys")
        memory(ActivityManager.MemoryInfo().apply { totalMem = 8_000_000_000 })
        core(0, "cpuinfo_max_freq" to "1804800\n", "scaling_governor" to "schedutil\n")
        core(0, "scaling_cur_freq" to "300000\n")
        core(10, "cpuinfo_max_freq" to "fast\n", "scaling_governor" to "\n")
        File(folder.root, "cpufreq").mkdir()

        val wanted = """{"platform": "android", "manufacturer": "Fair", "model": "Phone 9", "soc": "QTI SM8550",
            "os": "Android 14", "api": ${Build.VERSION.SDK_INT}, "abi": "arm64-v8a", "ram_bytes": 8000000000,
            "cores": [{"id": 0, "max_khz": 1804800, "governor": "schedutil"},
                {"id": 10, "max_khz": null, "governor": null}],
            "emulated": false}"""
        assertEquals(JSONObject(wanted).toString(), deviceFacts(app, folder.root).toString())
        assertEquals("""{"0":300000}""", coreKhz(folder.root).toString())
    }

    @Test
    fun `what a phone does not say is null`() {
        ShadowBuild.setManufacturer(Build.UNKNOWN)
        ShadowBuild.setModel("")
        ShadowBuild.setSystemOnChipManufacturer(Build.UNKNOWN)
        ShadowBuild.setSystemOnChipModel(Build.UNKNOWN)
        ShadowBuild.setBoard(Build.UNKNOWN)
        memory(ActivityManager.MemoryInfo())
        val facts = deviceFacts(app, File(folder.root, "none"))
        for (key in listOf("manufacturer", "model", "soc", "ram_bytes", "cores")) {
            assertTrue(key, facts.isNull(key) && facts.has(key))
        }

        ReflectionHelpers.setStaticField(Build.VERSION::class.java, "SDK_INT", 28)
        Settings.Global.putString(app.contentResolver, Settings.Global.AIRPLANE_MODE_ON, null)
        battery()
        val state = stateNow(app, File(folder.root, "none"))
        for (key in listOf("thermal_status", "temperature_c", "battery_pct", "charging", "load", "core_khz")) {
            assertTrue(key, state.isNull(key) && state.has(key))
        }
        assertNull(airplane(app))
    }

    @Test
    fun `an emulator is one`() {
        ShadowBuild.setHardware("ranchu")
        assertTrue(deviceFacts(app).getBoolean("emulated"))
        ShadowBuild.setHardware("qcom")
        assertFalse(deviceFacts(app).getBoolean("emulated"))
    }

    @Test
    fun `the state of a phone`() {
        battery(
            BatteryManager.EXTRA_LEVEL to 41,
            BatteryManager.EXTRA_SCALE to 50,
            BatteryManager.EXTRA_TEMPERATURE to 315,
            BatteryManager.EXTRA_STATUS to BatteryManager.BATTERY_STATUS_DISCHARGING,
        )
        power.setCurrentThermalStatus(PowerManager.THERMAL_STATUS_MODERATE)
        power.setIsPowerSaveMode(true)
        val state = stateNow(app, folder.root)
        assertEquals(82.0, state.getDouble("battery_pct"), 0.0)
        assertEquals(31.5, state.getDouble("temperature_c"), 0.0)
        assertFalse(state.getBoolean("charging"))
        assertEquals(2, state.getInt("thermal_status"))
        assertTrue(state.getBoolean("low_power"))

        battery(BatteryManager.EXTRA_LEVEL to 3, BatteryManager.EXTRA_STATUS to BatteryManager.BATTERY_STATUS_FULL)
        val other = stateNow(app, folder.root)
        assertTrue(other.isNull("battery_pct"))
        assertTrue(other.getBoolean("charging"))
    }

    @Test
    fun `screen and airplane mode`() {
        power.turnScreenOn(false)
        assertFalse(screenOn(app))
        power.turnScreenOn(true)
        assertTrue(screenOn(app))
        for ((value, wanted) in listOf(1 to true, 0 to false)) {
            Settings.Global.putInt(app.contentResolver, Settings.Global.AIRPLANE_MODE_ON, value)
            assertEquals(wanted, airplane(app))
        }
    }

    @Test
    fun `the cores that a process is kept on`() {
        val file = folder.newFile()
        for ((text, wanted) in listOf(
            "4:memory:/\n3:cpuset:/top-app\n" to false,
            "3:cpu,cpuset:/foreground\n" to false,
            "3:cpuset:/background\n" to true,
            "3:cpuset:/restricted\n" to true,
            "3:cpuset:/mine\n" to null,
            "0::/uid_10\n" to null,
            "" to null,
        )) {
            file.writeText(text)
            assertEquals(text, wanted, inBackground(file))
        }
        assertNull(inBackground(File(folder.root, "none")))
    }
}
