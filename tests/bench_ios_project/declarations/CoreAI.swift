// https://developer.apple.com/documentation/coreai, and Apple's own calls in https://github.com/apple/coreai-models
// Names, labels, types, what throws and what may not be copied are those of the documentation for iOS 27 and of the
// macOS 27 SDK's interface files, as far as they are public. Views may not escape there either, which Swift 6.0 cannot
// say, and `Span` is the standard library's from Swift 6.2 on. Unlike the other declarations, these work: on a linear
// model, so that CoreAIModel.swift runs on Linux; rows of inputs end in padding. That Apple's framework does the same,
// only an iPhone can show.
import Foundation

public enum ComputeUnitKind: String, Sendable { case cpu, gpu, neuralEngine }

public struct SpecializationOptions {
    let told: String
    public static let `default` = SpecializationOptions(told: "default")
    public static let cpuOnly = SpecializationOptions(told: "cpuOnly")
    init(told: String) { self.told = told }
    public init(preferredComputeUnitKind: ComputeUnitKind) { told = "prefers \(preferredComputeUnitKind.rawValue)" }
}

public struct Span<Element> {}

public struct NDArray {
    public enum ScalarType: String { case float32, float16, int32 }

    final class Storage {
        let bytes: UnsafeMutableRawBufferPointer
        init(_ count: Int) {
            bytes = .allocate(byteCount: count, alignment: 16)
            bytes.initializeMemory(as: UInt8.self, repeating: 0xff)  // NaN, where nobody writes
        }
        deinit { bytes.deallocate() }
    }

    public let shape: [Int]
    let strides: [Int]
    public let scalarType: ScalarType
    var storage: Storage

    public init(descriptor: consuming NDArrayDescriptor) {
        shape = descriptor.shape
        scalarType = descriptor.scalarType
        var strides: [Int] = [], step = 1
        for (axis, extent) in shape.enumerated().reversed() {
            strides.insert(step, at: 0)
            step *= axis == shape.count - 1 ? extent + descriptor.padding : extent
        }
        self.strides = strides
        storage = Storage(4 * step)
    }

    public func view<T: BitwiseCopyable>(as type: T.Type = T.self) -> View<T> { View(array: self) }

    public mutating func mutableView<T: BitwiseCopyable>(as type: T.Type = T.self) -> MutableView<T> {
        if !isKnownUniquelyReferenced(&storage) {
            let copy = Storage(storage.bytes.count)
            copy.bytes.copyMemory(from: UnsafeRawBufferPointer(storage.bytes))
            storage = copy
        }
        return MutableView(array: self)
    }

    var places: [Int] {
        var known = [0]
        for (extent, step) in zip(shape, strides) {
            known = known.flatMap { start in (0..<extent).map { start + $0 * step } }
        }
        return known
    }

    public struct View<Element: BitwiseCopyable>: ~Copyable {
        let array: NDArray
        public func withUnsafePointer<R, E: Error>(
            _ body: (UnsafePointer<Element>, Span<Int>, Span<Int>) throws(E) -> R
        ) throws(E) -> R {
            precondition((Element.self == Float16.self) == (array.scalarType == .float16))
            let base = array.storage.bytes.baseAddress!.assumingMemoryBound(to: Element.self)
            return try body(UnsafePointer(base), Span(), Span())
        }
    }

    public struct MutableView<Element: BitwiseCopyable>: ~Copyable {
        let array: NDArray
        public mutating func copyElements(fromContentsOf collection: some Collection<Element>) {
            let base = array.storage.bytes.baseAddress!.assumingMemoryBound(to: Element.self)
            for (place, element) in zip(array.places, collection) { base[place] = element }
        }
    }
}

public struct NDArrayDescriptor {
    public let shape: [Int]
    public let scalarType: NDArray.ScalarType
    let padding: Int
}

public struct ImageDescriptor {}

public struct InferenceValue: ~Copyable {
    public enum Descriptor {
        case image(ImageDescriptor)
        case ndArray(NDArrayDescriptor)
    }
    let array: NDArray
    public var ndArray: NDArray? { array }  // documented to consume the value; tree-sitter knows no `consuming get`
}

public struct InferenceFunctionDescriptor {
    let inputs: [String: InferenceValue.Descriptor]
    public let outputNames: [String]
    public func inputDescriptor(of inputName: String) -> InferenceValue.Descriptor? { inputs[inputName] }
}

