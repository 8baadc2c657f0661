// A Core ML package made ready on this device: compiled, then opened as often as a measurement needs it.
import CoreML
import Foundation
import ObjectiveC

struct PreparedCoreML: Prepared {
    let took: UInt64
    private let compiled: URL
    private let units: ComputeUnits
    private let name: String

    /// Compile a package on this device; `name` is what messages call it.
    init(package: URL, units: ComputeUnits, name: String) async throws {
        guard package.pathExtension == ModelFormat.coreml.suffix else {
            throw Problem.input("\(name): not a .mlpackage: export the model with edgekit for ios")
        }
        do {
            (compiled, took) = try await nanoseconds { try await MLModel.compileModel(at: package) }
        } catch {
            throw Problem.from(
                error, doing: "\(name): cannot be compiled", advice: "copy the whole package to the device again")
        }
        self.units = units
        self.name = name
    }

    func open(height: Int, width: Int) async throws -> Model {
        // Without a pool of its own the first model could live on until the thread ends.
        try autoreleasepool {
            try CoreMLModel(compiled: compiled, units: units, height: height, width: width, name: name)
        }
    }

    func plan(runID: String) async throws -> JSON? { try await computePlan(of: compiled, units: units, runID: runID) }

    func remove() { try? FileManager.default.removeItem(at: compiled) }
}
