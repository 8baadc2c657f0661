// A Core AI asset made ready on this device: specialized, then opened as often as a measurement needs it.
// Devices with iOS 27 or later; neither older SDKs nor those of simulators have the framework.
#if canImport(CoreAI)
    import CoreAI
    import Foundation

    @available(iOS 27, *)
    struct PreparedCoreAI: Prepared {
        let took: UInt64
        private let asset: URL
        private let units: ComputeUnits
        private let name: String

        /// Specialize an asset for this device; `name` is what messages call it.
        init(asset: URL, units: ComputeUnits, name: String) async throws {
            guard asset.pathExtension == ModelFormat.coreai.suffix else {
                throw Problem.input("\(name): not a .aimodel: \(CoreAIModel.again)")
            }
            // Every job has the same place: what an earlier one left must not pass for this one.
            try? AIModelCache.default.deleteEntry(for: asset, options: specialization(units))
            do {
                (_, took) = try await nanoseconds {
                    _ = try await AIModel.specialize(contentsOf: asset, options: specialization(units))
                }
            } catch {
                throw Problem.from(
                    error, doing: "\(name): cannot be specialized", advice: "copy the whole folder to the device again")
            }
            self.asset = asset
            self.units = units
            self.name = name
        }

        func open(height: Int, width: Int) async throws -> Model {
            try await CoreAIModel(asset: asset, units: units, height: height, width: width, name: name)
        }

        func remove() { try? AIModelCache.default.deleteEntry(for: asset, options: specialization(units)) }
    }
#endif
