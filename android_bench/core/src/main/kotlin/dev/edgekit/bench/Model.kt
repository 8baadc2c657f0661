package dev.edgekit.bench

/** An opened model. Each inference is `set`, `run`, `embedding`. */
interface Model : AutoCloseable {
    val runtime: String
    val version: String?
    val backend: String

    /** Put one image into the input: uint8 RGB [H,W,3]. */
    fun set(pixels: ByteArray)

    /** The inference alone, which is what is timed. */
    fun run()

    /** Copy the output of the last run. */
    fun embedding(into: FloatArray)
}

/** Opens the model of a job. */
fun interface Opener {
    fun open(job: Job): Model
}
