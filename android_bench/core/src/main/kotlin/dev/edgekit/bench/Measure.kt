package dev.edgekit.bench

import dev.edgekit.embedder.Model
import dev.edgekit.embedder.Opener
import dev.edgekit.embedder.Protocol
import kotlin.math.ceil
import kotlin.math.min

/** What was measured; times in nanoseconds. */
data class Measured(
    val runtime: String,
    val version: String?,
    val backend: String,
    val coldLoad: Long,
    val first: Long,
    val samples: LongArray,
    val warmLoad: Long,
    val check: Check,
    val peakRss: Long?,
    val loaded: Long?,
    val embeddings: Embeddings? = null,
)

/**
 * Open the model, run it on one image after the other, compare every output, open it again. [decode] is for jobs with
 * photos; [row] gets the output for each image, in their order, from the first time that it is run.
 */
fun measure(
    job: Job,
    opener: Opener,
    decode: Decode,
    memory: MemoryProbe = ProcStatus,
    clock: () -> Long = System::nanoTime,
    say: (String) -> Unit = {},
    row: (FloatArray) -> Unit = {},
): Measured = imagesOf(job, decode).use { images ->
    val comparison = Comparison(readGolden(job), job.dim)
    val before = memory.read().resident

    say("opening ${job.model.name}")
    val opening = clock()
    val opened = opener.open(job)
    val coldLoad = clock() - opening
    val measured = opened.use { model ->
        val turns = Turns(job, model, images, clock) { turn, output ->
            comparison.add(turn % job.count, output)
            if (turn < job.count) row(output)
        }
        val first = turns.next()
        say("the first of ${job.warmup + 1} inferences before the samples is done")
        repeat(job.warmup) { turns.next() }
        val samples = samples(job, turns, clock)
        val peak = memory.read().peak
        Measured(
            runtime = model.runtime,
            version = model.version,
            backend = model.backend,
            coldLoad = coldLoad,
            first = first,
            samples = samples,
            warmLoad = 0,
            check = comparison.check(min(turns.taken, job.count), job.minCosine),
            peakRss = peak,
            loaded = if (peak == null || before == null || peak < before) null else peak - before,
        )
    }
    say("${measured.samples.size} samples are taken; opening ${job.model.name} again")
    val again = clock()
    val reopened = opener.open(job)
    val warmLoad = clock() - again
    reopened.close()
    measured.copy(warmLoad = warmLoad)
}

private fun samples(job: Job, turns: Turns, clock: () -> Long): LongArray {
    val least = ceil(job.duration * 1e9).toLong()
    var samples = LongArray(min(4096, Protocol.MAX_SAMPLES))
    var taken = 0
    val start = clock()
    while (taken < Protocol.MAX_SAMPLES && (taken < job.iterations || clock() - start < least)) {
        if (taken == samples.size) samples = samples.copyOf(min(2 * taken, Protocol.MAX_SAMPLES))
        samples[taken++] = turns.next()
    }
    return samples.copyOf(taken)
}

/** The inferences of one opened model. */
private class Turns(
    private val job: Job,
    private val model: Model,
    private val images: Images,
    private val clock: () -> Long,
    private val given: (Int, FloatArray) -> Unit,
) {
    private val output = FloatArray(job.dim)
    var taken = 0
        private set

    /** One inference of the next image; how long its run took. */
    fun next(): Long {
        val turn = taken++
        model.set(images.read(turn % job.count))

        val start = clock()
        model.run()
        val took = clock() - start

        output.fill(Float.NaN) // an output that is not copied shows
        model.embedding(output)
        given(turn, output)
        return took
    }
}
