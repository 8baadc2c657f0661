"""The Android app, without a phone: compiled, tested with Robolectric, packed and signed."""
