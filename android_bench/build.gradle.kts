import org.jetbrains.kotlin.gradle.dsl.KotlinJvmProjectExtension

plugins {
    id("com.android.application") apply false
    id("org.jetbrains.kotlin.android") apply false
    id("org.jetbrains.kotlin.jvm") apply false
}

// Sources that the app shares with the Android package that `edgekit package` makes.
val library = "../edgekit/release/android/kotlin"

// Android brings org.json, and onnxruntime-android the classes of onnxruntime.
project(":core") {
    apply(plugin = "org.jetbrains.kotlin.jvm")
    extensions.configure<KotlinJvmProjectExtension> {
        jvmToolchain(17)
        sourceSets.getByName("main").kotlin.srcDirs(listOf("core", "onnx").map { rootDir.resolve("$library/$it") })
    }
    dependencies {
        "compileOnly"("org.json:json:${property("edgekit.json")}")
        "compileOnly"("com.microsoft.onnxruntime:onnxruntime:${property("edgekit.onnxruntime")}")
    }
}
