package dev.edgekit.embedder

import android.content.Context
import android.graphics.Bitmap
import java.io.File

/**
 * Open a model of the package from an app's assets; [name] is the artifact's. Its file is copied to the app's own
 * storage once, because runtimes open files. Not on the main thread: a first start copies the whole model.
 */
@JvmOverloads
fun openEmbedder(context: Context, name: String, threads: Int = 2): Embedder {
    val cache = File(context.noBackupFilesDir, "edgekit")
    return Embedder.open(StreamFiles(name, cache) { context.assets.open(it) }, threads)
}

/** The embedding of a picture that is decoded and upright already, of any size; transparency is put on white. */
fun Embedder.embed(picture: Bitmap): FloatArray {
    if (picture.isRecycled) throw EmbedderError("the bitmap is recycled: embed it before that")
    // Pixels of a hardware bitmap, which image loaders give, cannot be read. The constant came with Android 8.
    if (picture.config?.name != "HARDWARE") return embed(pixelsOf(picture))
    val copy = picture.copy(Bitmap.Config.ARGB_8888, false)
        ?: throw EmbedderError("the bitmap cannot be copied: decode it again")
    try {
        return embed(pixelsOf(copy))
    } finally {
        copy.recycle()
    }
}

/** The embedding of an encoded picture (JPEG, PNG, WebP), turned as its EXIF orientation says. */
fun Embedder.embed(encoded: ByteArray): FloatArray = embed(upright(decode(encoded), orientationOf(encoded)))
