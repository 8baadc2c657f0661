package com.google.ai.edge.litert

import com.sun.jna.Memory
import com.sun.jna.NativeLibrary
import com.sun.jna.Pointer
import com.sun.jna.ptr.PointerByReference
import java.util.concurrent.atomic.AtomicBoolean

private const val RANKED_TYPE_BYTES = 72L
private const val RANK_AT = 4L
private const val SIZES_AT = 8L

/** LiteRT's C interface. Its library is what Python's wheel and Android's AAR have, too. */
internal object Native {
    private val library: NativeLibrary by lazy {
        val path = System.getProperty("litert.library") ?: throw UnsatisfiedLinkError("no -Dlitert.library=FILE")
        NativeLibrary.getInstance(path)
    }

    fun start() {
        library.getFunction("LiteRtCreateEnvironment")
    }

    /** Call `LiteRt[name]`, which must say that all is well. */
    fun call(name: String, vararg arguments: Any?) {
        val status = library.getFunction("LiteRt$name").invokeInt(arguments)
        if (status != 0) throw LiteRtException("LiteRt$name: error $status")
    }

    /** The same for one whose last argument is where it puts a pointer. */
    fun pointer(name: String, vararg arguments: Any?): Pointer {
        val out = PointerByReference()
        call(name, *arguments, out)
        return out.value
    }

    fun drop(name: String, handle: Pointer) {
        library.getFunction("LiteRtDestroy$name").invokeVoid(arrayOf(handle))
    }

    fun free(): Pointer = NativeLibrary.getProcess().getFunction("free")

    fun allocate(text: String): Pointer {
        val bytes = text.toByteArray() + 0
        val memory = NativeLibrary.getProcess().getFunction("malloc").invokePointer(arrayOf(bytes.size.toLong()))
        memory.write(0, bytes, 0, bytes.size)
        return memory
    }

    /** The number of values of a type that was read, and the bytes of each. */
    fun sizeOf(type: Pointer): Pair<Long, Long> {
        val rank = type.getInt(RANK_AT) and 127
        val count = (0 until rank).fold(1L) { product, at -> product * type.getInt(SIZES_AT + 4L * at) }
        return count to (if (type.getInt(0) == 3) 1L else 4L)
    }

    fun typeOf(tensor: Pointer): Memory = Memory(RANKED_TYPE_BYTES).also { call("GetRankedTensorType", tensor, it) }
}

abstract class JniHandle internal constructor(internal val handle: Pointer) : AutoCloseable {
    private val destroyed = AtomicBoolean(false)

    protected fun assertNotDestroyed() = check(!destroyed.get()) { "The handle has been destroyed." }

    protected abstract fun destroy()

    final override fun close() {
        if (destroyed.compareAndSet(false, true)) destroy()
    }
}

class LiteRtException(message: String) : Exception(message)
