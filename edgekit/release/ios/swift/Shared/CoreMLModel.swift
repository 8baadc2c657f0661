// A compiled Core ML model as a Model: an image in, an embedding out.
#if canImport(CoreML)
    import CoreML
    import CoreVideo
    import Foundation
    import ObjectiveC

    final class CoreMLModel: Model {
        private static let again = "export the model with edgekit for ios, or correct height and width"

        private let model: MLModel
        private let buffer: CVPixelBuffer
        private let input: MLDictionaryFeatureProvider
        private let height: Int
        private let width: Int
        private var output: MLMultiArray?

        /// `name` is what messages call it.
        init(compiled: URL, units: ComputeUnits, height: Int, width: Int, name: String) throws {
            do {
                model = try MLModel(contentsOf: compiled, configuration: configuration(units))
            } catch {
                throw Problem.from(error, doing: "\(name): cannot be opened", advice: CoreMLModel.again)
            }
            self.height = height
            self.width = width
            let image = model.modelDescription.inputDescriptionsByName["image"]?.imageConstraint
            guard let image, image.pixelsWide == width, image.pixelsHigh == height,
                model.modelDescription.outputDescriptionsByName["embedding"]?.type == .multiArray
            else {
                throw Problem.input(
                    "\(name): has no image input 'image' of \(height) x \(width) and output 'embedding': "
                        + CoreMLModel.again)
            }
            buffer = try CoreMLModel.buffer(height: height, width: width)
            input = try MLDictionaryFeatureProvider(dictionary: ["image": MLFeatureValue(pixelBuffer: buffer)])
        }

        func set(_ pixels: UnsafeBufferPointer<UInt8>) throws {
            output = nil
            guard CVPixelBufferLockBaseAddress(buffer, []) == kCVReturnSuccess,
                let base = CVPixelBufferGetBaseAddress(buffer)
            else { throw Problem.runtime("the input cannot be written: start the app again") }
            defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
            let rowBytes = CVPixelBufferGetBytesPerRow(buffer)
            for y in 0..<height {
                let row = (base + y * rowBytes).assumingMemoryBound(to: UInt8.self)
                for x in 0..<width {
                    let from = 3 * (y * width + x)
                    row[4 * x] = pixels[from + 2]
                    row[4 * x + 1] = pixels[from + 1]
                    row[4 * x + 2] = pixels[from]
                    row[4 * x + 3] = 255
                }
            }
        }

        func run() throws {
            do {
                output = try autoreleasepool {
                    try model.prediction(from: input).featureValue(for: "embedding")?.multiArrayValue
                }
            } catch {
                throw Problem.from(error, doing: "the model cannot be run", advice: CoreMLModel.again)
            }
        }

        func embedding() throws -> [Float] {
            guard let output else { throw Problem.runtime("the model gave no 'embedding': \(CoreMLModel.again)") }
            return autoreleasepool { MLShapedArray<Float>(converting: output).scalars }
        }

        /// Backed by an IOSurface, so that the GPU and the Neural Engine read it where it is.
        private static func buffer(height: Int, width: Int) throws -> CVPixelBuffer {
            let attributes = NSDictionary(
                object: NSDictionary(), forKey: kCVPixelBufferIOSurfacePropertiesKey as NSString)
            var made: CVPixelBuffer?
            let status = CVPixelBufferCreate(
                nil, width, height, kCVPixelFormatType_32BGRA, attributes as CFDictionary, &made)
            guard status == kCVReturnSuccess, let made else {
                throw Problem.runtime("no input of \(height) x \(width) pixels (CVReturn \(status)): free some memory")
            }
            return made
        }
    }

    func configuration(_ units: ComputeUnits) -> MLModelConfiguration {
        let configuration = MLModelConfiguration()
        switch units {
        case .all: configuration.computeUnits = .all
        case .cpuAndNeuralEngine: configuration.computeUnits = .cpuAndNeuralEngine
        case .cpuAndGPU: configuration.computeUnits = .cpuAndGPU
        case .cpuOnly: configuration.computeUnits = .cpuOnly
        }
        return configuration
    }
#endif
