// The package's own test: `swift test` anywhere for what it holds, a device or a simulator for the model itself.
import Foundation
import XCTest

@testable import EDGEKIT_MODULE

final class SelfTests: XCTestCase {
    /// Every model is there, and its golden vectors can be read and find themselves in a gallery.
    func testWhatThePackageHolds() throws {
        XCTAssertFalse(Contents.models.isEmpty)
        for packaged in Contents.models {
            XCTAssertTrue(FileManager.default.fileExists(atPath: try packaged.file().path))
            let golden = try GoldenFolder(folder: packaged.golden)
            let values = try golden.folder.embeddings(
                BenchProtocol.embeddingsFile, key: GoldenFolder.file, count: golden.items.count, dim: golden.dim)
            var gallery = Gallery<Int>()
            for index in golden.items.indices {
                let embedding = Embedding(
                    values: Array(values[index * golden.dim..<(index + 1) * golden.dim]), space: Contents.space)
                XCTAssertEqual(try Embedder.compare(embedding, embedding), 1, accuracy: 1e-3)
                try gallery.add(embedding, as: index)
                let nearest = try gallery.topK(1, of: embedding)
                XCTAssertEqual(try XCTUnwrap(nearest.first).similarity, 1, accuracy: 1e-3)
            }
            for item in golden.items {
                let photo = try golden.folder.place(item.file, key: GoldenFolder.file)
                XCTAssertEqual(orientation(of: [UInt8](try Data(contentsOf: photo))), item.orientation)
            }
        }
    }

    /// The golden photos through decoder, preprocessing and model of this device, held against Python's.
    #if canImport(CoreML) && canImport(UIKit)
        func testTheModel() async throws {
            let embedder = try await Embedder.load()
            try await embedder.selfTest().require()
        }
    #endif
}
