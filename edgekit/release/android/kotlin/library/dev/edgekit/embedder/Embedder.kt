package dev.edgekit.embedder

import java.io.File

private const val THREADS = 2
private const val MODEL_CHECK = "make the package again with edgekit package"

/** What a self-test found: the lowest cosine of the embeddings with the golden ones, over all images. */
class SelfTest(val images: Int, val minCosine: Double) {
    val passed: Boolean get() = minCosine >= Protocol.MIN_COSINE
}

/**
 * An opened model of an EdgeKit package: photographs in, embeddings of unit length out. Its methods may be called from
 * any thread, one inference at a time. Close it when it is not needed any more; it cannot be used after that.
 */
class Embedder private constructor(private val files: ModelFiles, about: About, threads: Int) : AutoCloseable {
    /** The model's name, as its recipe calls it. */
    val name: String = about.name

    /** Id of the embedding space; embeddings of one space can be compared. Null where the manifest names none. */
    val space: String? = about.space

    /** Values of an embedding. */
    val dim: Int = about.dim

    /** What is done to a photograph before the model sees it. */
    val preprocessing: Preprocessing = about.preprocessing

    private var isClosed = false // native code frees its memory, and does not look whether it is called again
    private val model: Model =
        openerOf(about.format, name).open(about.spec(files.file(about.file, about.sha256), threads))

    /** The embedding of a photograph of any size, decoded and upright (see [upright]). */
    fun embed(photo: Pixels): FloatArray = embedPrepared(preprocess(photo, preprocessing).rgb)

    /** The embedding of an image that has the model's size: uint8 RGB [H,W,3]. */
    fun embedPrepared(rgb: ByteArray): FloatArray {
        val due = 3L * preprocessing.height * preprocessing.width
        if (rgb.size.toLong() != due) throw EmbedderError("$name: an image has ${rgb.size} bytes, not $due: prepare it")
        val embedding = FloatArray(dim)
        synchronized(model) {
            if (isClosed) throw EmbedderError("$name: is closed: open it again")
            model.set(rgb)
            model.run()
            model.embedding(embedding)
        }
        return embedding
    }

    /** Embed the golden vectors of the package, and compare: whether this device computes what the release did. */
    fun selfTest(): SelfTest {
        val golden = readGolden(files, dim, preprocessing)
        val lowest = golden.minOfOrNull { compare(embedPrepared(it.rgb), it.embedding).toDouble() }
        return SelfTest(golden.size, lowest ?: Double.NaN)
    }

    override fun close() = synchronized(model) {
        if (!isClosed) model.close()
        isClosed = true
    }

    companion object {
        /** Open the model in a folder that has its manifest.json; [golden] is the folder of its golden vectors. */
        @JvmStatic
        @JvmOverloads
        fun open(folder: File, golden: File = File(folder, "golden"), threads: Int = THREADS): Embedder =
            open(FolderFiles(folder, golden), threads)

        /**
         * Open a model of the package from a class path, as the package's JAR for desktops has it; [name] is the
         * artifact's. Its file is copied to [cache] once, and again where the copy is not the package's any more.
         */
        @JvmStatic
        @JvmOverloads
        fun open(loader: ClassLoader, name: String, cache: File, threads: Int = THREADS): Embedder =
            open(StreamFiles(name, cache) { loader.getResourceAsStream(it) }, threads)

        /** Open a model from wherever its files are. */
        internal fun open(files: ModelFiles, threads: Int): Embedder = Embedder(files, aboutOf(files), threads)
    }
}

/** What the manifest says of a model, as far as it is needed to run it. */
internal class About(
    val name: String,
    val format: String,
    val file: String,
    val sha256: String,
    val space: String?,
    val dim: Int,
    val layout: String,
    val preprocessing: Preprocessing,
) {
    fun spec(file: File, count: Int): ModelSpec = object : ModelSpec {
        override val model = file
        override val height = preprocessing.height
        override val width = preprocessing.width
        override val layout = this@About.layout
        override val dim = this@About.dim
        override val threads = count
        override val accelerator = if (format == "litert") Protocol.ACCELERATORS.first() else null
    }
}

private fun aboutOf(files: ModelFiles): About {
    try {
        val manifest = parseJson(files.bytes("manifest.json", Limits.DOCUMENT_BYTES))
        val name = manifest.part<String>("artifact")
        val entry = manifest.part<List<*>>("files").single { (it as? Map<*, *>)?.get("path") == name }
        val embedding = manifest.part<Map<*, *>>("embedding")
        val dim = whole(embedding.part("dim"), Protocol.MAX_DIM)
        val preprocessing = manifest.part<Map<*, *>>("preprocessing")
        return About(
            name = manifest.part<Map<*, *>>("recipe").part("name"),
            format = manifest.part<Map<*, *>>("target").part("format"),
            file = name,
            sha256 = entry.part("sha256"),
            space = embedding["space"] as? String,
            dim = dim,
            layout = layoutOf(manifest.part("input")),
            preprocessing = preprocessingOf(preprocessing),
        )
    } catch (error: JsonError) {
        throw EmbedderError("manifest.json: ${error.message}: $MODEL_CHECK", error)
    } catch (error: NoSuchElementException) {
        throw EmbedderError("manifest.json: its model is not in its list of files: $MODEL_CHECK", error)
    }
}

private fun preprocessingOf(part: Map<*, *>): Preprocessing {
    val size = part.part<List<*>>("size")
    val mean = part.part<List<*>>("mean")
    if (size.size != 2) throw JsonError("size is not two numbers")
    return Preprocessing(
        height = whole(size[0], Protocol.MAX_SIDE),
        width = whole(size[1], Protocol.MAX_SIDE),
        interpolation = part.part("interpolation"),
        cropPct = part.part<Number>("crop_pct").toDouble(),
        cropMode = part.part("crop_mode"),
        // As `edgekit golden` rounds them: halves to even.
        fill = IntArray(mean.size) { kotlin.math.round(255 * ((mean[it] as? Number)?.toDouble() ?: -1.0)).toInt() },
    )
}

private fun whole(value: Any?, most: Int): Int =
    (value as? Long)?.takeIf { it in 1..most }?.toInt() ?: throw JsonError("$value is not a number from 1 to $most")

/** The shape is written as 1x3x224x224, or with the number of images open as Nx3x224x224. */
private fun layoutOf(input: Map<*, *>): String {
    val sizes = input.part<String>("layout").split('x')
    val bytes = input.part<String>("dtype") == "uint8"
    return when {
        bytes -> "nhwc_u8"
        sizes.size == 4 && sizes[3] == "3" -> "nhwc"
        else -> "nchw"
    }
}
