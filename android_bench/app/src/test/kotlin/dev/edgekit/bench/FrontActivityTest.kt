package dev.edgekit.bench

import android.view.WindowManager
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotEquals
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf

@RunWith(RobolectricTestRunner::class)
class FrontActivityTest {
    @Test
    fun `the screen stays on and is turned on`() {
        val activity = Robolectric.buildActivity(FrontActivity::class.java).setup().get()
        val flags = activity.window.attributes.flags
        assertNotEquals(0, flags and WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        assertEquals(true, shadowOf(activity).turnScreenOn)
        assertEquals(true, shadowOf(activity).showWhenLocked)
    }
}
