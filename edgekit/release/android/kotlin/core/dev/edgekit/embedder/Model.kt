package dev.edgekit.embedder

import java.io.File

/** A model's file, and what it takes and gives. */
interface ModelSpec {
    val model: File
    val height: Int
    val width: Int

    /** Of [Protocol.LAYOUTS]. */
    val layout: String

    /** Values of an embedding. */
    val dim: Int
    val threads: Int

    /** Of [Protocol.ACCELERATORS], for LiteRT; null elsewhere. */
    val accelerator: String?
}

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

/** Opens the model of a spec. */
fun interface Opener {
    fun open(spec: ModelSpec): Model
}
