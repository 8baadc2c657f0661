package dev.edgekit.bench

import dev.edgekit.embedder.ExecuTorchModel
import java.io.File
import org.json.JSONObject
import org.junit.After
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.pytorch.executorch.DType
import org.pytorch.executorch.EValue
import org.pytorch.executorch.MethodMetadata
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.Implementation
import org.robolectric.annotation.Implements
import org.robolectric.shadow.api.Shadow
import org.robolectric.util.ReflectionHelpers

/** What was asked of ExecuTorch's native side, and what it answers. */
private object Native {
    val loaded = mutableListOf<String>()
    val given = mutableListOf<EValue>()
    var destroyed = 0
    var backends = arrayOf("XnnpackBackend", "XnnpackBackend")
    var answer: (Tensor) -> Array<EValue> = { arrayOf(EValue.from(it)) }
}

/** In place of the library: ExecuTorch's own tensors go in and out. */
@Implements(Module::class)
class ShadowModule {
    @Implementation
    fun forward(vararg inputs: EValue): Array<EValue> {
        Native.given += inputs
        return Native.answer(inputs.single().toTensor())
    }

    @Implementation
    fun loadMethod(name: String): Int = 0.also { Native.loaded += name }

    @Implementation
    fun getMethodMetadata(name: String): MethodMetadata {
        assertEquals("forward", name)
        return MethodMetadata().also { ReflectionHelpers.setField(it, "mBackends", Native.backends) }
    }

    @Implementation
    fun destroy() {
        Native.destroyed++
    }

    companion object {
        @JvmStatic
        @Implementation
        fun __staticInitializer__() = Unit

        @JvmStatic
        @Implementation
        fun load(path: String, mode: Int, threads: Int): Module {
            Native.loaded += "${File(path).name} $mode $threads"
            return Shadow.newInstanceOf(Module::class.java)
        }
    }
}

@RunWith(RobolectricTestRunner::class)
@Config(shadows = [ShadowModule::class])
class ExecuTorchModelTest {
    private val pixels = ByteArray(3 * 2 * 4) { (it * 11).toByte() } // 0 to 253: some are negative as bytes

    private fun job(layout: String) = Job(
        "0".repeat(32), File("/model.pte"), "executorch", JSONObject(), File("/i"), File("/g"),
        count = 1, height = 2, width = 4, dim = 3, layout = layout, warmup = 0, iterations = 1, duration = 0.0,
        threads = 3, minCosine = 0.9, out = File("/o"),
    )

    private fun answer(vararg values: Float, shape: LongArray = longArrayOf(1, values.size.toLong())) {
        Native.answer = { arrayOf(EValue.from(Tensor.fromBlob(values, shape))) }
    }

    @Before
    fun start() {
        Native.loaded.clear()
        Native.given.clear()
        Native.destroyed = 0
        answer(1f, 2f, 3f)
    }

    @After
    fun reset() {
        Native.backends = arrayOf("XnnpackBackend", "XnnpackBackend")
    }

    @Test
    fun `a file is opened with its method and closed`() {
        val model = ExecuTorchModel(job("nchw"))
        assertEquals(listOf("model.pte ${Module.LOAD_MODE_MMAP} 3", "forward"), Native.loaded)
        assertEquals("executorch XNNPACK null", "${model.runtime} ${model.backend} ${model.version}")
        model.close()
        assertEquals(1, Native.destroyed)
    }

    @Test
    fun `without a delegate the kernels are the portable ones`() {
        Native.backends = emptyArray()
        assertEquals("portable", ExecuTorchModel(job("nchw")).backend)
    }

    @Test
    fun `float planes`() {
        val model = ExecuTorchModel(job("nchw"))
        model.set(pixels)
        model.run()
        val tensor = Native.given.single().toTensor()
        assertEquals(DType.FLOAT, tensor.dtype())
        assertArrayEquals(longArrayOf(1, 3, 2, 4), tensor.shape())
        val wanted = FloatArray(24) { (pixels[3 * (it % 8) + it / 8].toInt() and 255).toFloat() }
        assertArrayEquals(wanted, tensor.dataAsFloatArray, 0f)
    }

    @Test
    fun `bytes as they are`() {
        val model = ExecuTorchModel(job("nhwc_u8"))
        model.set(pixels)
        model.run()
        val tensor = Native.given.single().toTensor()
        assertEquals(DType.UINT8, tensor.dtype())
        assertArrayEquals(longArrayOf(1, 2, 4, 3), tensor.shape())
        assertArrayEquals(pixels, tensor.dataAsUnsignedByteArray)
    }

    @Test
    fun `each run gets a tensor of its own, and none without one`() {
        val model = ExecuTorchModel(job("nchw"))
        assertThrows(BenchError::class.java) { model.run() }
        repeat(2) {
            model.set(pixels)
            model.run()
            assertThrows(BenchError::class.java) { model.run() }
        }
        assertEquals(2, Native.given.size)
        assertTrue(Native.given[0] !== Native.given[1] && Native.given[0].toTensor() !== Native.given[1].toTensor())
    }

    @Test
    fun `an embedding is copied out`() {
        val model = ExecuTorchModel(job("nchw"))
        val into = FloatArray(3)
        assertThrows(BenchError::class.java) { model.embedding(into) }
        model.set(pixels)
        model.run()
        model.embedding(into)
        assertArrayEquals(floatArrayOf(1f, 2f, 3f), into, 0f)
        model.set(pixels)
        assertThrows(BenchError::class.java) { model.embedding(into) }
    }

    @Test
    fun `what is no embedding`() {
        answer(1f, 2f)
        refused("FLOAT [1,2]")
        answer(1f, 2f, 3f, shape = longArrayOf(3, 1))
        refused("FLOAT [3,1]")
        Native.answer = { arrayOf(EValue.from(Tensor.fromBlob(longArrayOf(1, 2, 3), longArrayOf(1, 3)))) }
        refused("INT64 [1,3]")
        Native.answer = { arrayOf(EValue.from(1.0)) }
        refused("1 values")
        Native.answer = { emptyArray() }
        refused("0 values")
        Native.answer = { throw IllegalStateException("no operator\nadd.out") }
        refused("no operator add.out")
    }

    private fun refused(text: String) {
        val model = ExecuTorchModel(job("nchw"))
        model.set(pixels)
        val error = assertThrows(BenchError::class.java) {
            model.run()
            model.embedding(FloatArray(3))
        }
        assertTrue(error.message, "model.pte" in error.message!! && text in error.message!! && '\n' !in error.message!!)
    }
}
