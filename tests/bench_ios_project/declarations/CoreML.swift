// https://developer.apple.com/documentation/coreml
import CoreVideo
import Foundation

public enum MLComputeUnits: Int { case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine }

public class MLModelConfiguration: NSObject {
    public var computeUnits: MLComputeUnits { get { fatalError() } set { fatalError() } }
    public override init() { fatalError() }
}

public enum MLFeatureType: Int { case invalid, int64, double, string, image, multiArray, dictionary, sequence, state }

public class MLImageConstraint: NSObject {
    public var pixelsHigh: Int { fatalError() }
    public var pixelsWide: Int { fatalError() }
}

public class MLFeatureDescription: NSObject {
    public var type: MLFeatureType { fatalError() }
    public var imageConstraint: MLImageConstraint? { fatalError() }
}

public class MLModelDescription: NSObject {
    public var inputDescriptionsByName: [String: MLFeatureDescription] { fatalError() }
    public var outputDescriptionsByName: [String: MLFeatureDescription] { fatalError() }
}

public class MLMultiArray: NSObject {}

public class MLFeatureValue: NSObject {
    public convenience init(pixelBuffer value: CVPixelBuffer) { fatalError() }
    public var multiArrayValue: MLMultiArray? { fatalError() }
}

public protocol MLFeatureProvider {
    func featureValue(for featureName: String) -> MLFeatureValue?
}

public class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
    public init(dictionary: [String: Any]) throws { fatalError() }
    public func featureValue(for featureName: String) -> MLFeatureValue? { fatalError() }
}

public class MLModel: NSObject {
    public convenience init(contentsOf url: URL, configuration: MLModelConfiguration) throws { fatalError() }
    public var modelDescription: MLModelDescription { fatalError() }
    public func prediction(from input: MLFeatureProvider) throws -> MLFeatureProvider { fatalError() }
    public class func compileModel(at modelURL: URL) async throws -> URL { fatalError() }
}

public protocol MLShapedArrayScalar {}
extension Float: MLShapedArrayScalar {}

public struct MLShapedArray<Scalar: MLShapedArrayScalar> {
    public init(converting multiArray: MLMultiArray) { fatalError() }
    public var scalars: [Scalar] { fatalError() }
}

public class MLCPUComputeDevice: NSObject {}
public class MLGPUComputeDevice: NSObject {}
public class MLNeuralEngineComputeDevice: NSObject {}

public enum MLComputeDevice {
    case cpu(MLCPUComputeDevice)
    case gpu(MLGPUComputeDevice)
    case neuralEngine(MLNeuralEngineComputeDevice)
}

public enum MLModelStructure {
    public struct NeuralNetwork {}
    public struct Pipeline {}
    public struct Program {
        public struct NamedValueType { public var name: String { fatalError() } }
        public struct Operation {
            public var operatorName: String { fatalError() }
            public var outputs: [NamedValueType] { fatalError() }
            public var blocks: [Block] { fatalError() }
        }
        public struct Block { public var operations: [Operation] { fatalError() } }
        public struct Function { public var block: Block { fatalError() } }
        public var functions: [String: Function] { fatalError() }
    }
    case neuralNetwork(NeuralNetwork)
    case program(Program)
    case pipeline(Pipeline)
    case unsupported
}

public final class MLComputePlan {
    public struct DeviceUsage {
        public var supported: [MLComputeDevice] { fatalError() }
        public var preferred: MLComputeDevice { fatalError() }
    }
    public struct Cost { public var weight: Double { fatalError() } }

    private init() {}
    public var modelStructure: MLModelStructure { fatalError() }
    public func deviceUsage(for operation: MLModelStructure.Program.Operation) -> DeviceUsage? { fatalError() }
    public func estimatedCost(of operation: MLModelStructure.Program.Operation) -> Cost? { fatalError() }
    public static func load(contentsOf url: URL, configuration: MLModelConfiguration) async throws -> MLComputePlan {
        fatalError()
    }
}
