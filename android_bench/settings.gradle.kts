pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
    plugins {
        id("com.android.application") version providers.gradleProperty("edgekit.androidGradlePlugin").get()
        id("org.jetbrains.kotlin.android") version providers.gradleProperty("edgekit.kotlin").get()
        id("org.jetbrains.kotlin.jvm") version providers.gradleProperty("edgekit.kotlin").get()
    }
}

dependencyResolutionManagement {
    repositoriesMode.set(RepositoriesMode.FAIL_ON_PROJECT_REPOS)
    repositories {
        google()
        mavenCentral()
    }
}

rootProject.name = "edgekit-bench"
include(":core", ":app")
