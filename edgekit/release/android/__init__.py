"""The Android bundle: a Maven repository with the model and a Kotlin library, and an AI pack for Google Play."""
