// Which model this device can run, and how it is opened.
import Foundation

/// Core AI where the system has it, else Core ML.
func choose(_ models: [PackagedModel]) throws -> PackagedModel {
    for format in runnable() {
        if let found = models.first(where: { $0.format == format }) { return found }
    }
    let held = models.map(\.format.rawValue).joined(separator: ", ")
    throw Problem.input("no model for this system, only \(held.isEmpty ? "none" : held): update it, or the package")
}

private func runnable() -> [ModelFormat] {
    var formats: [ModelFormat] = []
    #if EDGEKIT_CORE_AI && canImport(CoreAI)
        if #available(iOS 27, *) { formats.append(.coreai) }
    #endif
    #if canImport(CoreML)
        formats.append(.coreml)
    #endif
    return formats
}

func open(_ packaged: PackagedModel, input: Preprocessing, units: ComputeUnits, cache: URL?) async throws -> Model {
    let file = try packaged.file(), name = packaged.folder.lastPathComponent
    switch packaged.format {
    case .coreai:
        #if EDGEKIT_CORE_AI && canImport(CoreAI)
            if #available(iOS 27, *) {
                return try await CoreAIModel(
                    asset: file, units: units, height: input.height, width: input.width, name: name)
            }
        #endif
    case .coreml:
        #if canImport(CoreML) && canImport(CryptoKit)
            let compiled = try CompiledModels(folder: cache)
            return try await compiled.open(
                file, key: sha256(try packaged.manifest()), units: units, height: input.height, width: input.width)
        #endif
    }
    throw Problem.input("\(name): this system has no \(packaged.format.rawValue): \(file.lastPathComponent) stays shut")
}
