package dev.edgekit.embedder

/** What all languages agree on. Its source is edgekit/bench/protocol.json; tests/bench/test_constants.py compares. */
object Protocol {
    const val RESULT_SCHEMA = "edgekit.bench/1"
    const val JOB_SCHEMA = "edgekit.job/2"
    const val GOLDEN_SCHEMA = "edgekit.golden/1"

    const val JOB_FILE = "job.json"
    const val INPUTS_FILE = "inputs.bin"
    const val EMBEDDINGS_FILE = "golden.bin"
    const val GOLDEN_FILE = "golden.json"
    const val JOB_FOLDER = "edgekit-job"
    const val RUN_FOLDER_PREFIX = "edgekit-"
    const val FILE_NAME_PATTERN = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}"

    const val RUN_ID_DIGITS = 32
    const val MAX_TEXT = 500
    const val MAX_IMAGES = 100_000
    const val MAX_SIDE = 65_536
    const val MAX_DIM = 1_000_000
    const val MAX_SAMPLES = 1_000_000
    const val MAX_DURATION_S = 86_400.0
    const val MAX_THREADS = 256
    const val MAX_DIFFERENCE = 1e6
    const val MAX_CROP_PCT = 2.0
    const val MAX_PIXELS = 89_478_485L
    const val MAX_GOLDEN_ITEMS = 1_024
    const val MAX_JOB_BYTES = 1_048_576L
    const val MAX_GOLDEN_BYTES = 1_048_576L
    const val MAX_PHOTO_BYTES = 67_108_864L
    const val MAX_PART_BYTES = 268_435_456L
    const val MAX_RESULT_BYTES = 16_777_216L
    const val MIN_COSINE = 0.99

    val LAYOUTS = listOf("nchw", "nhwc", "nhwc_u8")
    val ACCELERATORS = listOf("cpu", "gpu")
    val INTERPOLATIONS = listOf("bicubic", "bilinear", "nearest", "lanczos", "box", "hamming")
    val CROP_MODES = listOf("center", "squash", "border")
}
