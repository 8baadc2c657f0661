package com.google.ai.edge.litert

import com.sun.jna.Memory
import com.sun.jna.Pointer
import com.sun.jna.ptr.LongByReference

enum class Accelerator(val value: Int) {
    NONE(0),
    CPU(1),
    GPU(2),
    NPU(3),
}

class Environment private constructor(handle: Pointer) : JniHandle(handle) {
    override fun destroy() = Native.drop("Environment", handle)

    companion object {
        init {
            Native.start()
        }

        fun create(): Environment = Environment(Native.pointer("CreateEnvironment", 0, null))
    }
}

class CompiledModel private constructor(handle: Pointer, private val model: Pointer) : JniHandle(handle) {
    data class CpuOptions(
        val numThreads: Int? = null,
        val xnnPackFlags: Int? = null,
        val xnnPackWeightCachePath: String? = null,
    )

    class Options(internal vararg val accelerators: Accelerator) {
        var cpuOptions: CpuOptions? = null
    }

    fun createInputBuffers(): List<TensorBuffer> = buffers("Input")

    fun createOutputBuffers(): List<TensorBuffer> = buffers("Output")

    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>) {
        assertNotDestroyed()
        val (taken, given) = pointers(inputs) to pointers(outputs)
        Native.call("RunCompiledModel", handle, 0L, inputs.size.toLong(), taken, outputs.size.toLong(), given)
    }

    override fun destroy() {
        Native.drop("CompiledModel", handle)
        Native.drop("Model", model)
    }

    private fun buffers(side: String): List<TensorBuffer> {
        assertNotDestroyed()
        val graph = Native.pointer("GetSignatureSubgraph", Native.pointer("GetModelSignature", model, 0L))
        val count = LongByReference().also { Native.call("GetNumSubgraph${side}s", graph, it) }.value
        return (0 until count).map { TensorBuffer(Native.typeOf(Native.pointer("GetSubgraph$side", graph, it))) }
    }

    private fun pointers(buffers: List<TensorBuffer>): Memory {
        val memory = Memory(8L * buffers.size)
        buffers.forEachIndexed { at, buffer -> memory.setPointer(8L * at, buffer.handle) }
        return memory
    }

    companion object {
        fun create(filePath: String, options: Options, optionalEnv: Environment): CompiledModel {
            val model = Native.pointer("CreateModelFromFile", optionalEnv.handle, filePath)
            val asked = Native.pointer("CreateOptions")
            Native.call("SetOptionsHardwareAccelerators", asked, options.accelerators.sumOf { 1 shl (it.value - 1) })
            options.cpuOptions?.numThreads?.let { threads ->
                val text = Native.allocate("num_threads = $threads\n")
                val cpu = Native.pointer("CreateOpaqueOptions", "xnnpack", text, Native.free())
                Native.call("AddOpaqueOptions", asked, cpu)
            }
            try {
                return CompiledModel(Native.pointer("CreateCompiledModel", optionalEnv.handle, model, asked), model)
            } catch (error: LiteRtException) {
                Native.drop("Model", model)
                throw error
            } finally {
                Native.drop("Options", asked)
            }
        }
    }
}

class TensorBuffer private constructor(handle: Pointer, private val memory: Pointer, private val bytes: Long) :
    JniHandle(handle) {
    /** On the host, for there is no other accelerator here: LiteRT wants its memory at a multiple of 64. */
    internal constructor(type: Memory, block: Memory = Memory(roomOf(type))) : this(
        Native.pointer("CreateTensorBufferFromHostMemory", type, block.align(64), bytesOf(type), null),
        block.align(64),
        bytesOf(type),
    )

    fun writeFloat(data: FloatArray) {
        fits(4L * data.size)
        memory.write(0, data, 0, data.size)
    }

    fun writeInt8(data: ByteArray) {
        fits(data.size.toLong())
        memory.write(0, data, 0, data.size)
    }

    fun readFloat(): FloatArray {
        assertNotDestroyed()
        return memory.getFloatArray(0, (bytes / 4).toInt())
    }

    fun readInt8(): ByteArray {
        assertNotDestroyed()
        return memory.getByteArray(0, bytes.toInt())
    }

    override fun destroy() = Native.drop("TensorBuffer", handle)

    private fun fits(size: Long) {
        assertNotDestroyed()
        if (size > bytes) throw LiteRtException("TensorBuffer: $bytes bytes are less than the given $size")
    }
}

private fun bytesOf(type: Pointer): Long = Native.sizeOf(type).let { (count, each) -> count * each }

private fun roomOf(type: Pointer): Long = bytesOf(type) + 128 // to align it, and what vector instructions may read
