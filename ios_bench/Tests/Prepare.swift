// A model of either format made ready on this device; one line where this device or this app cannot run it.
import Foundation

/// `name` is what messages call the model.
func prepare(_ file: URL, format: ModelFormat, units: ComputeUnits, name: String) async throws -> any Prepared {
    switch format {
    case .coreml: return try await PreparedCoreML(package: file, units: units, name: name)
    case .coreai:
        #if canImport(CoreAI)
            guard #available(iOS 27, *) else {
                let version = ProcessInfo.processInfo.operatingSystemVersion
                throw Problem.input(
                    "\(name): Core AI needs iOS 27, this is \(version.majorVersion).\(version.minorVersion): "
                        + "update the device, or give it a .mlpackage")
            }
            return try await PreparedCoreAI(asset: file, units: units, name: name)
        #else
            throw Problem.input(
                "\(name): this app was built without Core AI: build it for devices with Xcode 27, or give a .mlpackage")
        #endif
    }
}
