// testGolden: photos through decoder, preprocessing and model of this device, held against Python's.
import Foundation
import XCTest

final class GoldenTests: XCTestCase {
    func testGolden() async {
        await reported { try await compareGolden() }
    }

    private func compareGolden() async throws {
        let golden = try GoldenFolder(folder: try documents("edgekit-golden"))
        let (format, name) = try golden.model()
        let ready = try await prepare(
            try golden.folder.place(name, key: "model"), format: format, units: .all, name: name)
        defer { ready.remove() }
        let model = try await ready.open(height: golden.preprocessing.height, width: golden.preprocessing.width)
        let reader = PhotoReader.device
        let results = try await golden.compare(model: model, sha256: reader.digest, decode: reader.pixels)
        let document = JSON.object([
            "schema": .text("edgekit.golden-result/1"), "model": golden.facts, "device": await Phone.device().json,
            "min_cosine": .number(BenchProtocol.minCosine), "items": .list(results.map(\.json)),
        ]).document()
        try golden.folder.write(document, as: "golden-result.json", key: "golden-result")
        attach(document, name: "edgekit-golden-result.json")
        for item in results where !item.passed(BenchProtocol.minCosine) {
            XCTFail("edgekit_bench: \(shown(item.file)): its embedding is not Python's: see golden-result.json")
        }
    }
}
