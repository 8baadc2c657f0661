// A model of this package or of a verified bundle: the folder that EdgeKit exported, and its golden vectors.
import Foundation

struct PackagedModel: Sendable {
    let format: ModelFormat
    /// Holds manifest.json and the model.
    let folder: URL
    /// Golden vectors, edgekit.golden/1.
    let golden: URL

    /// The manifest's bytes, which name every file of the model with its SHA-256.
    func manifest() throws -> [UInt8] {
        try readFile(folder.appendingPathComponent("manifest.json"), name: "manifest.json", most: maxManifestBytes)
    }

    /// The file of the model, or its folder.
    func file() throws -> URL {
        guard let name = JSON.parse(try manifest())?.fields?["artifact"]?.string else {
            throw Problem.input("\(folder.lastPathComponent)/manifest.json: names no artifact: export the model again")
        }
        return try Folder(root: folder).place(name, key: "artifact")
    }
}

private let maxManifestBytes = 4 << 20

extension PackagedModel {
    /// One entry of `artifacts` in bundle.json; nil where an iPhone does not run it, or it lies in another archive.
    init?(artifact: JSON, in root: URL) {
        guard let fields = artifact.fields, fields["container"]?.string == nil,
            let format = fields["format"]?.string.flatMap(ModelFormat.init(rawValue:)),
            let folder = fields["folder"]?.string, BundleNames.isPlain(folder),
            let golden = fields["golden"]?.string, BundleNames.isPlain(golden)
        else { return nil }
        self.format = format
        self.folder = root.appendingPathComponent(folder, isDirectory: true)
        self.golden = root.appendingPathComponent(golden, isDirectory: true)
    }

    func moved(from old: URL, to new: URL) -> PackagedModel {
        func place(_ url: URL) -> URL {
            new.appendingPathComponent(String(url.path.dropFirst(old.path.count + 1)), isDirectory: true)
        }
        return PackagedModel(format: format, folder: place(folder), golden: place(golden))
    }
}
