// testGolden: photos through decoder, preprocessing and model of this device, held against Python's.
import CryptoKit
import Foundation
import XCTest

final class GoldenTests: XCTestCase {
    func testGolden() async {
        await reported { try await compareGolden() }
    }

    private func compareGolden() async throws {
        let golden = try GoldenFolder(folder: try documents("edgekit-golden"))
        let package = try golden.folder.place("model.mlpackage", key: "model")
        let (compiled, _) = try await compile(package, name: "model.mlpackage")
        defer { try? FileManager.default.removeItem(at: compiled) }
        let spec = golden.preprocessing
        let model = try CoreMLModel(
            compiled: compiled, units: .all, height: spec.height, width: spec.width, name: "model.mlpackage")
        let results = try golden.compare(model: model, sha256: hexadecimal, decode: { try decode($0, name: $1) })
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

private func hexadecimal(_ file: [UInt8]) -> String {
    SHA256.hash(data: Data(file)).map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()
}
