// A Core AI asset as a Model: float32 [1,3,height,width] in, an embedding out.
// Devices with iOS 27 or later; neither older SDKs nor those of simulators have the framework.
#if canImport(CoreAI)
    import CoreAI
    import Foundation

    @available(iOS 27, *)
    final class CoreAIModel: Model {
        static let again = "export the model with edgekit for ios and coreai, or correct height and width"

        private let function: InferenceFunction
        private var input: NDArray
        private var planes: [Float]
        private var output: NDArray?

        /// Open an asset; the system keeps what it specializes for this device. `name` is what messages call it.
        convenience init(asset: URL, units: ComputeUnits, height: Int, width: Int, name: String) async throws {
            let function: InferenceFunction?
            do {
                let model = try await AIModel(contentsOf: asset, options: specialization(units))
                function = try model.loadFunction(named: "main")
            } catch {
                throw Problem.from(error, doing: "\(name): cannot be opened", advice: CoreAIModel.again)
            }
            guard let function else { throw Problem.input("\(name): has no function 'main': \(CoreAIModel.again)") }
            try self.init(function: function, height: height, width: width, name: name)
        }

        init(function: InferenceFunction, height: Int, width: Int, name: String) throws {
            let shape = [1, 3, height, width]
            guard case .ndArray(let image)? = function.descriptor.inputDescriptor(of: "image"), image.shape == shape,
                image.scalarType == .float32, function.descriptor.outputNames.contains("embedding")
            else {
                throw Problem.input(
                    "\(name): has no float32 input 'image' \(shape) and output 'embedding': \(CoreAIModel.again)")
            }
            self.function = function
            input = NDArray(descriptor: image)
            planes = [Float](repeating: 0, count: 3 * height * width)
        }

        func set(_ pixels: UnsafeBufferPointer<UInt8>) throws {
            output = nil
            fillPlanes(&planes, from: pixels)
            fill(&input, with: planes)
        }

        func run() async throws {
            do {
                var outputs = try await function.run(inputs: ["image": input])
                if let value = outputs.remove("embedding") { output = value.ndArray }
            } catch {
                throw Problem.from(error, doing: "the model cannot be run", advice: CoreAIModel.again)
            }
        }

        func embedding() throws -> [Float] {
            guard let output else { throw Problem.runtime("the model gave no 'embedding': \(CoreAIModel.again)") }
            switch output.scalarType {
            case .float32: return values(of: output, as: Float.self)
            case .float16: return values(of: output, as: Float16.self)
            default: throw Problem.input("the model's 'embedding' is neither float32 nor float16: \(CoreAIModel.again)")
            }
        }
    }

    @available(iOS 27, *)
    func specialization(_ units: ComputeUnits) -> SpecializationOptions {
        switch units {
        case .all: return .default
        case .cpuAndNeuralEngine: return SpecializationOptions(preferredComputeUnitKind: .neuralEngine)
        case .cpuAndGPU: return SpecializationOptions(preferredComputeUnitKind: .gpu)
        case .cpuOnly: return .cpuOnly
        }
    }

    /// Whatever strides the runtime prefers: elements are taken in row-major order.
    @available(iOS 27, *)
    private func fill(_ array: inout NDArray, with elements: [Float]) {
        var view = array.mutableView(as: Float.self)
        view.copyElements(fromContentsOf: elements)
    }

    /// What a function gives is contiguous and in row-major order, as Apple documents `run`.
    @available(iOS 27, *)
    private func values<Element: BinaryFloatingPoint & BitwiseCopyable>(
        of array: NDArray, as type: Element.Type
    ) -> [Float] {
        let count = array.shape.reduce(1, *)
        return array.view(as: type).withUnsafePointer { pointer, _, _ in (0..<count).map { Float(pointer[$0]) } }
    }
#endif
