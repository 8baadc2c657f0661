package dev.edgekit.bench

import android.app.Activity
import android.os.Build
import android.os.Bundle
import android.view.WindowManager

/**
 * An empty page that a person sees while the instrumentation measures: without one Android counts the app among those
 * in front, but some phones keep their fastest cores for the app on the screen.
 */
class FrontActivity : Activity() {
    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        if (Build.VERSION.SDK_INT >= 27) {
            setShowWhenLocked(true)
            setTurnScreenOn(true)
        }
    }
}
