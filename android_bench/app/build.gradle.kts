plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

fun shared(name: String): String = providers.gradleProperty("edgekit.$name").get()

val keystore: Provider<String> = providers.gradleProperty("edgekit.keystore")

android {
    namespace = shared("applicationId")
    compileSdk = shared("compileSdk").toInt()

    defaultConfig {
        applicationId = shared("applicationId")
        minSdk = shared("minSdk").toInt()
        targetSdk = shared("targetSdk").toInt()
        versionCode = shared("versionCode").toInt()
        versionName = shared("versionName")
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") } // those of ExecuTorch's AAR
    }

    signingConfigs {
        if (keystore.isPresent) {
            create("release") {
                storeFile = rootProject.file(keystore.get())
                storePassword = shared("keystorePassword")
                keyAlias = shared("keyAlias")
                keyPassword = shared("keyPassword")
            }
        }
    }

    buildTypes {
        release {
            signingConfig = signingConfigs.getByName(if (keystore.isPresent) "release" else "debug")
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    // Natives are unpacked at installation: no alignment inside the APK that a phone's page size could break.
    packaging {
        jniLibs {
            useLegacyPackaging = true
            pickFirsts += "**/libc++_shared.so" // several AARs may bring it
        }
    }

    // Shared with the Android package that `edgekit package` makes; org.pytorch and LiteRT are libraries of the app alone.
    sourceSets.getByName("main").kotlin.srcDirs(
        listOf("android", "executorch", "litert").map { rootDir.resolve("../edgekit/release/android/kotlin/$it") },
    )

    lint { checkReleaseBuilds = false } // what it wants of a release is what a store wants
}

kotlin { jvmToolchain(17) }

dependencies {
    implementation(project(":core"))
    implementation("com.microsoft.onnxruntime:onnxruntime-android:${shared("onnxruntime")}")
    implementation("org.pytorch:executorch-android:${shared("executorch")}")
    implementation("com.google.ai.edge.litert:litert:${shared("litert")}")
}
