// Compiled Core ML packages, kept in a folder by the hash of their manifest and by the system's version: the manifest
// names every file of the package with its SHA-256, and another version of iOS may compile otherwise.
#if canImport(CoreML) && canImport(CryptoKit)
    import CoreML
    import Foundation

    struct CompiledModels {
        private let folder: URL

        /// The app's caches where `folder` is nil.
        init(folder: URL?) throws {
            let files = FileManager.default
            do {
                let caches = try folder
                    ?? files.url(for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
                    .appendingPathComponent("dev.edgekit.models", isDirectory: true)
                try files.createDirectory(at: caches, withIntermediateDirectories: true)
                self.folder = caches
            } catch {
                throw Problem.from(error, doing: "compiled models have no folder", advice: "free some space")
            }
        }

        /// Open `package`, compiled now or before. What was kept and does not open, is compiled again.
        func open(_ package: URL, key: String, units: ComputeUnits, height: Int, width: Int) async throws -> Model {
            let version = ProcessInfo.processInfo.operatingSystemVersion
            let system = "\(version.majorVersion).\(version.minorVersion).\(version.patchVersion)"
            let place = folder.appendingPathComponent("\(key)-\(system).mlmodelc", isDirectory: true)
            let name = package.lastPathComponent
            func opened() throws -> Model {
                try CoreMLModel(compiled: place, units: units, height: height, width: width, name: name)
            }
            if FileManager.default.fileExists(atPath: place.path) {
                if let model = try? opened() { return model }
                try? FileManager.default.removeItem(at: place)
            }
            try await compile(package, to: place)
            return try opened()
        }

        private func compile(_ package: URL, to place: URL) async throws {
            do {
                let compiled = try await MLModel.compileModel(at: package)
                defer { try? FileManager.default.removeItem(at: compiled) }
                // Somebody else may have been faster; theirs is as good.
                if !FileManager.default.fileExists(atPath: place.path) {
                    try FileManager.default.moveItem(at: compiled, to: place)
                }
            } catch {
                throw Problem.from(
                    error, doing: "\(package.lastPathComponent): cannot be compiled",
                    advice: "free some space, or get the package again")
            }
        }
    }
#endif
