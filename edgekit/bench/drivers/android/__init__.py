"""Android devices through adb."""
