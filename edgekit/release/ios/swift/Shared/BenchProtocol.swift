// What all languages agree on. Its source is edgekit/bench/protocol.json; tests/bench/test_constants.py compares.

enum BenchProtocol {
    static let resultSchema = "edgekit.bench/1"
    static let jobSchema = "edgekit.job/2"
    static let goldenSchema = "edgekit.golden/1"
    static let computePlanSchema = "edgekit.compute-plan/1"

    static let jobFile = "job.json"
    static let inputsFile = "inputs.bin"
    static let embeddingsFile = "golden.bin"
    static let goldenFile = "golden.json"
    static let computePlanFile = "compute-plan.json"
    static let jobFolder = "edgekit-job"

    static let runIdDigits = 32
    static let maxText = 500
    static let maxImages = 100_000
    static let maxSide = 65_536
    static let maxDim = 1_000_000
    static let maxSamples = 1_000_000
    static let maxDurationS = 86_400.0
    static let maxThreads = 256
    static let maxDifference = 1e6
    static let maxCropPct = 2.0
    static let maxPixels = 89_478_485
    static let maxGoldenItems = 1_024
    static let maxJobBytes = 1_048_576
    static let maxGoldenBytes = 1_048_576
    static let maxPhotoBytes = 67_108_864
    static let maxPartBytes = 268_435_456
    static let minCosine = 0.99

    static let formats = ["coreml", "coreai", "executorch", "litert", "onnx"]
    static let layouts = ["nchw", "nhwc", "nhwc_u8"]
}