public struct InferenceFunction: @unchecked Sendable {
    let simulated: Simulated
    public var descriptor: InferenceFunctionDescriptor { simulated.descriptor }

    public struct MutableViews: ~Copyable { public init() {} }

    public struct Outputs: ~Copyable {
        var values: [String: NDArray]
        public mutating func remove(_ outputName: String) -> InferenceValue? {
            values.removeValue(forKey: outputName).map { InferenceValue(array: $0) }
        }
    }

    public func run(
        inputs: [String: NDArray], states: consuming MutableViews = MutableViews(),
        outputViews: consuming MutableViews = MutableViews()
    ) async throws -> Outputs {
        await Task.yield()
        return Outputs(values: try simulated.run(inputs))
    }
}

public struct AIModel {
    let simulated: Simulated

    public init(contentsOf modelURL: URL, options: SpecializationOptions = .default) async throws {
        await Task.yield()
        simulated = try Simulated(modelURL)
        try simulated.tell("open \(options.told)")
    }

    @discardableResult
    public static func specialize(
        contentsOf modelURL: URL, options: SpecializationOptions = .default, cache: AIModelCache = .default,
        cachePolicy: AIModelCache.Policy = .default
    ) async throws -> AIModel {
        let model = try await AIModel(contentsOf: modelURL, options: options)
        try model.simulated.tell("specialize \(options.told)")
        if model.simulated.has("not-specialized") { throw CocoaError(.featureUnsupported) }
        return model
    }

    public func loadFunction(named functionName: String) throws -> InferenceFunction? {
        functionName == "main" && !simulated.has("no-function") ? InferenceFunction(simulated: simulated) : nil
    }
}

public final class AIModelCache: Sendable {
    public struct Policy: Sendable { public static let `default` = Policy() }
    public static let `default` = AIModelCache()

    public func deleteEntry(for modelURL: URL, options: SpecializationOptions) throws {
        try Simulated(modelURL).tell("delete \(options.told)")
    }
}

/// The linear model of swift/main.swift, read from simulated.json; `calls` beside it lists what it was asked.
struct Simulated {
    let folder: URL
    let facts: [String: Int]

    init(_ folder: URL) throws {
        self.folder = folder
        let file = folder.appendingPathComponent("simulated.json")
        facts = try JSONDecoder().decode([String: Int].self, from: Data(contentsOf: file))
    }

    func has(_ fault: String) -> Bool { facts[fault] != nil }

    func tell(_ what: String) throws {
        let log = folder.deletingLastPathComponent().appendingPathComponent("calls")
        let before = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        try (before + what + "\n").write(to: log, atomically: true, encoding: .utf8)
    }

    var descriptor: InferenceFunctionDescriptor {
        let image = NDArrayDescriptor(
            shape: [1, 3, facts["height"]!, facts["width"]!], scalarType: has("half-input") ? .float16 : .float32,
            padding: 5)
        return InferenceFunctionDescriptor(
            inputs: ["image": has("image-input") ? .image(ImageDescriptor()) : .ndArray(image)],
            outputNames: [has("other-output") ? "other" : "embedding"])
    }

    func run(_ inputs: [String: NDArray]) throws -> [String: NDArray] {
        if has("does-not-run") { throw CocoaError(.fileReadCorruptFile) }
        if has("no-output") { return [:] }
        let image = inputs["image"]!, plane = image.shape[2] * image.shape[3], dim = facts["dim"]!
        let pixels: [Float] = image.places.map { place in
            image.storage.bytes.load(fromByteOffset: 4 * place, as: Float.self)
        }
        let type: NDArray.ScalarType = has("half") ? .float16 : has("whole") ? .int32 : .float32
        let output = NDArray(descriptor: NDArrayDescriptor(shape: [1, dim], scalarType: type, padding: 0))
        let bytes = output.storage.bytes
        for (d, place) in output.places.enumerated() {
            var sum = 0.0
            for (at, pixel) in pixels.enumerated() {
                let i = at % plane * 3 + at / plane  // planes here, interleaved channels in main.swift
                sum += Double(pixel) * Double((i * 31 + d * 17) % 101 - 50)
            }
            switch type {
            case .float16: bytes.storeBytes(of: Float16(sum / 1000), toByteOffset: 2 * place, as: Float16.self)
            default: bytes.storeBytes(of: Float(sum / 1000), toByteOffset: 4 * place, as: Float.self)
            }
        }
        return ["embedding": output]
    }
}
