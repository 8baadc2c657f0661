package dev.edgekit.bench

import dev.edgekit.embedder.Protocol
import dev.edgekit.embedder.inputShape
import dev.edgekit.embedder.spread
import dev.edgekit.embedder.takesBytes
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class InputTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private fun job(layout: String) = jobIn(temporary.root) { copy(height = 1, width = 2, layout = layout) }

    private fun values(layout: String): FloatArray {
        val into = FloatArray(6)
        spread(job(layout), byteArrayOf(1, 2, 3, -1, 5, 6)) { at, value -> into[at] = value }
        return into
    }

    @Test
    fun everyLayoutHasItsShape() {
        val shapes = Protocol.LAYOUTS.associateWith { inputShape(job(it)).toList() }
        val last = listOf(1L, 1L, 2L, 3L)
        assertEquals(mapOf("nchw" to listOf(1L, 3L, 1L, 2L), "nhwc" to last, "nhwc_u8" to last), shapes)
        assertEquals(listOf("nhwc_u8"), Protocol.LAYOUTS.filter { job(it).takesBytes })
    }

    @Test
    fun everyValueGoesToItsPlace() {
        assertArrayEquals(floatArrayOf(1f, 255f, 2f, 5f, 3f, 6f), values("nchw"), 0f)
        assertArrayEquals(floatArrayOf(1f, 2f, 3f, 255f, 5f, 6f), values("nhwc"), 0f)
    }
}
