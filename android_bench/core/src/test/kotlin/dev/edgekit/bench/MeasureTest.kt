package dev.edgekit.bench

import dev.edgekit.embedder.Model
import dev.edgekit.embedder.Opener
import dev.edgekit.embedder.Protocol
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class MeasureTest {
    @get:Rule
    val temporary = TemporaryFolder()
    private val clock = FakeClock()
    private val models = mutableListOf<FakeModel>()
    private val unknown = MemoryProbe { Memory(null, null) }

    private fun opener(spoil: (FloatArray) -> Unit = {}, changed: (FakeModel) -> Model = { it }) = Opener {
        clock.now += 70_000_000L * (models.size + 1)
        assertTrue("the first model is still open", models.none { it.open })
        changed(FakeModel(clock, spoil).also(models::add))
    }

    private fun measured(spoil: (FloatArray) -> Unit = {}, change: Job.() -> Job = { this }): Measured =
        measure(jobIn(temporary.root, change), opener(spoil), NO_PHOTOS, unknown, clock)

    @Test
    fun eachTimeIsThatOfItsOwnAction() {
        val measured = measured()
        assertEquals(70_000_000L, measured.coldLoad)
        assertEquals(140_000_000L, measured.warmLoad)
        assertEquals(1_000L, measured.first)
        assertArrayEquals(longArrayOf(5_000, 6_000, 7_000, 8_000), measured.samples) // after the first and 3 of warm-up
        assertEquals(Triple("fake", null, "none"), Triple(measured.runtime, measured.version, measured.backend))
        assertEquals(listOf(8, 0), models.map { it.runs })
        assertTrue(models.none { it.open })
    }

    @Test
    fun everyInferenceHasANewInput() {
        // The model wipes its input in each run: had one not been set anew, its output would differ.
        val check = measured().check
        assertEquals(Check(images = 2, minCosine = check.minCosine, maxAbs = 0.0, passed = true), check)
        assertEquals(1.0, check.minCosine!!, 1e-12)
    }

    @Test
    fun aModelThatIsNotGivenItsInputAnewFails() {
        val stale = opener { inner ->
            object : Model by inner {
                override fun set(pixels: ByteArray) {
                    if (inner.runs == 0) inner.set(pixels)
                }
            }
        }
        val check = measure(jobIn(temporary.root), stale, NO_PHOTOS, unknown, clock).check
        assertFalse(check.passed)
        assertEquals(489.0, check.maxAbs!!, 0.0) // 6 * 85 - 21
    }

    @Test
    fun samplesAreTakenUntilBothLimitsAreReached() {
        // One turn takes 2 seconds of this clock, and a little.
        assertEquals(4, measured { copy(duration = 7.9) }.samples.size)
        assertEquals(5, measured { copy(duration = 8.1) }.samples.size)
        assertEquals(50, measured { copy(duration = 8.1, iterations = 50) }.samples.size)
        assertEquals(1, measured { copy(iterations = 1, warmup = 0) }.samples.size)
    }

    @Test
    fun thereAreAtMostAMillionSamples() {
        val quick = opener { inner ->
            object : Model by inner {
                override fun set(pixels: ByteArray) = Unit
                override fun run() = Unit
                override fun embedding(into: FloatArray) = into.fill(1f)
            }
        }
        val measured = measure(jobIn(temporary.root) { copy(duration = 86_400.0) }, quick, NO_PHOTOS, unknown, clock)
        assertEquals(Protocol.MAX_SAMPLES, measured.samples.size)
    }

    @Test
    fun asManyImagesAreCheckedAsAreRun() {
        assertEquals(2, measured { copy(warmup = 0, iterations = 1) }.check.images)
        assertEquals(2, measured { copy(warmup = 5, iterations = 5) }.check.images)
    }

    @Test
    fun theWorstOfAllOutputsIsTold() {
        var turn = 0
        val check = measured({ if (turn++ == 2) it[1] += 3f }).check // in the warm-up
        assertFalse(check.passed)
        assertEquals(3.0, check.maxAbs!!, 1e-6)
        assertTrue(check.minCosine!! < 0.995)
    }

    @Test
    fun theFirstInferenceIsCheckedToo() {
        var turn = 0
        assertFalse(measured({ if (turn++ == 0) it[1] = -6f }).check.passed)
    }

    @Test
    fun theLimitIsTheOneGiven() {
        val cosine = measured({ it[1] += 3f }) { copy(minCosine = -1.0) }.check.run {
            assertTrue(passed)
            minCosine!!
        }
        assertTrue(measured({ it[1] += 3f }) { copy(minCosine = cosine) }.check.passed)
        assertFalse(measured({ it[1] += 3f }) { copy(minCosine = Math.nextUp(cosine)) }.check.passed)
    }

    @Test
    fun outputsThatAreNoEmbeddingFail() {
        val spoils = listOf<(FloatArray) -> Unit>(
            { it[1] = Float.NaN },
            { it[0] = Float.POSITIVE_INFINITY },
            { it.fill(0f) },
            { it[0] = 1e7f },
            { it.fill(Float.MAX_VALUE) },
        )
        for (spoil in spoils) {
            var turn = 0
            val check = measured({ if (turn++ == 6) spoil(it) }) { copy(minCosine = -1.0) }.check
            assertEquals(Check(2, null, null, false), check)
        }
    }

    @Test
    fun anOutputThatIsNotCopiedFails() {
        val silent = opener { inner ->
            object : Model by inner {
                override fun embedding(into: FloatArray) {
                    if (inner.runs == 1) inner.embedding(into)
                }
            }
        }
        assertNull(measure(jobIn(temporary.root), silent, NO_PHOTOS, unknown, clock).check.minCosine)
    }

    @Test
    fun memoryIsThePeakAndItsGrowth() {
        val readings = ArrayDeque(listOf(Memory(900, 300), Memory(1500, 1000)))
        val measured = measure(jobIn(temporary.root), opener(), NO_PHOTOS, { readings.removeFirst() }, clock)
        assertEquals(1500L to 1200L, measured.peakRss to measured.loaded)
        assertEquals(null to null, measured().run { peakRss to loaded })
        val odd = measure(jobIn(temporary.root), opener(), NO_PHOTOS, { Memory(100, 200) }, clock)
        assertEquals(100L to null, odd.peakRss to odd.loaded)
    }

    @Test
    fun theKernelTellsTheMemory() {
        val memory = ProcStatus.read()
        assertTrue(memory.peak!! >= memory.resident!! && memory.resident!! > 1 shl 20)
        val huge = "VmPeak:\t99999999999999999999 kB"
        val lines = listOf("Name:\tVmRSS: 5 kB", "VmHWM:\t     456 kB", "VmRSS:\tmany kB", huge)
        assertEquals(456L * 1024, bytesOf(lines, "VmHWM"))
        assertNull(bytesOf(lines, "VmRSS"))
        assertNull(bytesOf(lines, "VmPeak"))
    }

    @Test
    fun aFailingModelIsClosed() {
        val failing = opener({ throw BenchError("the runtime has failed") })
        assertThrows(BenchError::class.java) { measure(jobIn(temporary.root), failing, NO_PHOTOS, unknown, clock) }
        assertFalse(models.single().open)
    }

    @Test
    fun filesThatDoNotFitAreRefused() {
        val job = jobIn(temporary.root)
        val file = job.inputs!!
        val inputs = file.readBytes()
        for (bytes in listOf(inputs.copyOf(11), inputs + 1, byteArrayOf())) {
            file.writeBytes(bytes)
            refused("inputs.bin", "has ${bytes.size} bytes", "are 12") { measure(job, opener(), NO_PHOTOS, unknown, clock) }
        }
        file.delete()
        refused("inputs.bin", "not there") { measure(job, opener(), NO_PHOTOS, unknown, clock) }
        file.writeBytes(inputs)
        val goldens = listOf(
            floatArrayOf(1f, 2f, 3f),
            floatArrayOf(1f, 2f, 0f, -0f),
            floatArrayOf(Float.NaN, 1f, 1f, 1f),
            floatArrayOf(1f, 1f, 1f, Float.NEGATIVE_INFINITY),
        )
        for (golden in goldens) {
            writeGolden(job.golden, *golden)
            refused("golden.bin") { measure(job, opener(), NO_PHOTOS, unknown, clock) }
        }
        val huge = job.copy(count = 100_000, height = 65_536, width = 65_536)
        refused("inputs.bin", "too large") { measure(huge, opener(), NO_PHOTOS, unknown, clock) }
        assertTrue("no model was opened", models.isEmpty())
    }

    @Test
    fun whatHappensIsSaid() {
        val said = mutableListOf<String>()
        assertNotNull(measure(jobIn(temporary.root), opener(), NO_PHOTOS, unknown, clock, said::add))
        assertTrue(said.first() == "opening model.onnx" && said.any { "4 samples" in it })
    }
}
