// An embedder of this package or of a verified bundle: photos in, embeddings out. Preprocessing is that of the golden
// vectors: the same steps as in Python, bit for bit on equal decoded pixels.
import Foundation

public actor Embedder {
    /// Id of the embedding space that all its embeddings are of.
    public nonisolated let space: String
    private let packaged: PackagedModel
    private let golden: GoldenFolder
    private let model: Model
    private var last: Task<Void, Never>?

    /// Open the model of this package: the Core AI asset on iOS 27 where there is one, else the Core ML package.
    ///
    /// The Core ML package is compiled the first time and kept in `cache`, the app's caches where it is nil.
    public static func load(units: ComputeUnits = .all, cache: URL? = nil) async throws -> Embedder {
        try await Embedder(Contents.models, space: Contents.space, units: units, cache: cache)
    }

    /// Open the model of a bundle that a BundleVerifier accepted.
    public static func load(
        from bundle: VerifiedBundle, units: ComputeUnits = .all, cache: URL? = nil
    ) async throws -> Embedder {
        try await Embedder(bundle.models, space: bundle.space, units: units, cache: cache)
    }

    private init(_ models: [PackagedModel], space: String, units: ComputeUnits, cache: URL?) async throws {
        packaged = try choose(models)
        golden = try GoldenFolder(folder: packaged.golden)
        self.space = space
        model = try await open(packaged, input: golden.preprocessing, units: units, cache: cache)
    }

    /// For a model that something else opened.
    init(_ packaged: PackagedModel, space: String, model: Model) throws {
        self.packaged = packaged
        golden = try GoldenFolder(folder: packaged.golden)
        self.space = space
        self.model = model
    }

    /// The similarity of two embeddings: the cosine of the angle between them.
    public static func compare(_ one: Embedding, _ other: Embedding) throws -> Float { try one.similarity(to: other) }

    /// Embed a photo: uint8 RGB [height,width,3], upright, row by row without padding.
    public func embed(rgb: [UInt8], width: Int, height: Int) async throws -> Embedding {
        try await embed(try Pixels(width: width, height: height, bytes: rgb))
    }

    func embed(_ photo: Pixels) async throws -> Embedding {
        let image = try golden.preprocessing.apply(to: photo)
        return Embedding(values: try await inTurn { try await $0.run(image) }, space: space)
    }

    /// Embed the golden photos and compare with what Python made of them: does this device do what was verified?
    func selfTest(
        sha256: @escaping ([UInt8]) -> String, decode: @escaping ([UInt8], String) throws -> Pixels
    ) async throws -> SelfTest {
        try await inTurn { embedder in
            SelfTest(
                try await embedder.golden.compare(model: embedder.model, sha256: sha256, decode: decode))
        }
    }

    private func run(_ image: Pixels) async throws -> [Float] {
        try image.bytes.withUnsafeBufferPointer { try model.set($0) }
        try await model.run()
        return try model.embedding()
    }

    /// One after the other: the model has one input, and an actor takes other calls while it waits.
    private func inTurn<Value: Sendable>(
        _ work: @escaping (isolated Embedder) async throws -> Value
    ) async throws -> Value {
        let before = last
        let mine = Task {
            await before?.value
            return try await work(self)
        }
        last = Task { _ = try? await mine.value }
        return try await mine.value
    }
}

/// How near the golden photos' embeddings are to Python's.
public struct SelfTest: Sendable {
    public struct Photo: Sendable {
        public let file: String
        /// From Python's pixels: the model alone. Nil where the model gave no numbers.
        public let cosineOfModel: Double?
        /// From this device's own pixels: decoder, preprocessing and model.
        public let cosine: Double?
        public let passed: Bool
    }

    public let photos: [Photo]

    public var passed: Bool { !photos.isEmpty && photos.allSatisfy(\.passed) }

    /// Throws a Refusal where a photo did not pass.
    public func require() throws {
        if let bad = photos.first(where: { !$0.passed }) { throw Refusal(.selfTestFailed, bad.file) }
    }

    init(_ items: [GoldenItem]) {
        func cosine(_ check: Check) -> Double? { check.comparable ? check.minCosine : nil }
        photos = items.map {
            Photo(
                file: $0.file, cosineOfModel: cosine($0.samePixels), cosine: cosine($0.ownPixels),
                passed: $0.passed(BenchProtocol.minCosine))
        }
    }
}
