package dev.edgekit.embedder

/** The sizes of what a model takes. */
fun inputShape(spec: ModelSpec): LongArray {
    val (height, width) = spec.height.toLong() to spec.width.toLong()
    return if (spec.layout == "nchw") longArrayOf(1, 3, height, width) else longArrayOf(1, height, width, 3)
}

/** Whether it takes the pixels of an image as they are; otherwise float32 of 0-255. */
val ModelSpec.takesBytes: Boolean get() = layout == "nhwc_u8"

/** Give each value of an image, uint8 RGB [H,W,3], to its place in a float32 input of the model's layout. */
inline fun spread(spec: ModelSpec, pixels: ByteArray, put: (Int, Float) -> Unit) {
    val area = pixels.size / 3
    val (step, plane) = if (spec.layout == "nchw") 1 to area else 3 to 1
    for (at in 0 until area) {
        for (channel in 0 until 3) {
            put(step * at + plane * channel, (pixels[3 * at + channel].toInt() and 255).toFloat())
        }
    }
}
